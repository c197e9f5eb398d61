package promql

import (
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// recorded is how far a series of a recording rule is taken to look back: its
// expression is not at hand, and 5m is the usual window.
const recorded = 5 * time.Minute

// LooksBackTo is how far an expression looks back from the moment at which it is asked:
// the longest way through its ranges, subqueries and offsets.
func LooksBackTo(n parser.Node) time.Duration {
	var own, below time.Duration
	switch n := n.(type) {
	case *parser.MatrixSelector:
		own = n.Range
	case *parser.SubqueryExpr:
		own = n.Range + max(0, n.OriginalOffset)
	case *parser.VectorSelector:
		own = max(0, n.OriginalOffset)
		if strings.Contains(n.Name, ":") {
			own += recorded
		}
	}
	for _, c := range parser.Children(n) {
		below = max(below, LooksBackTo(c))
	}
	return own + below
}
