package web

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// What a question to Prometheus' API may cost (SEC-29). Whoever can ask must not be able to
// take the memory and the processor that pages need.
const (
	// maxQuery is how long a query may be, in bytes.
	maxQuery = 16 << 10
	// maxNesting is how deep its brackets may be nested: the time to write a query down grows
	// with the third power of that.
	maxNesting = 100
	// maxSteps is how many steps a subquery may have, those of the questions around it included.
	maxSteps = 50_000
	// maxAsked is how many questions are answered at once, and maxWait how long others wait.
	maxAsked = 4
	maxWait  = 10 * time.Second
	// subqueryStep is the step of a subquery that gives none.
	subqueryStep = 15 * time.Second
)

// seats let a few questions in at a time. The zero value lets none in.
type seats chan struct{}

// take waits for one; the caller gives it back.
func (t seats) take(ctx context.Context) (back func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, apiError{canceled, ctx.Err()}
	}
	return nil, apiError{timedOut, fmt.Errorf("too many concurrent queries (%d): none finished within %s; retry later",
		cap(t), maxWait)}
}

// admit looks at the text of a query before anything is made of it.
func admit(query string) error {
	if len(query) > maxQuery {
		return invalid("query", fmt.Errorf("query has %d bytes; the limit is %d", len(query), maxQuery))
	}
	depth := 0
	for _, c := range query {
		switch c {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		}
		if depth > maxNesting {
			return invalid("query", fmt.Errorf("brackets are nested more than %d levels deep", maxNesting))
		}
	}
	return nil
}

// affordable holds the subqueries of a query that is asked over a span against maxSteps.
func affordable(query parser.Expr, span time.Duration) error {
	var refusal error
	parser.Inspect(query, func(n parser.Node, path []parser.Node) error {
		sub, ok := n.(*parser.SubqueryExpr)
		if !ok {
			return nil
		}
		over, step := span.Seconds()+sub.Range.Seconds(), sub.Step
		for _, around := range path {
			if x, ok := around.(*parser.SubqueryExpr); ok {
				over += x.Range.Seconds()
			}
		}
		if step <= 0 {
			step = subqueryStep
		}
		if steps := over / step.Seconds(); steps > maxSteps {
			refusal = invalid("query", fmt.Errorf("subquery %.100s has %.0f steps; the limit is %d: use a longer "+
				"step or a shorter range", sub, steps, maxSteps))
		}
		return nil
	})
	return refusal
}
