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
	relapses := e.relapses()
	e.mu.Unlock()
	for _, i := range due {
		verdict, text := e.recovery(i, relapses[i.ID])
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

// relapses are the incidents that are a relapse of another, by that one: of several an open one, then the first by
// target or id. The caller holds mu.
func (e *Engine) relapses() map[string]*entry {
	all := map[string]*entry{}
	of := func(m map[string]*entry) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if first := m[key].inc.RelapseOf; all[first] == nil {
				all[first] = m[key]
			}
		}
	}
	open, closed := map[string]*entry{}, map[string]*entry{}
	for name, en := range e.open() {
		if en.inc.RelapseOf != "" {
			open[name] = en
		}
	}
	for id, en := range e.closed {
		if en.inc.RelapseOf != "" {
			closed[id] = en
		}
	}
	of(open)
	of(closed)
	return all
}

// recovery is the verdict on an incident that is over; empty while it is too early. relapse is the incident that
// came of it; nil: none did.
func (e *Engine) recovery(i incident.Incident, relapse *entry) (verdict, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if relapse != nil {
		after := relapse.inc.OpenedAt.Sub(i.ResolvedAt)
		return "relapsed", fmt.Sprintf("incident %s opened on the same target %s after this one resolved", relapse.inc.ID,
			after.Round(time.Second))
	}
	if e.o.Now().Sub(i.ResolvedAt) < recoveryWatch {
		return "", ""
	}
	return "lasting", fmt.Sprintf("no relapse within %s", recoveryWatch)
}
