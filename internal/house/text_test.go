package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sentences are the fields of ours that are written for people: a fact that a program needs
// has a field of its own beside them.
var sentences = []string{"Text", "Reason", "PageReason", "Summary", "Detail", "Why", "Considered", "Refused"}

// searched are the functions that look for something in a text.
var searched = regexp.MustCompile(
	`^(strings\.(Contains|ContainsAny|HasPrefix|HasSuffix|Cut|CutPrefix|CutSuffix|Index|LastIndex|EqualFold|Split|` +
		`SplitN|Fields|TrimPrefix|TrimSuffix)|[a-zA-Z.]*\.(MatchString|FindString|FindStringSubmatch|FindAllString|` +
		`FindStringIndex))$`)

// mayRead are the places that look into such a text all the same, each with its reason.
var mayRead = map[string]string{
	"internal/sim/museum.go: t.Text": "an exhibit demands that people are told these very words",
	"internal/sim/sourceoracle.go: a.Reason": "the simulator's own mark on what it handed in (sourceBlind), not a " +
		"sentence of the product's",
}

// TestNobodyReadsASentenceToLearnAFact: `watchdog backtest` once read the action out of a
// guard's sentence, and a target called restart-api made a scale a restart.
func TestNobodyReadsASentenceToLearnAFact(t *testing.T) {
	used := map[string]bool{}
	for _, s := range sources(t, false, "pkg", "internal", "cmd") {
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, "../../"+s.file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 || !searched.MatchString(printed(set, call.Fun)) {
				return true
			}
			for _, arg := range call.Args[:1] {
				x, ok := ast.Unparen(arg).(*ast.SelectorExpr)
				if !ok || !slices.Contains(sentences, x.Sel.Name) {
					continue
				}
				place := s.file + ": " + printed(set, x)
				if _, may := mayRead[place]; may {
					used[place] = true
					continue
				}
				t.Errorf("%s: %s reads a sentence; give the fact a field (pkg/incident/timeline.go has the "+
					"pattern), or say in mayRead why not",
					set.Position(call.Pos()), printed(set, call))
			}
			return true
		})
	}
	for _, place := range slices.Sorted(maps.Keys(mayRead)) {
		if !used[place] {
			t.Errorf("mayRead has %s, which reads nothing", place)
		}
	}
}

func printed(set *token.FileSet, n ast.Node) string {
	var b strings.Builder
	if err := printer.Fprint(&b, set, n); err != nil {
		return fmt.Sprint(err)
	}
	return b.String()
}
