//go:build reproducible

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// copyTo copies what a release is built of, as it is tracked by git, and returns dir.
func copyTo(t *testing.T, dir string) string {
	t.Helper()
	files, err := exec.Command("git", "-C", "../..", "ls-files", "-z", "--", "Makefile", "go.mod", "go.sum", "cmd",
		"pkg", "internal", "examples").Output()
	if err != nil {
		t.Fatal(err)
	}
	for f := range strings.SplitSeq(strings.Trim(string(files), "\x00"), "\x00") {
		b, err := os.ReadFile(filepath.Join("../..", f))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// makeRelease builds bin/watchdog in dir as make release does.
func makeRelease(t *testing.T, dir string, env ...string) []byte {
	t.Helper()
	c := exec.Command("make", "-C", dir, "bin/watchdog", "VERSION="+released.Version, "COMMIT="+released.Commit)
	c.Env = append(os.Environ(), env...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "bin/watchdog"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTwoReleaseBuildsAreTheSameBytes_SEC35: whoever doubts a release builds it once
// more. The second build shares neither the folder nor the build cache with the first,
// so that everything is compiled again. What the release contains is checked here, too,
// because the binary is there.
func TestTwoReleaseBuildsAreTheSameBytes_SEC35(t *testing.T) {
	first, second := copyTo(t, t.TempDir()), copyTo(t, filepath.Join(t.TempDir(), "a/longer/way"))
	b := makeRelease(t, first)
	t.Run("TheSBOMListsTheModulesOfGoVersion_SEC36",
		func(t *testing.T) { listsTheModules(t, filepath.Join(first, "bin/watchdog")) })
	t.Run("NoTestCodeIsLinked_SEC38", func(t *testing.T) { linksNoTestCode(t, b) })

	if again := makeRelease(t, second, "GOCACHE="+filepath.Join(t.TempDir(), "cache")); !bytes.Equal(b, again) {
		t.Errorf("two builds differ: %d and %d bytes", len(b), len(again))
	}
}

// listsTheModules compares the bill of materials with what the go command prints.
func listsTheModules(t *testing.T, path string) {
	printed, err := exec.Command("go", "version", "-m", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	bin, err := readBinary(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range mustBOM(t, bin).Components[1:] {
		got = append(got, c.Name+" "+c.Version+" "+c.Properties[0].Value)
	}
	want := modules(string(printed))
	if len(want) < 50 || !slices.Equal(got, want) {
		t.Errorf("the bill of materials has %d modules, go version -m %d:\n%s\n%s", len(got), len(want), got, want)
	}
}

// linksNoTestCode looks for the names of functions, which stay in a stripped binary.
func linksNoTestCode(t *testing.T, b []byte) {
	if !bytes.Contains(b, []byte("watchdog.io/watchdog/pkg/engine.")) {
		t.Fatal("the binary contains no names of functions")
	}
	for _, pkg := range []string{
		"watchdog.io/watchdog/internal/demo",
		"watchdog.io/watchdog/internal/explore", "watchdog.io/watchdog/internal/mutants",
		"watchdog.io/watchdog/internal/recorders",
		"watchdog.io/watchdog/internal/supplychain", "watchdog.io/watchdog/test",
		"net/http/httptest", "testing/synctest", "k8s.io/client-go/testing",
		"github.com/prometheus/prometheus/promql/promqltest",
	} {
		if bytes.Contains(b, []byte(pkg+".")) || bytes.Contains(b, []byte(pkg+"/")) {
			t.Errorf("the release contains code of %s", pkg)
		}
	}
}
