package outbox

import (
	"slices"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

// Steps returns from which step of an escalation on a receiver is notified of an
// incident of a severity; 0, as are all that no step names: from the beginning. named
// says whether a step names it.
func Steps(c *config.Config) func(receiver string, s incident.Severity) (step int, named bool) {
	return func(receiver string, s incident.Severity) (int, bool) {
		for _, r := range c.Response {
			if r.Severity != s {
				continue
			}
			for k, step := range r.Steps {
				if slices.Contains(step.Receivers, receiver) {
					return k, true
				}
			}
		}
		return 0, false
	}
}

// Escalate installs the steps of a configuration.
func (x *Outbox) Escalate(from func(receiver string, s incident.Severity) (step int, named bool)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.from = from
}
