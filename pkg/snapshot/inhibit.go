package snapshot

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
	of []config.InhibitRule

	mu     sync.Mutex
	at     time.Time
	firing [][]map[string]string
}

// refresh asks for what fires, unless that was done a moment ago.
func (n *inhibitors) refresh(now time.Time, firing func() []map[string]string) {
	if !n.at.IsZero() && now.Sub(n.at) < inhibitAge && now.Sub(n.at) >= 0 {
		return
	}
	n.at, n.firing = now, make([][]map[string]string, len(n.of))
	for _, set := range firing() {
		for k := range n.of {
			if n.of[k].Source(set) {
				n.firing[k] = append(n.firing[k], set)
			}
		}
	}
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
func (r *Reader) inhibitedBy(x rules.Alert) string {
	n := &r.inhibit
	if len(n.of) == 0 {
		return ""
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refresh(r.Now(), r.firingLabels)
	why := n.by(r.labelsOf(x, x.Labels))
	for _, set := range x.Others {
		if why == "" || n.by(r.labelsOf(x, set.Map())) == "" {
			return ""
		}
	}
	return why
}

// firingLabels are the labels of everything that fires.
func (r *Reader) firingLabels() []map[string]string {
	all := r.External.Labels()
	for _, x := range r.Rules.Active() {
		if x.State != rules.Firing {
			continue
		}
		all = append(all, r.labelsOf(x, x.Labels))
		for _, set := range x.Others {
			all = append(all, r.labelsOf(x, set.Map()))
		}
	}
	return all
}
