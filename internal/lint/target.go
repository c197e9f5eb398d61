package lint

import (
	"slices"
	"strings"

	"watchdog.io/watchdog/pkg/rules"
)

func (c *checker) noTarget() {
	var idle, missing []string // of the shipped rules: one finding for all of them
	with := c.targetsWith()
	for _, r := range c.policy.Rules {
		if r.Source != rules.Local {
			continue
		}
		for _, m := range metrics(r.Text()) {
			needs, known := writers(m)
			if !known || len(needs) == 0 {
				continue
			}
			seen := slices.ContainsFunc(r.Targets, func(t string) bool {
				return slices.ContainsFunc(needs, func(kind string) bool { return with[kind][t] })
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

// targetsWith are the targets with a probe of each kind.
func (c *checker) targetsWith() map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for _, t := range c.cfg.Targets {
		for i := range t.Probes {
			kind := t.Probes[i].Kind()
			if all[kind] == nil {
				all[kind] = map[string]bool{}
			}
			all[kind][t.Name] = true
		}
	}
	return all
}
