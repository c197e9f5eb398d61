package lint

import (
	"fmt"
	"slices"
	"strings"
)

// routes looks for routes that no alert of a rule file can take. Where alerts of
// others are accepted, nobody knows which will come.
func (c *checker) routes() {
	if len(c.cfg.RuleTexts) == 0 && len(c.cfg.SLOs) == 0 || c.cfg.Alertmanager != nil &&
		len(c.cfg.Alertmanager.Senders) > 0 {
		return
	}
	taken := map[int]bool{}
	for _, g := range slices.Concat(c.policy.Groups, c.policy.SLOs) {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			l := labelsOf(r)
			for _, v := range l {
				if strings.Contains(v, "{{") {
					return // a template may give any label
				}
			}
			taken[c.cfg.RouteOf(l)] = true
		}
	}
	for k, r := range c.cfg.Routes {
		if !taken[k] && !slices.ContainsFunc(r.Matchers, needsSeries) {
			c.add(fmt.Sprintf("routes[%d]", k),
				"no alert of the rule files and objectives matches this route (%s); the first matching route wins: "+
					"change the order or the matchers", strings.Join(r.Matchers, ", "))
		}
	}
}
