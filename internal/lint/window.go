package lint

import (
	"fmt"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/rules"
)

// noWindow looks at rule files: a threshold without `for` is not valid.
func (c *checker) noWindow() {
	for _, g := range c.policy.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || r.For > 0 || c.looksBack(r.Expr, map[string]bool{}) {
				continue
			}
			if k := c.cfg.RouteOf(labelsOf(r)); k >= 0 && acts(c.cfg.Routes[k].Ladder) {
				c.add(fmt.Sprintf("%s:%d", g.File, r.Line),
					"alert %s has no `for`, %s has no range, and routes[%d] acts on it: a single sample triggers "+
						"the action; set `for`, or use a range as in avg_over_time(…[5m])", r.Alert,
					promql.Brief(r.Expr),
					k)
			}
		}
	}
}

// labelsOf are the labels that an alert has whatever its series is.
func labelsOf(r rules.Rule) map[string]string {
	l := r.Labels.Map()
	l[model.AlertNameLabel] = r.Alert
	return l
}

// ranged reports whether an expression looks at more than one sample of a series.
func ranged(expr string) bool {
	found := false
	inspect(expr, func(n parser.Node) {
		switch n.(type) {
		case *parser.MatrixSelector, *parser.SubqueryExpr:
			found = true
		}
	})
	return found
}

func inspect(expr string, f func(parser.Node)) {
	tree, err := promql.NewParser().ParseExpr(expr)
	if err != nil {
		return // whoever loads it says so
	}
	parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error { f(n); return nil })
}
