package promql

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"watchdog.io/watchdog/pkg/storage"
)

func parsed(t testing.TB, expr string) parser.Expr {
	t.Helper()
	tree, err := NewParser().ParseExpr(expr)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestNarrowingLimitsEverySelector(t *testing.T) {
	for _, tc := range []struct {
		expr    string
		targets []string
		want    string
	}{
		{`x`, []string{"a"}, `x{target="a"}`},
		{`sum by (target) (rate(x{code="500"}[5m])) / y offset 1m`, []string{"a"},
			`sum by (target) (rate(x{code="500",target="a"}[5m])) / y{target="a"} offset 1m`},
		{`x{target="b"}`, []string{"a"}, `x{target="a",target="b"}`},
		{`x`, []string{"a.b", `c"} or y{z="`}, `x{target=~"a\\.b|c\"\\} or y\\{z=\""}`},
	} {
		got, err := Narrow(tc.expr, tc.targets)
		if err != nil || got != tc.want {
			t.Errorf("%s: %s, %v, want %s", tc.expr, got, err, tc.want)
		}
	}
}

func TestOnlyExpressionsLocalToATargetAreNarrowed(t *testing.T) {
	for expr, want := range map[string]bool{
		`x`:                                      true,
		`max by (target) (avg_over_time(x[5m]))`: true,
		`sum without (pod) (x)`:                  true,
		`x / y`:                                  true,
		`x / on (target) group_left y`:           true,
		`x * 2 > bool 1`:                         true,
		`x / ignoring (pod) y`:                   true,
		`label_replace(x, "pod", "$1", "target", "(.*)")`: true,
		`sum(x)`:                   false,
		`sum without (target) (x)`: false,
		`x / on (pod) y`:           false,
		`x / ignoring (target) y`:  false,
		`x > scalar(max(x))`:       false,
		`topk(3, x)`:               false,
		`absent(x{target="a"})`:    false,
		`label_replace(x, "target", "$1", "service", "(.*)")`: false,
		`label_join(x, "target", "-", "a", "b")`:              false,
	} {
		if got := ByTarget(parsed(t, expr)); got != want {
			t.Errorf("%s: %t, want %t", expr, got, want)
		}
	}
}

func TestNeededSelectorsAreThoseAValueCannotDoWithout(t *testing.T) {
	for expr, want := range map[string][]string{
		`x`:                               {"x"},
		`avg_over_time(x{a="b"}[5m]) / y`: {`x{a="b"}`, "y"},
		`max_over_time(rate(x[1m])[5m:])`: {"x"},
		`x or y`:                          nil,
		`x unless y`:                      {"x"},
		`x and y`:                         {"x", "y"},
		`absent(x)`:                       nil,
		`x - x offset 1h`:                 {"x"},
		`x @ 0 + max_over_time(y[1m:] offset 1h)`: nil,
	} {
		if d := cmp.Diff(want, Needed(parsed(t, expr))); d != "" {
			t.Errorf("%s: %s", expr, d)
		}
	}
}

// SEC-17: the name of a target changes nothing in the tree but the value of the
// matcher it was put into.
func FuzzLabelMatcherInjection(f *testing.F) {
	for _, s := range []string{"a", "", `"`, `\`, "`", `"} or vector(1) #`, "a|b", ".*", "\n", "\x00", "\xff", "日本"} {
		f.Add(s, "other")
	}
	const expr = `sum by (target) (rate(x{code="500"}[5m])) / on (target) y`
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, targets := range [][]string{{a}, {a, b}} {
			text, err := Narrow(expr, targets)
			if err != nil {
				continue // a name that is not UTF-8 cannot be in a query
			}
			tree, err := NewParser().ParseExpr(text)
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			each(tree, func(n parser.Node) {
				s, ok := n.(*parser.VectorSelector)
				if !ok {
					return
				}
				i := slices.IndexFunc(s.LabelMatchers, func(m *labels.Matcher) bool { return m.Name == storage.TargetLabel })
				if i < 0 {
					t.Fatalf("%q: %s is not limited", text, s)
				}
				m := s.LabelMatchers[i]
				for _, name := range targets {
					if !m.Matches(name) {
						t.Errorf("%s does not match %q", m, name)
					}
				}
				if other := a + b + "!"; m.Matches(other) && !slices.Contains(targets, other) {
					t.Errorf("%s matches %q", m, other)
				}
				s.LabelMatchers = slices.Delete(s.LabelMatchers, i, i+1)
			})
			if got, want := tree.String(), parsed(t, expr).String(); got != want {
				t.Errorf("without the matcher: %s, want %s", got, want)
			}
		}
	})
}
