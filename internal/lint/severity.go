package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/notify/receivers"
)

// unknownSeverity looks for alerts whose label severity is no word that watchdog knows:
// they are all P2, also those that their author meant to wake somebody.
func (c *checker) unknownSeverity() {
	seen := map[string]bool{}
	for _, g := range slices.Concat(c.policy.Groups, c.policy.SLOs) {
		for _, r := range g.Rules {
			l := labelsOf(r)
			word := l["severity"]
			if r.Alert == "" || strings.Contains(word, "{{") {
				continue // a template may give any severity
			}
			if _, known := config.SeverityWord(word); known {
				continue
			}
			if k := c.cfg.RouteOf(l); k >= 0 && c.cfg.Routes[k].Severity != "" {
				continue
			}
			where := fmt.Sprintf("%s:%d", cmp.Or(g.File, g.Name), r.Line)
			if id := r.Alert + word; !seen[id] {
				seen[id] = true
				c.add(where, "alert %s has the unknown severity %q, which counts as P2; use P0 to P3, critical, "+
					"warning or info, or set the severity of a route that matches severity=%q", r.Alert, word, word)
			}
		}
	}
}

// undefinedTemplate looks for texts of receivers that fail when they are sent.
func (c *checker) undefinedTemplate() {
	for _, text := range receivers.Undefined(c.cfg) {
		where, what, _ := strings.Cut(text, ": ")
		c.add(where, "%s: watchdog would send its default text instead; define the template in a template file, or "+
			"use another one", what)
	}
}
