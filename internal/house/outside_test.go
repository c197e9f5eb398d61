package house

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// found are the rows of docs/outside.md: what was found from outside, by number.
var found = map[string][][2]int{
	"X": {{1, 6}, {10, 16}, {20, 29}, {30, 33}, {40, 45}, {50, 62}, {70, 82}, {90, 105}},
	"A": {{0, 8}},
	"S": {{1, 12}, {15, 16}, {19, 25}},
}

var (
	outsideRow  = regexp.MustCompile(`^\| *([XAS][0-9]+) *\|([^|]*)\|([^|]*)\|([^|]*)\|$`)
	outsideFile = regexp.MustCompile("`(test/outside/[a-z0-9.-]+\\.txtar)`")
)

// TestEveryFindIsHeldByATest: docs/outside.md has each find once, with a test that
// exists, or the reason why there is none.
func TestEveryFindIsHeldByATest(t *testing.T) {
	b, err := os.ReadFile("../../docs/outside.md")
	if err != nil {
		t.Fatal(err)
	}
	exists, rows, named := testFunctions(t), map[string]int{}, map[string]bool{}
	rowsOf, _, _ := strings.Cut(string(b), "\n## ") // what follows is about the simulator
	for line := range strings.Lines(rowsOf) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| X") && !strings.HasPrefix(line, "| A") && !strings.HasPrefix(line, "| S") {
			continue
		}
		m := outsideRow.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("a row has id, what happened, who met it, held by: %.80s", line)
			continue
		}
		rows[m[1]]++
		for _, name := range testName.FindAllStringSubmatch(m[4], -1) {
			if !exists[name[1]] {
				t.Errorf("%s: no test is called %s", m[1], name[1])
			}
		}
		for _, file := range outsideFile.FindAllStringSubmatch(m[4], -1) {
			named[file[1]] = true
			if _, err := os.Stat("../../" + file[1]); err != nil {
				t.Errorf("%s: %v", m[1], err)
			}
		}
		if !testName.MatchString(m[4]) && !outsideFile.MatchString(m[4]) && !strings.Contains(m[4], "Not held: ") {
			t.Errorf(`%s names no test and does not say "Not held: …"`, m[1])
		}
	}
	for letter, spans := range found {
		for _, s := range spans {
			for n := s[0]; n <= s[1]; n++ {
				id := fmt.Sprintf("%s%02d", letter, n)
				if letter == "A" {
					id = fmt.Sprintf("A%d", n)
				}
				if rows[id] != 1 {
					t.Errorf("%s has %d rows, want 1", id, rows[id])
				}
			}
		}
	}
	files, err := filepath.Glob("../../test/outside/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in test/outside: %v", err)
	}
	for _, f := range files {
		if name := "test/outside/" + filepath.Base(f); !named[name] {
			t.Errorf("docs/outside.md does not name %s", name)
		}
	}
}
