package promql

import (
	"slices"
	"sync"

	"github.com/prometheus/prometheus/promql/parser"
)

// maxTrees is how many expressions a parseCache keeps: those of all rules, each with its
// question about freshness. More are parsed each time.
const maxTrees = 10_000

// parseCache is a parser that keeps what it parsed: rules ask the same questions at each
// evaluation, and parsing was a quarter of the CPU of a test of rules. The engine
// changes the tree that it evaluates, so each call returns a copy.
type parseCache struct {
	parser.Parser
	mu    sync.RWMutex
	trees map[string]parser.Expr
}

func newParseCache() *parseCache {
	return &parseCache{Parser: NewParser(), trees: map[string]parser.Expr{}}
}

// ParseExpr is parser.Parser's.
func (c *parseCache) ParseExpr(expr string) (parser.Expr, error) {
	c.mu.RLock()
	known := c.trees[expr]
	c.mu.RUnlock()
	if known != nil {
		tree, _ := copyTree(known)
		return tree, nil
	}
	tree, err := c.Parser.ParseExpr(expr)
	if err != nil {
		return nil, err
	}
	if kept, ok := copyTree(tree); ok {
		c.mu.Lock()
		if len(c.trees) < maxTrees {
			c.trees[expr] = kept
		}
		c.mu.Unlock()
	}
	return tree, nil
}

// copyTree copies what the engine may change in a tree: every node, and none of what the
// nodes share (functions, matchers). It reports false for a kind of node
// that it does not know.
func copyTree(e parser.Expr) (parser.Expr, bool) {
	all := true
	inner := func(e parser.Expr) parser.Expr {
		if e == nil {
			return nil
		}
		c, ok := copyTree(e)
		all = all && ok
		return c
	}
	duration := func(d *parser.DurationExpr) *parser.DurationExpr {
		if d == nil {
			return nil
		}
		c := *d
		c.LHS, c.RHS = inner(d.LHS), inner(d.RHS)
		return &c
	}
	switch n := e.(type) {
	case *parser.AggregateExpr:
		c := *n
		c.Expr, c.Param, c.Grouping = inner(n.Expr), inner(n.Param), slices.Clone(n.Grouping)
		return &c, all
	case *parser.BinaryExpr:
		c := *n
		c.LHS, c.RHS = inner(n.LHS), inner(n.RHS)
		if n.VectorMatching != nil {
			m := *n.VectorMatching
			m.MatchingLabels, m.Include = slices.Clone(m.MatchingLabels), slices.Clone(m.Include)
			c.VectorMatching = &m
		}
		return &c, all
	case *parser.Call:
		c := *n
		c.Args = slices.Clone(n.Args)
		for i, a := range c.Args {
			c.Args[i] = inner(a)
		}
		return &c, all
	case *parser.DurationExpr:
		return duration(n), all
	case *parser.MatrixSelector:
		c := *n
		c.VectorSelector, c.RangeExpr = inner(n.VectorSelector), duration(n.RangeExpr)
		return &c, all
	case *parser.NumberLiteral:
		c := *n
		return &c, true
	case *parser.ParenExpr:
		c := *n
		c.Expr = inner(n.Expr)
		return &c, all
	case *parser.StringLiteral:
		c := *n
		return &c, true
	case *parser.SubqueryExpr:
		c := *n
		c.Expr, c.RangeExpr, c.OriginalOffsetExpr, c.StepExpr = inner(n.Expr), duration(n.RangeExpr),
			duration(n.OriginalOffsetExpr), duration(n.StepExpr)
		return &c, all
	case *parser.UnaryExpr:
		c := *n
		c.Expr = inner(n.Expr)
		return &c, all
	case *parser.VectorSelector:
		c := *n
		c.OriginalOffsetExpr = duration(n.OriginalOffsetExpr)
		return &c, all
	}
	return e, false
}
