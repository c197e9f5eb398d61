package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	invariants   = 55
	requirements = 39
)

var (
	safetyRow = regexp.MustCompile(`^\| *((?:INV|SEC)-[0-9]+) *\|([^|]*)\|([^|]*)\|$`)
	testName  = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Za-z0-9_]*)`")
)

// TestEveryPromiseNamesItsTests: docs/safety.md has each invariant once, and what
// it says is held by a test is held by one that exists, or is said not to be held.
func TestEveryPromiseNamesItsTests(t *testing.T) {
	b, err := os.ReadFile("../../docs/safety.md")
	if err != nil {
		t.Fatal(err)
	}
	exists, rows := testFunctions(t), map[string]int{}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		for _, m := range testName.FindAllStringSubmatch(line, -1) {
			if !exists[m[1]] {
				t.Errorf("no test is called %s: %.60s…", m[1], line)
			}
		}
		if !strings.HasPrefix(line, "| INV-") && !strings.HasPrefix(line, "| SEC-") {
			continue
		}
		m := safetyRow.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("a row has id, promise, held by: %s", line)
			continue
		}
		rows[m[1]]++
		if strings.TrimSpace(m[2]) == "" {
			t.Errorf("%s promises nothing", m[1])
		}
		held := testName.MatchString(m[3])
		_, missing, open := strings.Cut(strings.ToLower(m[3]), "not held yet:")
		if !held && !open {
			t.Errorf(`%s names no test and does not say "not held yet: …"`, m[1])
		}
		if open && strings.TrimSpace(missing) == "" {
			t.Errorf("%s does not say what is missing", m[1])
		}
	}
	for prefix, last := range map[string]int{"INV": invariants, "SEC": requirements} {
		for n := 1; n <= last; n++ {
			id := fmt.Sprintf("%s-%02d", prefix, n)
			if rows[id] != 1 {
				t.Errorf("%s has %d rows, want 1", id, rows[id])
			}
			delete(rows, id)
		}
	}
	// Those that came later have numbers with gaps.
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		if id < "INV-56" || rows[id] != 1 {
			t.Errorf("%s has %d rows, want 1", id, rows[id])
		}
	}
}

// TestEveryThreatNamesItsTests_SEC39: each threat of docs/threat-model.md names an actor
// of the list above it, a control, and a test that exists or what is open.
func TestEveryThreatNamesItsTests_SEC39(t *testing.T) {
	b, err := os.ReadFile("../../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	exists, section, actors, threats := testFunctions(t), "", map[string]int{}, 0
	for line := range strings.Lines(string(b)) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = strings.TrimSpace(title)
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "| ") || cells[0] == " actor " || cells[0] == " threat " {
			continue
		}
		for k := range cells {
			cells[k] = strings.TrimSpace(cells[k])
		}
		switch section {
		case "Who attacks":
			actors[cells[0]] = 0
		case "Threats":
			threats++
			if len(cells) != 4 || cells[2] == "" {
				t.Errorf("a threat has an actor, a control and what holds it: %s", line)
				continue
			}
			if _, known := actors[cells[1]]; !known {
				t.Errorf("%q is no actor of the list: %s", cells[1], line)
			}
			actors[cells[1]]++
			names := testName.FindAllStringSubmatch(cells[3], -1)
			if len(names) == 0 && !strings.Contains(cells[3], "Open: ") {
				t.Errorf("nothing holds it, and it is not said to be open: %s", line)
			}
			for _, m := range names {
				if !exists[m[1]] {
					t.Errorf("no test is called %s: %s", m[1], line)
				}
			}
		}
	}
	for actor, n := range actors {
		if n == 0 {
			t.Errorf("no threat by %q", actor)
		}
	}
	if threats < 15 {
		t.Errorf("%d threats found: the table cannot be read", threats)
	}
}

// testFunctions are the names of all tests, fuzz targets and benchmarks.
func testFunctions(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, root := range []string{"pkg", "cmd", "internal", "examples", "test"} {
		err := filepath.WalkDir(filepath.Join("../..", root), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, decl := range f.Decls {
				if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
					all[fn.Name.Name] = true
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestEveryFuzzTargetHasACorpus: what was found or thought of once is tried in
// every run of the tests, not only when the fuzzer comes upon it again.
func TestEveryFuzzTargetHasACorpus(t *testing.T) {
	n := 0
	for _, s := range sources(t, true, "pkg", "internal") {
		b, err := os.ReadFile(filepath.Join("../..", s.file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`).FindAllStringSubmatch(string(b), -1) {
			n++
			inputs, err := os.ReadDir(filepath.Join("../..", s.pkg, "testdata", "fuzz", m[1]))
			if err != nil || len(inputs) < 2 || len(inputs) > 20 {
				t.Errorf("%s: %s has %d committed inputs in testdata/fuzz, want 2 to 20 (%v)", s.pkg, m[1], len(inputs),
					err)
			}
		}
	}
	if n < 12 {
		t.Errorf("%d fuzz targets found, want at least 12", n)
	}
}
