package engine

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"watchdog.io/watchdog/pkg/incident"
)

// TestEveryEffectOfTheCoreIsInTheTable: one that is missing would stop an op at run time, and not before.
func TestEveryEffectOfTheCoreIsInTheTable(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../incident/event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Effect" {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if n++; effectTable[incident.Effect(value)] == nil {
			t.Errorf("nothing performs the effect %s", value)
		}
		return true
	})
	if n != len(effectTable) || n == 0 {
		t.Errorf("the core knows %d effects, the table has %d", n, len(effectTable))
	}
}
