package lint

import (
	"fmt"
	"strings"
)

// renamedMetrics are watchdog's own metrics that had another name in an earlier version:
// the old name, or its beginning, and what stands there now.
var renamedMetrics = []struct{ old, now string }{
	{"watchdog_hints_", "watchdog_ingest_"},
	{"watchdog_words_total", "watchdog_responder_actions_total"},
}

// renamedMetric finds expressions on a metric under its old name: they are valid, and
// select nothing.
func (c *checker) renamedMetric() {
	note := func(where, expr string) {
		for _, name := range metrics(expr) {
			for _, r := range renamedMetrics {
				if rest, ok := strings.CutPrefix(name, r.old); ok {
					c.add(where, "%s was renamed to %s", name, r.now+rest)
				}
			}
		}
	}
	for _, r := range c.policy.Rules {
		note("threshold "+r.Name, r.Text())
	}
	for _, g := range c.policy.Groups {
		for _, r := range g.Rules {
			note(fmt.Sprintf("%s:%d", g.File, r.Line), r.Expr)
		}
	}
}
