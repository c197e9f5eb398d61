package lint

import (
	"fmt"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/remediate"
)

// shortVerify looks for effects that are judged while the expression still sees the time
// before the action. Where the file says nothing, it is long enough.
func (c *checker) shortVerify() {
	look := func(where string, ladder []config.Rung, span time.Duration) {
		for _, r := range ladder {
			if v := time.Duration(r.Options.Verify); remediate.ClassOf(r.Action) >= incident.C2 &&
				!r.Options.VerifyByDefault() && v < 2*span {
				c.add(where, "%s is verified after %s (verify), but the expression looks back %s: an action that "+
					"helps immediately would count as no effect; remove verify, or use at least %s", r.Action, v, span,
					2*span)
			}
		}
	}
	for _, r := range c.policy.Rules {
		look("threshold "+r.Name, c.threshold(r.Name).Ladder, promql.Span(r.Text()))
	}
	for _, g := range c.policy.Groups {
		for _, r := range g.Rules {
			if k := c.cfg.RouteOf(labelsOf(r)); r.Alert != "" && k >= 0 {
				look(fmt.Sprintf("routes[%d], for %s of %s:%d", k, r.Alert, g.File, r.Line), c.cfg.Routes[k].Ladder,
					promql.Span(r.Expr))
			}
		}
	}
}
