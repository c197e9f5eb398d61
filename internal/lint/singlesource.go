package lint

import (
	"maps"
	"slices"
	"strings"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/probes"
)

// singleSource looks for actions that need two kinds of witnesses (INV-11).
func (c *checker) singleSource() {
	witnesses := func(t config.Target, own string) []string {
		all := map[string]bool{"kubernetes": true, own: true}
		for _, p := range t.Probes {
			if k, ok := probes.KindOf(p.Kind()); ok {
				all[k.Source] = true
			}
		}
		delete(all, "")
		return slices.Sorted(maps.Keys(all))
	}
	for _, r := range c.policy.Rules {
		t := c.threshold(r.Name)
		if !destructive(t.Ladder) {
			continue
		}
		if r.SourceKind == "kubernetes" && t.SingleSource != "" {
			continue // what the kubelet says of its own pods
		}
		if t.SingleSource != "" {
			c.add("threshold "+r.Name, "single_source allows restart and rollback with one source of evidence (%s); "+
				"a second source protects against wrong data", t.SingleSource)
			continue
		}
		for _, x := range c.cfg.Targets {
			if !slices.Contains(r.Targets, x.Name) {
				continue
			}
			// What Kubernetes says of pods is bad only when they are: an application that
			// answers badly while its pods are ready has no witness but itself.
			if has := witnesses(x, r.SourceKind); !slices.Contains(has, "probe") &&
				(r.SourceKind != "kubernetes" || len(has) < 2) {
				c.add("threshold "+r.Name,
					"target %s: restart and rollback require a second source of evidence, but there is only %s; add "+
						"a probe (health, http or tcp), or set single_source to the reason why one is enough", x.Name,
					strings.Join(has, " and "))
			}
		}
	}
}
