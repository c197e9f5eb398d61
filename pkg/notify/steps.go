package notify

import (
	"slices"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

// Steps returns from which step of an escalation on a receiver is told of an
// incident of a severity; 0: from the beginning, as are all that no step names.
func Steps(c *config.Config) func(receiver string, s incident.Severity) int {
	return func(receiver string, s incident.Severity) int {
		for _, r := range c.Response {
			if r.Severity != s {
				continue
			}
			for k, step := range r.Steps {
				if slices.Contains(step.Receivers, receiver) {
					return k
				}
			}
		}
		return 0
	}
}

// Escalate installs the steps of a configuration.
func (x *Outbox) Escalate(from func(receiver string, s incident.Severity) int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.from = from
}

// early reports whether the time of a receiver has not come: others are asked
// first. What was once told is kept up to date.
func (x *Outbox) early(receiver string, i incident.Incident, prev incident.Receipt) bool {
	x.mu.Lock()
	from := x.from
	x.mu.Unlock()
	return from != nil && prev.Ref == "" && prev.State == "" && i.Step < from(receiver, i.Severity)
}
