package rules

import (
	"time"

	"watchdog.io/watchdog/pkg/promql"
)

// spans sets how far the rules of a source look back, through the series that they record.
func spans(groups []*groupState, source string) {
	recorded := map[string]time.Duration{}
	for _, s := range groups {
		if s.Source != source {
			continue
		}
		// Groups are evaluated in their order: what is recorded later is known then.
		for _, r := range s.rules {
			tree, err := promql.NewParser().ParseExpr(r.Expr)
			if err != nil {
				continue
			}
			if r.span = promql.SpanWith(tree, recorded); r.Record != "" {
				recorded[r.Record] = max(recorded[r.Record], r.span)
			}
		}
	}
}
