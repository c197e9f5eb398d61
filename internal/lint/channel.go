package lint

import (
	"slices"
	"strings"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify/receivers"
)

// pagers are the receivers that may wake somebody and take a severity from the
// beginning; "": any. A webhook may; chat, e-mail and a public page do not.
func (c *checker) pagers(s incident.Severity) []string {
	var all []string
	for _, r := range c.cfg.Receivers.All() {
		if k, _ := receivers.KindOf(r); k.Wakes && r.FallbackFor() == "" && (s == "" || r.Takes(s)) {
			all = append(all, r.Name)
		}
	}
	return all
}

// hears reports whether anybody of ours is told of a severity from the beginning.
func (c *checker) hears(s incident.Severity) bool {
	return slices.ContainsFunc(c.cfg.Receivers.All(), func(r config.Receiver) bool {
		return !r.Public() && r.FallbackFor() == "" && r.Takes(s)
	})
}

// alone reports whether there is nobody of ours to tell.
func (c *checker) alone() bool {
	return !slices.ContainsFunc(c.cfg.Receivers.All(), func(r config.Receiver) bool { return !r.Public() })
}

// noChannel looks for severities in use that resolve to nobody, or, where somebody
// must come, to nobody who is woken.
func (c *checker) noChannel() {
	if c.alone() {
		c.add("receivers", "no receivers configured: nobody is notified or paged (a status page does not count); "+
			"see docs/receivers.md")
		return
	}
	used := map[incident.Severity][]string{}
	for _, t := range c.cfg.Thresholds {
		if t.Implicit() {
			continue // whoever takes no such severity does not want to hear of it
		}
		used[t.Severity] = append(used[t.Severity], t.Name)
	}
	for _, g := range slices.Concat(c.policy.Groups, c.policy.SLOs) {
		for _, r := range g.Rules {
			// A template may give any severity.
			if l := labelsOf(r); r.Alert != "" && !strings.Contains(l["severity"], "{{") {
				s := c.cfg.SeverityOf(l)
				if !slices.Contains(used[s], r.Alert) {
					used[s] = append(used[s], r.Alert)
				}
			}
		}
	}
	for _, s := range []incident.Severity{incident.P0, incident.P1, incident.P2, incident.P3} {
		urgent := s == incident.P0 || s == incident.P1
		switch names := strings.Join(used[s], ", "); {
		case names == "":
		case !c.hears(s):
			c.add("receivers", "no receiver for %s incidents (%s) until a person must act; add %s to the severities "+
				"of a receiver", s, names, s)
		case urgent && len(c.pagers(s)) == 0 && len(c.pagers("")) > 0:
			c.add("receivers", "%s incidents (%s) page nobody until a person must act: %s does not accept them; add "+
				"%s to its severities", s, names, strings.Join(c.pagers(""), ", "), s)
		}
	}
}
