package mutants

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/sim"
)

var (
	all   = flag.Bool("all", false, "build and run every mutant; otherwise only their places are checked")
	table = flag.Bool("table", false, "write docs/mutants.md")
)

const (
	// budget is how many incidents a mutant may see until it is caught.
	budget = 60_000
	// control is how many are seen without a mutant.
	control = 2_000
	// patience is how long one may take.
	patience = 8 * time.Minute
)

const document = "../../docs/mutants.md"

// TestEveryMutantIsCaught builds the simulator with one bug at a time. `make mutants`
// runs it with -all; otherwise it only checks that each bug still has its place.
func TestEveryMutantIsCaught(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	caught := make([]sim.Catch, len(mutants))
	began := time.Now()
	// The subtests of a group run side by side, as many as there are processors.
	t.Run("mutant", func(t *testing.T) {
		for k, m := range mutants {
			t.Run(m.Name, func(t *testing.T) {
				edits := []edit{{m.File, m.Old, m.New}}
				if second, ok := seconds[m.Name]; ok {
					edits = append(edits, second)
				}
				changed := map[string]string{}
				for _, e := range edits {
					path := filepath.Join(root, e.File)
					text, edited := changed[path]
					if !edited {
						original, err := os.ReadFile(path)
						if err != nil {
							t.Fatal(err)
						}
						text = string(original)
					}
					if n := strings.Count(text, e.Old); n != 1 {
						t.Fatalf("%s has %d places for it, want 1: %q", e.File, n, e.Old)
					}
					changed[path] = strings.Replace(text, e.Old, e.New, 1)
				}
				if !*all {
					return
				}
				t.Parallel()
				caught[k] = hunt(t, root, overlay(t, changed), budget)
				if len(caught[k].By) == 0 {
					t.Errorf("nothing objected within %d worlds, %d incidents", caught[k].Worlds, caught[k].Incidents)
				}
			})
		}
		if *all {
			t.Run("none", func(t *testing.T) {
				t.Parallel()
				if c := hunt(t, root, "", control); len(c.By) > 0 {
					t.Errorf("without a mutant %v objected: %s", c.By, c.Text)
				}
			})
		}
	})
	if !*all {
		return
	}
	rows := rows(caught)
	t.Logf("%d mutants in %s\n%s", len(mutants), time.Since(began).Round(time.Second), rows)
	if *table && !t.Failed() {
		if err := os.WriteFile(document, []byte(page(t, rows)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// overlay returns the build's overlay in which files have another text.
func overlay(t *testing.T, changed map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "overlay.json")
	replace := map[string]string{}
	for path, text := range changed {
		replace[path] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// hunt builds the harness, with the overlay if there is one, and lets it run. Its
// neighbours need the other processors: each has one.
func hunt(t *testing.T, root, overlay string, incidents int) sim.Catch {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	program := filepath.Join(t.TempDir(), "harness")
	build := exec.CommandContext(ctx, "go", "build", "-p", "1", "-ldflags=-s -w", "-overlay="+overlay, "-o", program,
		"./internal/mutants/harness")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	run := exec.CommandContext(ctx, program, strconv.Itoa(incidents))
	run.Env = append(os.Environ(), "GOMAXPROCS=1")
	run.Stderr = os.Stderr
	out, err := run.Output()
	if err != nil {
		t.Fatalf("run: %v\n%s", err, out)
	}
	var c sim.Catch
	if err := json.Unmarshal(out, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// rows is the table, in the order of the list.
func rows(caught []sim.Catch) string {
	var b strings.Builder
	b.WriteString("| bug | caught by | worlds | incidents |\n|---|---|--:|--:|\n")
	for k, c := range caught {
		by := strings.Join(c.By, ", ")
		if by == "" {
			by = "nothing"
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %d |\n", mutants[k].Name, by, c.Worlds, c.Incidents)
	}
	return b.String()
}

// page is docs/mutants.md.
func page(t *testing.T, rows string) string {
	t.Helper()
	commit, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`# Safety bugs that the simulator must catch

Each bug is a few words exchanged in one file (`+"`internal/mutants/list_test.go`"+
		`). The simulator is built with one of them at a time and plays
seeded worlds until something objects: an invariant of [safety.md](safety.md) that is broken; a disruptive action on a
service that was well (harmful); too many curable episodes without an action or a page (missed). Where two places prevent
the same bug, it is built into both (`+"`seconds`"+`). Without a bug, nothing objects within %d incidents. The last two columns count
the worlds and incidents played until something objected, that world included.

%s, commit %s, %s %s/%s:

    make mutants TABLE=1

%s`, control, time.Now().UTC().Format(time.DateOnly),
		strings.TrimSpace(string(commit)), runtime.Version(),
		runtime.GOOS, runtime.GOARCH, rows)
}

// TestTheTableNamesEveryMutant: docs/mutants.md is about this list.
func TestTheTableNamesEveryMutant(t *testing.T) {
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "|--:|\n")
	var have []string
	for line := range strings.Lines(text) {
		have = append(have, strings.TrimSpace(strings.SplitN(line, "|", 3)[1]))
	}
	for k, m := range mutants {
		if k >= len(have) || have[k] != m.Name {
			t.Fatalf("docs/mutants.md has not %q in row %d: run make mutants TABLE=1", m.Name, k+1)
		}
	}
	if len(have) != len(mutants) {
		t.Errorf("docs/mutants.md has %d rows, and there are %d mutants: run make mutants TABLE=1", len(have),
			len(mutants))
	}
}
