package snapshot

import (
	"slices"

	"watchdog.io/watchdog/pkg/ingest"
	"watchdog.io/watchdog/pkg/policy"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/rules"
)

// external is what other systems say of a target, but for alerts of rules that watchdog
// evaluates itself.
func (r *Reader) external(target string, own []rules.Alert, looks []probes.Status) []rules.Alert {
	return r.policy.External(r.External.AlertsOf(target, policy.Signals(own, looks)), own)
}

// routed returns the alerts of a target, among them those that routes decide about.
func (r *Reader) routed(target string) []rules.Alert {
	own := r.Rules.AlertsOf(target)
	return append(own, r.external(target, own, nil)...)
}

// unwatched are the names of what is not watched and has alerts.
func (r *Reader) unwatched() []string {
	all := r.External.Unwatched()
	for _, x := range r.Rules.Active() {
		if _, other := ingest.Unwatched(x.Target); other && x.State == rules.Firing && !slices.Contains(all, x.Target) {
			all = append(all, x.Target)
		}
	}
	return all
}
