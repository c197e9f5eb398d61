package lint

import (
	"fmt"
	"slices"
	"strings"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify/receivers"
)

func (c *checker) noPager() {
	if len(c.pagers("")) > 0 || c.alone() {
		return // of a file without receivers, noChannel says it
	}
	var who []string
	for _, t := range c.cfg.Thresholds {
		if t.Severity == incident.P0 || t.Severity == incident.P1 ||
			slices.ContainsFunc(t.Ladder, func(r config.Rung) bool { return r.Action == incident.ActionPage }) {
			who = append(who, t.Name)
		}
	}
	for k, r := range c.cfg.Routes {
		if slices.ContainsFunc(r.Ladder, func(r config.Rung) bool { return r.Action == incident.ActionPage }) {
			who = append(who, fmt.Sprintf("routes[%d]", k))
		}
	}
	if len(who) > 0 {
		var waking []string
		for _, k := range receivers.Kinds() {
			if k.Wakes {
				waking = append(waking, k.Sections...)
			}
		}
		c.add("receivers", "no receiver pages, but %s would page; configure one of: %s", strings.Join(who, ", "),
			strings.Join(waking, ", "))
	}
}
