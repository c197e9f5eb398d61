package history

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	promstorage "github.com/prometheus/prometheus/storage"

	"watchdog.io/watchdog/pkg/promql"
)

// Instant answers the usual expressions over samples at one moment by itself, and leaves the
// others to the engine, of which most of the time goes into preparing a question. The answers
// are the same (TestRowsAreTheEngines).
func Instant(raw promstorage.Queryable, engine promql.QueryFunc) promql.QueryFunc {
	var mu sync.Mutex
	trees := map[string]parser.Expr{} // nil: left to the engine
	parse := func(expr string) parser.Expr {
		mu.Lock()
		defer mu.Unlock()
		tree, known := trees[expr]
		if !known {
			tree, _ = promql.NewParser().ParseExpr(expr) // the engine gives the error in its words
			trees[expr] = tree
		}
		return tree
	}
	return func(ctx context.Context, expr string, at time.Time) ([]promql.Point, error) {
		tree := parse(expr)
		if tree == nil || promql.IsLimited(ctx) || fixed(expr) {
			return engine(ctx, expr, at)
		}
		rows, err := evaluateTree(ctx, raw, tree, grid{start: at.UnixMilli(), step: 1, n: 1})
		if err != nil {
			return engine(ctx, expr, at)
		}
		return (&promql.Page{Rows: rows}).Points(0), nil
	}
}
