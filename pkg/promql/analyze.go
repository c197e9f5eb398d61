package promql

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"watchdog.io/watchdog/pkg/storage"
)

// MaxTargets is how many targets one narrowed query may name: up to 256 the
// engine's matcher lists its values, which the store's index needs.
const MaxTargets = 200

// Narrow returns expr with every selector limited to the given targets. The
// names go into the syntax tree as values of matchers, never into text, so no
// name can change the expression (SEC-17).
func Narrow(expr string, targets []string) (string, error) {
	tree, err := NewParser().ParseExpr(expr)
	if err != nil {
		return "", fmt.Errorf("parse %s: %w", Brief(expr), err)
	}
	m, err := targetMatcher(targets)
	if err != nil {
		return "", err
	}
	each(tree, func(n parser.Node) {
		if s, ok := n.(*parser.VectorSelector); ok {
			s.LabelMatchers = append(slices.Clone(s.LabelMatchers), m)
		}
	})
	return tree.String(), nil
}

// targetMatcher refuses a name that is no UTF-8 or holds the sign for such a
// fault: PromQL's text cannot say it.
func targetMatcher(targets []string) (*labels.Matcher, error) {
	for _, t := range targets {
		if strings.ContainsRune(t, utf8.RuneError) {
			return nil, fmt.Errorf("target %q: its name is not UTF-8, so no query can name it", t)
		}
	}
	if len(targets) == 1 {
		return labels.NewMatcher(labels.MatchEqual, storage.TargetLabel, targets[0])
	}
	quoted := make([]string, len(targets))
	for i, t := range targets {
		quoted[i] = regexp.QuoteMeta(t)
	}
	m, err := labels.NewMatcher(labels.MatchRegexp, storage.TargetLabel, strings.Join(quoted, "|"))
	if err != nil {
		return nil, fmt.Errorf("match %d targets: %w", len(targets), err)
	}
	return m, nil
}

// each calls f for n and everything below it.
func each(n parser.Node, f func(parser.Node)) {
	f(n)
	for _, c := range parser.Children(n) {
		each(c, f)
	}
}

// ByTarget reports whether each target's value depends on that target's series
// alone, so that asking for some targets gives what asking for all gives.
func ByTarget(tree parser.Expr) bool {
	ok := true
	each(tree, func(n parser.Node) {
		switch n := n.(type) {
		case *parser.AggregateExpr:
			ok = ok && slices.Contains(n.Grouping, storage.TargetLabel) != n.Without
		case *parser.BinaryExpr:
			if m := n.VectorMatching; m != nil {
				ok = ok && slices.Contains(m.MatchingLabels, storage.TargetLabel) == m.On
			}
		case *parser.Call:
			ok = ok && keepsTarget(n)
		}
	})
	return ok
}

func keepsTarget(c *parser.Call) bool {
	switch c.Func.Name {
	case "scalar", "absent", "absent_over_time", "info":
		return false
	case "label_replace", "label_join":
		dst, literal := c.Args[1].(*parser.StringLiteral)
		return literal && dst.Val != storage.TargetLabel
	}
	return true
}

// Needed returns the selectors that a value cannot do without, each without
// offset or range, as text. Left out are those whose absence has a meaning
// (absent, the right side of unless, the arms of or) and those that look at
// another time (offset, @), of which freshness says nothing.
func Needed(n parser.Node) []string {
	switch n := n.(type) {
	case *parser.VectorSelector:
		if n.OriginalOffset != 0 || n.Timestamp != nil || n.StartOrEnd != 0 {
			return nil
		}
		return []string{n.String()}
	case *parser.SubqueryExpr:
		if n.OriginalOffset != 0 || n.Timestamp != nil || n.StartOrEnd != 0 {
			return nil
		}
	case *parser.MatrixSelector:
		return Needed(n.VectorSelector)
	case *parser.Call:
		if strings.HasPrefix(n.Func.Name, "absent") {
			return nil
		}
	case *parser.BinaryExpr:
		if n.Op == parser.LUNLESS {
			return Needed(n.LHS)
		}
		if n.Op == parser.LOR {
			return nil
		}
	}
	var found []string
	for _, c := range parser.Children(n) {
		found = append(found, Needed(c)...)
	}
	return found
}

// MetricName returns the metric name that a selector asks for; "" if it names none.
func MetricName(selector string) string {
	tree, err := NewParser().ParseExpr(selector)
	if err != nil {
		return ""
	}
	name := ""
	if v, ok := tree.(*parser.VectorSelector); ok {
		for _, m := range v.LabelMatchers {
			if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
				name = m.Value
			}
		}
	}
	return name
}

// Reach is how far back an expression looks into the samples.
func Reach(n parser.Node) time.Duration {
	own, furthest := time.Duration(0), time.Duration(0)
	switch n := n.(type) {
	case *parser.VectorSelector:
		own = max(0, n.OriginalOffset) + Lookback
	case *parser.MatrixSelector:
		own = n.Range
	case *parser.SubqueryExpr:
		own = n.Range + max(0, n.OriginalOffset)
	}
	for _, c := range parser.Children(n) {
		furthest = max(furthest, Reach(c))
	}
	return own + furthest
}

// Metrics returns the names of the metrics that an expression selects, in order, and
// whether it also selects some by no fixed name.
func Metrics(expr string) (names []string, unnamed bool) {
	tree, err := NewParser().ParseExpr(expr)
	if err != nil {
		return nil, false
	}
	parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			name := v.Name
			for _, m := range v.LabelMatchers {
				if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
					name = m.Value
				}
			}
			if name == "" {
				unnamed = true
			} else {
				names = append(names, name)
			}
		}
		return nil
	})
	slices.Sort(names)
	return slices.Compact(names), unnamed
}
