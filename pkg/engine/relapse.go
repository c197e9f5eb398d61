package engine

import (
	"watchdog.io/watchdog/pkg/incident"
)

// relapse opens a new incident as a relapse of one that ended a short time ago.
func (e *Engine) relapse(inc incident.Incident) incident.Incident {
	e.mu.Lock()
	defer e.mu.Unlock()
	var last incident.Incident
	for _, en := range e.closed {
		if o := en.inc; o.Target.Name == inc.Target.Name && o.ResolvedAt.After(last.ResolvedAt) {
			last = o
		}
	}
	inc = incident.Following(inc, last)
	if ago := inc.OpenedAt.Sub(last.ResolvedAt); last.ID != "" && ago < recoveryWatch {
		return incident.Relapsed(inc, last.ID, ago)
	}
	return inc
}
