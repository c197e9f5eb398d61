package lint

import (
	"fmt"
	"slices"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/config"
)

// sameName looks for routes that ask for an alert by the name of a threshold. What the
// threshold finds is never theirs, and what others send by that name is never the threshold's.
func (c *checker) sameName() {
	for k, r := range c.cfg.Routes {
		for _, text := range r.Matchers {
			all, err := config.ParseMatchers(text)
			if err != nil {
				continue // whoever loads it says so
			}
			for _, m := range all {
				if m.Name != model.AlertNameLabel || m.Type != labels.MatchEqual ||
					!slices.ContainsFunc(c.cfg.Thresholds, func(t config.Threshold) bool { return t.Name == m.Value }) {
					continue
				}
				c.add(fmt.Sprintf("routes[%d]", k),
					"the route matches alert %s, which is also the name of a threshold: the threshold has its own "+
						"ladder and mode, and this route applies only to alerts of that name from Alertmanager; rename "+
						"one of them", m.Value)
			}
		}
	}
}
