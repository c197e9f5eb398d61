package lint

import (
	"slices"
	"strings"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/rules"
)

func (c *checker) noTarget() {
	var idle, missing []string // of the shipped rules: one finding for all of them
	for _, r := range c.policy.Rules {
		if r.Source != rules.Local {
			continue
		}
		for _, m := range metrics(r.Text()) {
			needs, known := writers(m)
			if !known || len(needs) == 0 {
				continue
			}
			seen := slices.ContainsFunc(c.cfg.Targets, func(t config.Target) bool {
				return slices.Contains(r.Targets, t.Name) &&
					slices.ContainsFunc(t.Probes, func(p config.Probe) bool { return slices.Contains(needs, p.Kind()) })
			})
			switch {
			case seen || len(r.Targets) == 0:
			case c.cfg.Shipped:
				idle, missing = append(idle, r.Name), append(missing, strings.Join(needs, " or "))
			default:
				c.add("threshold "+r.Name,
					"no target of this rule has a %s probe, which produces %s: the verdict is always NO_DATA; add "+
						"the probe, or remove the rule", strings.Join(needs, " or "), m)
			}
		}
	}
	if len(idle) > 0 {
		slices.Sort(missing)
		c.add("thresholds", "the shipped rules %s have no data: no target has a probe of kind %s; add one, or "+
			"define your own thresholds", strings.Join(idle, ", "), strings.Join(slices.Compact(missing), ", "))
	}
	c.routes()
}
