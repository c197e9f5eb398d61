package lint

import (
	"slices"
	"strings"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/probes"
)

// singleSource looks for actions that need two kinds of witnesses (INV-11).
func (c *checker) singleSource() {
	unprobed := c.unprobed()
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
		if len(unprobed) == 0 || r.SourceKind == probes.SourceProbe {
			continue
		}
		watched := setOf(r.Targets)
		for _, x := range unprobed {
			if !watched[x.Name] {
				continue
			}
			// What Kubernetes says of pods is bad only when they are: an application that
			// answers badly while its pods are ready has no witness but itself.
			if has := witnesses(x, r.SourceKind); r.SourceKind != "kubernetes" || len(has) < 2 {
				c.add("threshold "+r.Name,
					"target %s: restart and rollback require a second source of evidence, but there is only %s; add "+
						"a probe (health, http or tcp), or set single_source to the reason why one is enough", x.Name,
					strings.Join(has, " and "))
			}
		}
	}
}

// unprobed are the targets that no probe of watchdog's own looks at, in the order of the file.
func (c *checker) unprobed() []config.Target {
	var all []config.Target
	for _, t := range c.cfg.Targets {
		if !slices.Contains(witnesses(t, ""), probes.SourceProbe) {
			all = append(all, t)
		}
	}
	return all
}

// witnesses are the kinds of sources that a target has, and a rule's own.
func witnesses(t config.Target, own string) []string {
	all := []string{"kubernetes", own}
	for i := range t.Probes {
		if k, ok := probes.KindOf(t.Probes[i].Kind()); ok {
			all = append(all, k.Source)
		}
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(s string) bool { return s == "" })
}

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, n := range names {
		set[n] = true
	}
	return set
}
