package rules

import (
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"watchdog.io/watchdog/pkg/promql"
)

// alive widens a selector to all that its metric says of the same objects: without
// errors there is no series of errors, and no blindness either, as long as the
// metric has others.
func alive(selector string) string {
	tree, err := promql.NewParser().ParseExpr(selector)
	v, ok := tree.(*parser.VectorSelector)
	if err != nil || !ok || promql.MetricName(selector) == "" {
		return selector
	}
	v.LabelMatchers = slices.DeleteFunc(slices.Clone(v.LabelMatchers), func(m *labels.Matcher) bool {
		return m.Name != model.MetricNameLabel && !slices.Contains(objects, m.Name)
	})
	return v.String()
}

// objects are the labels that say which objects a series is of, and not what
// about them.
var objects = append([]string{"job", "instance", "cluster"}, TargetLabels...)

// Reach returns how far back the rule's expressions look into the samples.
func (r Threshold) Reach() time.Duration {
	furthest := time.Duration(0)
	exprs := []string{r.Expr}
	for _, f := range r.Floor {
		exprs = append(exprs, f.Expr)
	}
	for _, e := range exprs {
		if tree, err := promql.NewParser().ParseExpr(r.expand(e)); err == nil {
			furthest = max(furthest, promql.Reach(tree))
		}
	}
	return furthest
}

// freshness returns the expression for the time of the newest sample of a
// selector per target: of the newest of its series, or of the oldest when every
// series counts.
func freshness(selector string, every bool) string {
	if every {
		return "min by (target) (timestamp(" + selector + "))"
	}
	return "max by (target) (timestamp(" + selector + "))"
}
