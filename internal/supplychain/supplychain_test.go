package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

// recorded is what `go version -m` prints of a binary, without its indentation. The
// sum of the last module is the example in in-toto's specification of dirHash.
const recorded = `path	watchdog.io/watchdog/cmd/watchdog
mod	watchdog.io/watchdog	(devel)	
dep	github.com/PagerDuty/go-pagerduty	v1.8.0	h1:MTFqTffIcAervB83U7Bx6HERzLbyaSPL/+oxH3zyluI=
dep	github.com/old/fork	v1.0.0
=>	github.com/new/fork	v1.0.1	h1:N+IMa753KfX5hd8vVaMixjnqRZ3y8CuJKRKj1xcsSM0=
dep	github.com/some/thing	v2.0.0+incompatible	h1:Khu2En+0gcYPZ2kuIihfswbzxv/mIHXgzPZ018Oty48=
build	-trimpath=true
build	CGO_ENABLED=0
`

const commit = "59cb6b5fa02584eb3c9591f36a382343d076eb08"

var (
	released = build{Version: "v0.1.0", Commit: commit, Flags: "-trimpath", Source: "git+https://git.test/watchdog",
		Builder: "https://ci.test/release"}
	noon = time.Unix(1796030331, 0).UTC()
)

func parsed(t *testing.T, text string) binary {
	t.Helper()
	info, err := debug.ParseBuildInfo(text)
	if err != nil {
		t.Fatal(err)
	}
	info.GoVersion = "go1.26.8"
	return binary{Name: "watchdog", SHA256: [32]byte{0: 0xab, 6: 0xff, 8: 0xff, 31: 0x01}, Info: info}
}

func mustBOM(t *testing.T, b binary) bom {
	t.Helper()
	doc, err := newBOM(b, "v0.1.0", noon)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// modules are path, version and sum of what is linked, read from the text of
// `go version -m` without the help of debug/buildinfo.
func modules(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		switch f := strings.Fields(line); {
		case len(f) == 0:
		case f[0] == "dep":
			all = append(all, strings.Join(f[1:], " "))
		case f[0] == "=>":
			all[len(all)-1] = strings.Join(f[1:], " ")
		}
	}
	return all
}

func TestTheSBOMListsEveryModule_SEC36(t *testing.T) {
	doc := mustBOM(t, parsed(t, recorded))
	if got := doc.Components[0]; got.Name != "stdlib" || got.Version != "go1.26.8" {
		t.Errorf("the first component is %s %s, want the standard library", got.Name, got.Version)
	}
	var got []string
	for _, c := range doc.Components[1:] {
		got = append(got, c.Name+" "+c.Version+" "+c.Properties[0].Value)
	}
	if want := modules(recorded); !slices.Equal(got, want) {
		t.Errorf("modules\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	last := doc.Components[len(doc.Components)-1]
	if got, want := last.Hashes, (hash{"SHA-256",
		"2a1bb6127fb481c60f67692e22285fb306f3c6ffe62075e0ccf674d7c3adcb8f"}); len(got) != 1 || got[0] != want {
		t.Errorf("hashes %v, want %v", got, want)
	}
	if want := "pkg:golang/github.com/some/thing@v2.0.0%2Bincompatible"; last.PURL != want {
		t.Errorf("package URL %s, want %s", last.PURL, want)
	}
}

// TestTheSBOMHasWhatTheSchemaRequires_SEC36 checks what CycloneDX 1.6 requires of
// the parts that are used, and GitHub's attestations of the whole.
func TestTheSBOMHasWhatTheSchemaRequires_SEC36(t *testing.T) {
	doc := mustBOM(t, parsed(t, recorded))
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(b, &root); err != nil {
		t.Fatal(err)
	}
	if root["bomFormat"] != "CycloneDX" || root["specVersion"] != "1.6" || root["version"] != 1.0 {
		t.Errorf("bomFormat %v, specVersion %v, version %v", root["bomFormat"], root["specVersion"], root["version"])
	}
	serial := regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	if !serial.MatchString(doc.SerialNumber) {
		t.Errorf("serialNumber %s", doc.SerialNumber)
	}
	if doc.Metadata.Timestamp != "2026-11-30T09:18:51Z" {
		t.Errorf("timestamp %s is not the commit's date", doc.Metadata.Timestamp)
	}
	refs, content := map[string]bool{}, regexp.MustCompile(`^[0-9a-f]{64}$`)
	for _, c := range append([]component{doc.Metadata.Component}, doc.Components...) {
		if c.Name == "" || c.Version == "" || c.PURL == "" || (c.Type != "application" && c.Type != "library") {
			t.Errorf("component %+v lacks a name, version, package URL or type", c)
		}
		if refs[c.Ref] {
			t.Errorf("bom-ref %s is there twice", c.Ref)
		}
		refs[c.Ref] = true
		for _, h := range c.Hashes {
			if h.Alg != "SHA-256" || !content.MatchString(h.Content) {
				t.Errorf("%s has the hash %v", c.Name, h)
			}
		}
		if ours := c.Type == "application"; (len(c.Licenses) == 1) != ours {
			t.Errorf("%s has licenses %v; only our own is known", c.Name, c.Licenses)
		}
	}
}

func TestProvenanceSaysWhatWasBuiltFromWhat_SEC36(t *testing.T) {
	s, err := newStatement(parsed(t, recorded), released)
	if err != nil {
		t.Fatal(err)
	}
	if s.Type != "https://in-toto.io/Statement/v1" || s.PredicateType != "https://slsa.dev/provenance/v1" {
		t.Errorf("a statement of type %s with a predicate of type %s", s.Type, s.PredicateType)
	}
	if got, want := s.Subject[0].Digest["sha256"], "ab0000000000ff00ff"+strings.Repeat("0", 44)+"01"; got != want {
		t.Errorf("subject %s, want %s", got, want)
	}
	d := s.Predicate.BuildDefinition
	if got := d.ResolvedDependencies[0].Digest["gitCommit"]; got != commit {
		t.Errorf("built from commit %q, want %q", got, commit)
	}
	if got, want := len(d.ResolvedDependencies)-1, len(modules(recorded)); got != want {
		t.Errorf("%d modules, want %d", got, want)
	}
	for name, want := range map[string]string{"package": "watchdog.io/watchdog/cmd/watchdog", "version": "v0.1.0",
		"flags": "-trimpath"} {
		if got := d.ExternalParameters[name]; got != want {
			t.Errorf("parameter %s is %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{"go": "go1.26.8", "CGO_ENABLED": "0"} {
		if got := d.InternalParameters[name]; got != want {
			t.Errorf("setting %s is %q, want %q", name, got, want)
		}
	}
	if d.BuildType == "" || s.Predicate.RunDetails.Builder.ID != released.Builder {
		t.Errorf("build type %q, builder %q", d.BuildType, s.Predicate.RunDetails.Builder.ID)
	}
}

func TestAModuleWithoutASumIsRefused_SEC36(t *testing.T) {
	b := parsed(t, "dep\tk8s.io/api\tv0.37.2\n=>\t./api\t(devel)\t\n")
	if _, err := newBOM(b, "v0.1.0", noon); err == nil {
		t.Error("a bill of materials was written")
	}
	if _, err := newStatement(b, released); err == nil {
		t.Error("a statement was written")
	}
}

// own runs the command on this test's own binary, which contains the constants above.
func own(t *testing.T, epoch string, out io.Writer, args ...string) error {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return run(append(args, exe), epoch, out)
}

func TestTheSameBinaryGivesTheSameDocuments_SEC36(t *testing.T) {
	for _, command := range []string{"sbom", "provenance"} {
		var runs [2]bytes.Buffer
		for i := range runs {
			if err := own(t, "1796030331", &runs[i], "-version", "v0.1.0", "-commit", commit, "-flags", "-trimpath",
				"-builder", "https://ci.test/release", command); err != nil {
				t.Fatal(err)
			}
		}
		if runs[0].Len() == 0 || !bytes.Equal(runs[0].Bytes(), runs[1].Bytes()) {
			t.Errorf("%s differs between two runs:\n%s\n%s", command, &runs[0], &runs[1])
		}
		if command == "sbom" && !strings.Contains(runs[0].String(), `"2026-11-30T09:18:51Z"`) {
			t.Errorf("the date is not SOURCE_DATE_EPOCH:\n%.400s", &runs[0])
		}
	}
}

func TestADocumentThatWouldNotBeTrueIsRefused_SEC36(t *testing.T) {
	other := strings.Repeat("else", 10) // no constant: it would be in this binary
	for name, c := range map[string]struct {
		args  []string
		epoch string
		want  string
	}{
		"a version that the binary does not contain": {[]string{"-version", other, "-commit", commit, "sbom"}, "1",
			"does not contain the version"},
		"a commit that the binary does not contain": {[]string{"-version", "v0.1.0", "-commit", other, "sbom"}, "1",
			"does not contain the commit"},
		"no version": {[]string{"-commit", commit, "sbom"}, "1", "missing -version"},
		"no date": {[]string{"-version", "v0.1.0", "-commit", commit, "sbom"}, "",
			"SOURCE_DATE_EPOCH"},
		"an abbreviated commit": {[]string{"-version", "v0.1.0", "-commit", "59cb6b5", "-flags", "-trimpath",
			"-builder", "https://ci.test", "provenance"}, "1", "full hash"},
		"nobody who built": {[]string{"-version", "v0.1.0", "-commit", commit, "-flags", "-trimpath",
			"provenance"}, "1", "-builder"},
		"no flags": {[]string{"-version", "v0.1.0", "-commit", commit, "-builder",
			"https://ci.test", "provenance"}, "1", "-flags"},
		"a command that does not exist": {[]string{"-version", "v0.1.0", "-commit", commit, "spdx"}, "1",
			"unknown command"},
	} {
		var out bytes.Buffer
		if err := own(t, c.epoch, &out, c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
		if out.Len() > 0 {
			t.Errorf("%s: wrote %s", name, &out)
		}
	}
}
