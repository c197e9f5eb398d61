package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

const (
	// recoveryWatch is how long a target is watched after an incident that people were
	// needed for (runbook 4.2: monitor_recovery for 3600 s).
	recoveryWatch = time.Hour
	recoveryLook  = 30 * time.Second
)

// recoveries says of incidents that people were needed for whether the target
// stayed well for the time of the watch.
func (e *Engine) recoveries(ctx context.Context) (time.Duration, error) {
	setup := e.currentSetup()
	if setup == nil || e.policy(setup).Response == nil {
		return recoveryLook, nil // nobody is there to be told
	}
	e.mu.Lock()
	var due []incident.Incident
	for _, id := range slices.Sorted(maps.Keys(e.closed)) {
		if en := e.closed[id]; en.inc.Paged && en.inc.Recovery == "" &&
			e.o.Now().Sub(en.inc.ResolvedAt) < renotifyWithin {
			due = append(due, en.inc)
		}
	}
	e.mu.Unlock()
	for _, i := range due {
		verdict, text := e.recovery(i)
		if verdict == "" {
			continue
		}
		if err := e.updateClosed(ctx, i.ID, false, func(i incident.Incident) (incident.Incident, bool) {
			if i.Recovery != "" {
				return i, false
			}
			return incident.Recovered(i, verdict, text, e.o.Now()), true
		}); err != nil {
			return recoveryLook, err
		}
	}
	return recoveryLook, nil
}

// recovery is the verdict on an incident that is over; empty while it is too early.
func (e *Engine) recovery(i incident.Incident) (verdict, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	open := maps.Collect(e.open())
	for _, m := range []map[string]*entry{open, e.closed} {
		for _, id := range slices.Sorted(maps.Keys(m)) {
			o := m[id].inc
			if after := o.OpenedAt.Sub(i.ResolvedAt); o.RelapseOf == i.ID {
				return "relapsed", fmt.Sprintf("incident %s opened on the same target %s after this one resolved", o.ID,
					after.Round(time.Second))
			}
		}
	}
	if e.o.Now().Sub(i.ResolvedAt) < recoveryWatch {
		return "", ""
	}
	return "lasting", fmt.Sprintf("no relapse within %s", recoveryWatch)
}
