package rules

import (
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// Span is how far an expression looks back: for so long the past may hold its condition
// up after the cause has gone. Of `and` the shorter side ends it.
func Span(expr string) time.Duration {
	tree, err := newParser().ParseExpr(expr)
	if err != nil {
		return 0 // whoever loads it says so
	}
	return span(tree, nil)
}

// span is Span; recorded are the spans of recorded series, by name.
func span(n parser.Node, recorded map[string]time.Duration) time.Duration {
	own := time.Duration(0)
	switch n := n.(type) {
	case *parser.VectorSelector:
		return recorded[metricOf(n.String())]
	case *parser.MatrixSelector:
		own = n.Range
	case *parser.SubqueryExpr:
		own = n.Range
	case *parser.BinaryExpr:
		switch n.Op {
		case parser.LAND:
			return min(span(n.LHS, recorded), span(n.RHS, recorded))
		case parser.LUNLESS:
			return span(n.LHS, recorded)
		}
	}
	furthest := time.Duration(0)
	for _, c := range parser.Children(n) {
		furthest = max(furthest, span(c, recorded))
	}
	return own + furthest
}

// spans sets how far the rules of a source look back, through the series that they record.
func spans(groups []*groupState, source string) {
	recorded := map[string]time.Duration{}
	for _, s := range groups {
		if s.Source != source {
			continue
		}
		// Groups are evaluated in their order: what is recorded later is known then.
		for _, r := range s.rules {
			tree, err := newParser().ParseExpr(r.Expr)
			if err != nil {
				continue
			}
			if r.span = span(tree, recorded); r.Record != "" {
				recorded[r.Record] = max(recorded[r.Record], r.span)
			}
		}
	}
}
