package rules

import (
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"watchdog.io/watchdog/pkg/promql"
)

// compiled is a rule ready to be asked.
type compiled struct {
	Threshold
	value  string
	floors []string
	// needed are the selectors of all expressions, and fresh the questions for their newest samples.
	needed []string
	// metrics are the names that all expressions ask for; anyMetric: one asks for no fixed name.
	metrics   []string
	anyMetric bool
	fresh     []string
	lookback  time.Duration // of the value, with the greatest age of a sample
	// narrowable: the questions may be limited to some targets.
	narrowable bool
	span       time.Duration  // how far the expression looks back
	index      map[string]int // target → position in Targets and cells
	cells      []*cell
	failing    atomic.Pointer[Failure] // its questions could not be answered last time; nil: they could
	series     ruleMetrics
	plan       *plan // nil: it is judged moment by moment
}

// compile checks a rule and prepares its questions and its alerts.
func compile(r Threshold) (*compiled, error) {
	c, err := prepare(r)
	if err != nil {
		return nil, err
	}
	c.place(nil)
	return c, nil
}

// prepare checks a rule and prepares its questions.
func prepare(r Threshold) (*compiled, error) {
	r = r.withDefaults()
	if err := r.check(); err != nil {
		return nil, err
	}
	c := &compiled{Threshold: r, value: r.expand(r.Expr), narrowable: r.Source == Local}
	c.span = promql.Span(c.value)
	var selectors []string
	parse := func(expr string) error {
		tree, err := promql.NewParser().ParseExpr(expr)
		if err != nil {
			return fmt.Errorf("rule %q: expr %s: %w", r.Name, promql.Brief(expr), err)
		}
		if err := experimental(tree, r.Source); err != nil {
			return fmt.Errorf("rule %q: expr %s: %w", r.Name, promql.Brief(expr), err)
		}
		if tree.Type() != parser.ValueTypeVector {
			return fmt.Errorf("rule %q: %w", r.Name, promql.WrongType(expr, string(tree.Type())))
		}
		c.narrowable = c.narrowable && promql.ByTarget(tree)
		c.lookback = max(c.lookback, promql.LooksBackTo(tree)+r.Staleness)
		selectors = append(selectors, promql.Needed(tree)...)
		names, unnamed := promql.Metrics(expr)
		c.metrics, c.anyMetric = append(c.metrics, names...), c.anyMetric || unnamed
		return nil
	}
	if err := parse(c.value); err != nil {
		return nil, err
	}
	for _, f := range r.Floor {
		expr := r.expand(f.Expr)
		if err := parse(expr); err != nil {
			return nil, err
		}
		c.floors = append(c.floors, expr)
	}
	slices.Sort(selectors)
	c.needed = slices.Compact(selectors)
	for _, s := range c.needed {
		c.fresh = append(c.fresh, freshness(s, r.EverySeries))
	}
	return c, nil
}

// alike is how many rules place looks back at.
const alike = 32

// place gives the rule a cell for each of its targets. Rules of the same targets, as those
// that a configuration applies to all targets, share their names and their index.
func (c *compiled) place(before []*compiled) {
	before = before[max(0, len(before)-alike):]
	if i := slices.IndexFunc(before, func(o *compiled) bool { return slices.Equal(o.Targets, c.Targets) }); i >= 0 {
		c.Targets, c.index = before[i].Targets, before[i].index
	} else {
		c.index = make(map[string]int, len(c.Targets))
		for i, t := range c.Targets {
			c.index[t] = i
		}
	}
	cells := make([]cell, len(c.Targets))
	c.cells = make([]*cell, len(cells))
	for i, t := range c.Targets {
		cells[i] = cell{rule: c, target: t}
		c.cells[i] = &cells[i]
	}
}

// judgesAlike reports whether two rules differ at most in their targets.
func judgesAlike(a, b Threshold) bool {
	a.Targets, b.Targets = nil, nil
	return reflect.DeepEqual(a, b)
}

// asksAs reports whether two rules ask the same of the same source.
func (c *compiled) asksAs(o *compiled) bool {
	return c.Source == o.Source && c.value == o.value && slices.Equal(c.floors, o.floors) &&
		slices.Equal(c.fresh, o.fresh)
}

// Check returns why the rule would not load, or nil. It needs no source.
func Check(r Threshold) error {
	_, err := prepare(r)
	return err
}
