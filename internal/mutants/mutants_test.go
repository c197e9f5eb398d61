package mutants

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var all = flag.Bool("all", false, "build and run every mutant; otherwise only their places are checked")

// patience is how long one mutant may take until it is caught.
const patience = 4 * time.Minute

// TestEveryMutantIsCaught builds the simulator with one bug at a time. `make mutants`
// runs it with -all; otherwise it only checks that each bug still has its place.
func TestEveryMutantIsCaught(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		t.Run(m.Name, func(t *testing.T) {
			path := filepath.Join(root, m.File)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(text), m.Old); n != 1 {
				t.Fatalf("%s has %d places for it, want 1: %q", m.File, n, m.Old)
			}
			if *all {
				t.Log(caught(t, root, path, strings.Replace(string(text), m.Old, m.New, 1)))
			}
		})
	}
}

var told = regexp.MustCompile(`(?m)CAUGHT (.*)$`)

// caught runs the simulator with the changed file and returns what objected.
func caught(t *testing.T, root, path, text string) string {
	t.Helper()
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	table, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{changed: text, overlay: string(table)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-overlay", overlay, "-count=1", "-vet=off", "-run", "^TestHarness$", "-v", "./internal/sim")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "SIM_HARNESS=20000")
	out, _ := cmd.CombinedOutput()
	found := told.FindStringSubmatch(string(out))
	if found == nil {
		t.Fatalf("nothing objected:\n%s", out)
	}
	return found[1]
}
