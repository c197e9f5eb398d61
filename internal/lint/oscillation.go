package lint

import (
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/incident"
)

func (c *checker) oscillation() {
	for _, t := range c.cfg.Thresholds {
		bound, clear := t.Above, t.ClearBelow
		if bound == nil {
			bound, clear = t.Below, t.ClearAbove
		}
		for _, r := range t.Ladder {
			if r.Action != incident.ActionScale || r.Options.Lease == 0 {
				continue
			}
			lease := time.Duration(r.Options.Lease)
			if again := time.Duration(t.For) + time.Duration(t.Window); lease <= again {
				c.add("threshold "+t.Name,
					"the lease of scale (%s) is not longer than `for` plus the window (%s): it ends while the rule "+
						"still covers the time before; use a longer lease", model.Duration(lease),
					model.Duration(again))
			}
			if bound != nil && (clear == nil || clear.Value == bound.Value) {
				c.add("threshold "+t.Name,
					"scale is reverted when its lease ends, and the alert clears at the same bound (%s): the "+
						"workload may scale up and down repeatedly; set clear_below (or clear_above)", bound.Text)
			}
		}
	}
	if c.cfg.Guards.OwnChange == 0 {
		c.add("guards.own_change", "0 allows watchdog to repeat a change that somebody reverted")
	}
}
