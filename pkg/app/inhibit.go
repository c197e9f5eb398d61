package app

import (
	"fmt"
	"sync"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/rules"
)

// inhibitAge is how old the list of alerts that inhibit others may be.
const inhibitAge = time.Second

// inhibitors are the alerts that fire and keep others quiet, by rule.
type inhibitors struct {
	mu     sync.Mutex
	at     time.Time
	of     []config.InhibitRule
	firing [][]map[string]string
}

// refresh asks for what fires, unless that was done a moment ago.
func (n *inhibitors) refresh(all []config.InhibitRule, now time.Time, firing func() []map[string]string) {
	if len(n.firing) == len(all) && !n.at.IsZero() && now.Sub(n.at) < inhibitAge && now.Sub(n.at) >= 0 && sameRules(n.of, all) {
		return
	}
	n.at, n.of, n.firing = now, all, make([][]map[string]string, len(all))
	for _, set := range firing() {
		for k := range all {
			if all[k].Source(set) {
				n.firing[k] = append(n.firing[k], set)
			}
		}
	}
}

func sameRules(a, b []config.InhibitRule) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// by says by what an alert with these labels is kept quiet; empty: by nothing.
func (n *inhibitors) by(set map[string]string) string {
	for k := range n.of {
		for _, source := range n.firing[k] {
			if n.of[k].Inhibits(source, set) {
				return fmt.Sprintf("inhibited by %s (inhibit_rules, rule %d)", source["alertname"], k+1)
			}
		}
	}
	return ""
}

// inhibitedBy says by what an alert is kept quiet. Several of one name on one target
// are if each of them is.
func (a *App) inhibitedBy(b *built, x rules.Alert) string {
	if len(b.cfg.InhibitRules) == 0 {
		return ""
	}
	n := &a.inhibit
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refresh(b.cfg.InhibitRules, a.clock.Now(), func() []map[string]string { return a.firingLabels(b) })
	why := n.by(b.labelsOf(x, x.Labels))
	for _, set := range x.Others {
		if why == "" || n.by(b.labelsOf(x, set.Map())) == "" {
			return ""
		}
	}
	return why
}

// firingLabels are the labels of everything that fires.
func (a *App) firingLabels(b *built) []map[string]string {
	all := a.external.Labels()
	for _, from := range [][]rules.Alert{a.judge.Alerts(), a.groups.Alerts()} {
		for _, x := range from {
			if x.State != rules.Firing {
				continue
			}
			all = append(all, b.labelsOf(x, x.Labels))
			for _, set := range x.Others {
				all = append(all, b.labelsOf(x, set.Map()))
			}
		}
	}
	return all
}
