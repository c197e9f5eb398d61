package rules

import (
	"context"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"watchdog.io/watchdog/pkg/promql"
)

// tolerant takes answers with PromQL's own warnings as good, as Prometheus does
// in rules.
func tolerant(ask promql.QueryFunc) promql.QueryFunc {
	return func(ctx context.Context, expr string, at time.Time) ([]promql.Point, error) {
		points, err := ask(ctx, expr, at)
		if promql.Warned(err) {
			err = nil
		}
		return points, err
	}
}

// experimental returns why an expression cannot be used with a source.
func experimental(tree parser.Expr, source string) error {
	if source == Prometheus {
		return nil
	}
	return promql.Experimental(tree)
}
