package promql

import (
	"github.com/prometheus/prometheus/promql/parser"
)

// Condition is a comparison with a number at the top of an expression: Value is
// PromQL of what is compared, and Holds says whether a value of it passes. It gives
// what the whole expression would: a comparison only filters.
type Condition struct {
	Value string
	Holds func(v float64) bool
	// Ordered: it holds of no number between two of which it does not hold.
	Ordered bool
}

// ConditionOf splits an expression; false if it ends in anything else.
func ConditionOf(expr string) (Condition, bool) {
	tree, err := NewParser().ParseExpr(expr)
	if err != nil {
		return Condition{}, false
	}
	c := TopComparison(tree)
	if c == nil {
		return Condition{}, false
	}
	holds := map[parser.ItemType]func(v float64) bool{
		parser.GTR:  func(v float64) bool { return v > c.Bound },
		parser.GTE:  func(v float64) bool { return v >= c.Bound },
		parser.LSS:  func(v float64) bool { return v < c.Bound },
		parser.LTE:  func(v float64) bool { return v <= c.Bound },
		parser.EQLC: func(v float64) bool { return v == c.Bound },
		parser.NEQ:  func(v float64) bool { return v != c.Bound },
	}[c.Op]
	return Condition{Value: c.Value, Holds: holds, Ordered: c.Above || c.Below}, holds != nil
}

// Comparison is the condition at the top of an expression: what is compared, and
// with which number. It tells a condition that ended from data that ended.
type Comparison struct {
	Value string // PromQL of what is compared
	Bound float64
	// Above and Below say on which side of the bound the condition holds; neither: == or !=.
	Above, Below bool
	// Op compares what is compared with Bound, in this order.
	Op parser.ItemType
}

// TopComparison finds the comparison of an expression, nil if it ends in
// anything else.
func TopComparison(tree parser.Expr) *Comparison {
	for {
		p, ok := tree.(*parser.ParenExpr)
		if !ok {
			break
		}
		tree = p.Expr
	}
	b, ok := tree.(*parser.BinaryExpr)
	if !ok || !b.Op.IsComparisonOperator() || b.ReturnBool {
		return nil
	}
	left, right, op := b.LHS, b.RHS, b.Op
	if _, ok := literal(left); ok {
		left, right = right, left
		if turned, is := mirrored[op]; is {
			op = turned
		}
	}
	bound, ok := literal(right)
	if !ok || left.Type() != parser.ValueTypeVector {
		return nil
	}
	return &Comparison{Value: left.String(), Bound: bound, Above: op == parser.GTR || op == parser.GTE,
		Below: op == parser.LSS || op == parser.LTE, Op: op}
}

// mirrored are the comparisons that change when their sides do.
var mirrored = map[parser.ItemType]parser.ItemType{parser.GTR: parser.LSS, parser.LSS: parser.GTR,
	parser.GTE: parser.LTE, parser.LTE: parser.GTE}

// literal returns the number that an expression is.
func literal(e parser.Expr) (float64, bool) {
	switch e := e.(type) {
	case *parser.NumberLiteral:
		return e.Val, true
	case *parser.ParenExpr:
		return literal(e.Expr)
	case *parser.UnaryExpr:
		v, ok := literal(e.Expr)
		if e.Op == parser.SUB {
			v = -v
		}
		return v, ok
	}
	return 0, false
}
