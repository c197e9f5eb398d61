package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/rules"
)

// ignoredField names what a rule file holds for Thanos, Mimir or vmalert.
func (c *checker) ignoredField() {
	type field struct{ file, name, by string }
	var order []field
	lines := map[field][]string{}
	for _, g := range c.policy.Groups {
		for _, x := range g.Ignored {
			f := field{g.File, x.Field, x.By}
			if lines[f] == nil {
				order = append(order, f)
			}
			lines[f] = append(lines[f], fmt.Sprint(x.Line))
		}
	}
	for _, f := range order {
		c.add(f.file, "field %s is supported by %s only and is ignored (%s)", f.name, f.by, onLines(lines[f]))
	}
}

// onLines names the first lines of many.
func onLines(lines []string) string {
	const most = 3
	switch n := len(lines); {
	case n == 1:
		return "line " + lines[0]
	case n > most:
		return fmt.Sprintf("lines %s and %d more", strings.Join(lines[:most], ", "), n-most)
	}
	return "lines " + strings.Join(lines, ", ")
}

// unknownInFiles finds the rule files of the embedded engine with metrics that nobody
// writes there: one finding per file, as the mistake is one, usually rule_files where
// prometheus.rule_files is meant.
func (c *checker) unknownInFiles(unknown func(expr string) []string) {
	var files []string
	names, lines := map[string][]string{}, map[string][]string{}
	for _, g := range c.policy.Groups {
		for _, r := range g.Rules {
			if g.Source != rules.Local {
				continue
			}
			all := unknown(r.Expr)
			if len(all) == 0 {
				continue
			}
			if lines[g.File] == nil {
				files = append(files, g.File)
			}
			lines[g.File] = append(lines[g.File], fmt.Sprint(r.Line))
			for _, m := range all {
				if !slices.Contains(names[g.File], m) {
					names[g.File] = append(names[g.File], m)
				}
			}
		}
	}
	for _, f := range files {
		n, more := names[f], ""
		if len(n) > 3 {
			n, more = n[:3], fmt.Sprintf(" and %d more", len(n)-3)
		}
		c.add(f, "no probe produces %s%s, so the embedded engine has no data for its rules (%s); list the file "+
			"under prometheus.rule_files to query your server", strings.Join(n, ", "), more, onLines(lines[f]))
	}
}

// alwaysFiring looks for alerts that fire whatever is the case: as outside alerts they
// are heartbeats, as alerts of a rule file an incident that never ends.
func (c *checker) alwaysFiring() {
	for _, g := range c.policy.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" && constant(r.Expr) {
				c.add(fmt.Sprintf("%s:%d", g.File, r.Line),
					"alert %s selects no series, so it fires always or never, and its incident never ends; to "+
						"monitor alerting itself, use the heartbeat (docs/self-watch.md)", r.Alert)
			}
		}
	}
}

// constant reports whether an expression looks at no series.
func constant(expr string) bool {
	found := false
	inspect(expr, func(n parser.Node) {
		if _, ok := n.(*parser.VectorSelector); ok {
			found = true
		}
	})
	return !found
}

// noTargetLabel looks for routes that act on alerts whose expression drops every label
// that could name a target.
func (c *checker) noTargetLabel() {
	for _, g := range c.policy.Groups {
		for _, r := range g.Rules {
			k := c.cfg.RouteOf(labelsOf(r))
			if r.Alert == "" || k < 0 || !acts(c.cfg.Routes[k].Ladder) {
				continue
			}
			tree, err := promql.NewParser().ParseExpr(r.Expr)
			if err != nil {
				continue // whoever loads it says so
			}
			has := carried(tree)
			if has.any || slices.ContainsFunc(rules.TargetLabels, func(l string) bool {
				return l != "namespace" && (slices.Contains(has.names, l) || r.Labels.Get(l) != "")
			}) {
				continue
			}
			c.add(fmt.Sprintf("%s:%d", g.File, r.Line),
				"routes[%d] acts on %s, but its expression has no label that identifies a target (labels: %s); add "+
					"namespace and deployment, or pod, to `by` or to the labels of the rule", k, r.Alert, has)
		}
	}
}

// labelSet are the labels that an expression's series can have.
type labelSet struct {
	any   bool // those of the stored series, which are not known here
	names []string
}

func (s labelSet) String() string {
	if len(s.names) == 0 {
		return "none"
	}
	return strings.Join(s.names, ", ")
}

// carried is what labels the series of an expression can have.
func carried(n parser.Expr) labelSet {
	switch n := n.(type) {
	case *parser.ParenExpr:
		return carried(n.Expr)
	case *parser.UnaryExpr:
		return carried(n.Expr)
	case *parser.StepInvariantExpr:
		return carried(n.Expr)
	case *parser.SubqueryExpr:
		return carried(n.Expr)
	case *parser.VectorSelector, *parser.MatrixSelector:
		return labelSet{any: true}
	case *parser.AggregateExpr:
		return ofAggregate(n)
	case *parser.BinaryExpr:
		return ofBinary(n)
	case *parser.Call:
		return ofCall(n)
	}
	return labelSet{}
}

func ofAggregate(n *parser.AggregateExpr) labelSet {
	inner := carried(n.Expr)
	switch {
	case n.Op == parser.TOPK || n.Op == parser.BOTTOMK || n.Op == parser.LIMITK || n.Op == parser.LIMIT_RATIO:
		return inner
	case n.Without:
		inner.names = slices.DeleteFunc(slices.Clone(inner.names),
			func(l string) bool { return slices.Contains(n.Grouping, l) })
		return inner
	case inner.any:
		return labelSet{names: slices.Clone(n.Grouping)}
	}
	return labelSet{names: slices.DeleteFunc(slices.Clone(n.Grouping),
		func(l string) bool { return !slices.Contains(inner.names, l) })}
}

func ofBinary(n *parser.BinaryExpr) labelSet {
	left, right := carried(n.LHS), carried(n.RHS)
	switch m := n.VectorMatching; {
	case n.LHS.Type() == parser.ValueTypeScalar:
		return right
	case m == nil || n.RHS.Type() == parser.ValueTypeScalar || n.Op == parser.LAND || n.Op == parser.LUNLESS:
		return left
	case n.Op == parser.LOR:
		return labelSet{left.any || right.any, slices.Concat(left.names, right.names)}
	case m.Card == parser.CardManyToOne:
		return labelSet{left.any, slices.Concat(left.names, m.Include)}
	case m.Card == parser.CardOneToMany:
		return labelSet{right.any, slices.Concat(right.names, m.Include)}
	case m.On:
		return labelSet{names: slices.Clone(m.MatchingLabels)}
	default:
		return left
	}
}

func ofCall(n *parser.Call) labelSet {
	switch n.Func.Name {
	case "absent", "absent_over_time":
		var s labelSet
		parser.Inspect(n, func(x parser.Node, _ []parser.Node) error {
			if v, ok := x.(*parser.VectorSelector); ok {
				for _, m := range v.LabelMatchers {
					if m.Type == 0 && m.Name != model.MetricNameLabel {
						s.names = append(s.names, m.Name)
					}
				}
			}
			return nil
		})
		return s
	case "label_replace", "label_join":
		s := carried(n.Args[0])
		if to, ok := n.Args[1].(*parser.StringLiteral); ok {
			s.names = append(slices.Clone(s.names), to.Val)
		}
		return s
	case "scalar", "time", "vector", "pi":
		return labelSet{}
	}
	for _, a := range n.Args {
		if t := a.Type(); t == parser.ValueTypeVector || t == parser.ValueTypeMatrix {
			return carried(a)
		}
	}
	return labelSet{}
}

// looksBack reports whether an expression looks at more than one sample of a series,
// itself or through a series that a rule of the file records over a range.
func (c *checker) looksBack(expr string, seen map[string]bool) bool {
	if ranged(expr) {
		return true
	}
	for _, m := range metrics(expr) {
		if seen[m] {
			continue
		}
		seen[m] = true
		for _, g := range slices.Concat(c.policy.Groups, c.policy.SLOs) {
			for _, r := range g.Rules {
				if r.Record == m && c.looksBack(r.Expr, seen) {
					return true
				}
			}
		}
	}
	return false
}
