package rules

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"watchdog.io/watchdog/pkg/promql"
)

// Some exporters write a series only while something is bad: kube-state-metrics a waiting
// container's reason, or a failed Job. When it is gone, the exporter says that all is
// well, if it can be shown to be up, read, and silent. Prometheus writes `up` for each
// target that it scrapes; by the labels job and instance it belongs to the series.

// upFor is how long what writes a series must have been up without a break: one that has
// just started may not know yet what is bad.
const upFor = "5m"

// writers returns selectors of `up` for what writes the series of a selector, the
// narrowest first: with the instance, and with the job alone. Labels of a series of it, if
// known, say more than the selector. None: it is not known who writes it.
func writers(selector string, series labels.Labels) []string {
	tree, err := promql.NewParser().ParseExpr(selector)
	v, ok := tree.(*parser.VectorSelector)
	if err != nil || !ok {
		return nil
	}
	of := func(name string) []*labels.Matcher {
		if value := series.Get(name); value != "" {
			return []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, name, value)}
		}
		var found []*labels.Matcher
		for _, m := range v.LabelMatchers {
			if m.Name == name && !m.Matches("") {
				found = append(found, m)
			}
		}
		return found
	}
	job, instance, cluster := of("job"), of("instance"), of("cluster")
	if len(job) == 0 {
		return nil
	}
	up := func(more ...*labels.Matcher) string {
		return (&parser.VectorSelector{Name: "up",
			LabelMatchers: append([]*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel,
				"up")}, more...)}).String()
	}
	wide := slices.Concat(job, cluster)
	if len(instance) == 0 {
		return []string{up(wide...)}
	}
	return []string{up(slices.Concat(wide, instance)...), up(wide...)}
}

// isUp reports whether what a selector of `up` selects is up now, and was all the while.
// known: there is something that it selects.
func isUp(ask func(string) ([]promql.Point, error), up string) (yes, known bool, err error) {
	now, err := ask(up)
	if err != nil || len(now) == 0 {
		return false, false, err
	}
	before, err := ask(fmt.Sprintf("min_over_time(%s[%s])", up, upFor))
	down := func(p promql.Point) bool { return p.Value != 1 }
	return err == nil && !slices.ContainsFunc(now, down) && !slices.ContainsFunc(before, down), true, err
}

// silent reports whether what wrote the series of an alert is up and writes none for it
// any more.
func (m *missing) silent(selector string, a Instance) bool {
	for _, up := range writers(selector, a.Series) {
		yes, asked := m.up[up]
		if !asked {
			var known bool
			yes, known, m.err = isUp(m.q.query, up)
			if m.err != nil {
				return false
			}
			if !known {
				continue // that instance is gone: the others of the job speak
			}
			m.up[up] = yes
		}
		return yes
	}
	return false
}

// silence finds out, if a target has no value, which selectors without data belong to
// something that is up. It asks only of a server, which alone knows `up`.
func (a *answers) silence(ctx context.Context, ask promql.QueryFunc, c *compiled, at time.Time) error {
	if c.Source != Prometheus || !slices.ContainsFunc(a.value, func(r reading) bool { return r.n == 0 }) {
		return nil
	}
	a.silent = make([]bool, len(c.needed))
	for k, sel := range c.needed {
		for _, up := range writers(sel, labels.EmptyLabels()) {
			yes, known, err := isUp(func(expr string) ([]promql.Point, error) { return ask(ctx, expr, at) }, up)
			if err != nil {
				return err
			}
			if known {
				a.silent[k] = yes
				break
			}
		}
	}
	return nil
}

// quiet reports whether a target has no value because what writes its series has nothing
// to say of it: each of them is written for it, or its writer is up.
func (a *answers) quiet(i int) bool {
	for k := range a.silent {
		if math.IsNaN(a.at(k, i)) && !a.silent[k] {
			return false
		}
	}
	return len(a.silent) > 0
}
