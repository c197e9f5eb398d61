package promql

import (
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// Span is how far an expression looks back: for so long the past may hold its condition
// up after the cause has gone. Of `and` the shorter side ends it.
func Span(expr string) time.Duration {
	tree, err := NewParser().ParseExpr(expr)
	if err != nil {
		return 0 // whoever loads it says so
	}
	return SpanWith(tree, nil)
}

// SpanWith is Span of a parsed expression; recorded are the spans of recorded series, by name.
func SpanWith(n parser.Node, recorded map[string]time.Duration) time.Duration {
	own := time.Duration(0)
	switch n := n.(type) {
	case *parser.VectorSelector:
		return recorded[MetricName(n.String())]
	case *parser.MatrixSelector:
		own = n.Range
	case *parser.SubqueryExpr:
		own = n.Range
	case *parser.BinaryExpr:
		switch n.Op {
		case parser.LAND:
			return min(SpanWith(n.LHS, recorded), SpanWith(n.RHS, recorded))
		case parser.LUNLESS:
			return SpanWith(n.LHS, recorded)
		}
	}
	furthest := time.Duration(0)
	for _, c := range parser.Children(n) {
		furthest = max(furthest, SpanWith(c, recorded))
	}
	return own + furthest
}
