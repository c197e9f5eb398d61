package rules

import (
	"os"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"

	"watchdog.io/watchdog/pkg/promql"
)

// The alerts on watchdog itself load as Prometheus loads them, and each asks for
// metrics that are there, by labels that they have.
func TestTheShippedAlertsOnWatchdogAskForWhatIsThere(t *testing.T) {
	groups, err := ReadFile("../../deploy/helm/watchdog/rules/watchdog.yaml", Prometheus)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) > 4 && strings.HasPrefix(line, "| `") {
			labels[strings.Trim(cells[1], " `")] = strings.Trim(cells[3], " `")
		}
	}
	n := 0
	for _, g := range groups {
		for _, r := range g.Rules {
			expr, err := promql.NewParser().ParseExpr(r.Expr)
			if err != nil {
				t.Fatal(err)
			}
			has := "namespace, job, instance, pod"
			parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
				switch x := node.(type) {
				case *parser.VectorSelector:
					l, there := labels[x.Name]
					if has += ", " + l; !there {
						t.Errorf("%s: %s is not in docs/metrics.md", r.Alert, x.Name)
					}
					n++
				}
				return nil
			})
			parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
				if x, ok := node.(*parser.AggregateExpr); ok {
					for _, l := range x.Grouping {
						if !strings.Contains(", "+has+",", ", "+l+",") {
							t.Errorf("%s: nothing it asks for has the label %s", r.Alert, l)
						}
					}
				}
				return nil
			})
			if r.Annotations.Get("summary") == "" || r.Annotations.Get("description") == "" || r.Labels.Get("severity") == "" {
				t.Errorf("%s: summary, description and severity are needed at three in the morning", r.Alert)
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d metrics are asked for", n)
	}
}
