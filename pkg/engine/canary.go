package engine

import (
	"fmt"
	"slices"

	"watchdog.io/watchdog/pkg/incident"
)

// canary reconciles the synthetic alert: it goes through the same Step and to the same outbox as
// any other. It is kept in memory only.
func (e *Engine) canary() error {
	setup := e.currentSetup()
	if setup == nil || !setup.Canary {
		return nil
	}
	snapshot := setup.Snapshot(incident.Canary)
	for k := range snapshot.Alerts {
		// Whatever is silenced or routed, nothing is done about this one.
		snapshot.Alerts[k].Silenced, snapshot.Alerts[k].Ladder = "", nil
	}
	e.mu.Lock()
	now := e.canaryIncident
	e.mu.Unlock()
	if now == nil {
		if !slices.ContainsFunc(snapshot.Alerts, func(a incident.Alert) bool { return a.Firing }) {
			return nil
		}
		i := incident.New("canary", incident.Target{Name: incident.Canary, Namespace: setup.Installation}, e.o.Now())
		now = &i
	}
	policy := e.policy(setup)
	policy.Response = nil // nobody is to answer
	next, effects := incident.Step(*now, incident.Tick{At: e.o.Now(), Alerts: snapshot.Alerts}, policy)
	if len(effects) > 0 || next.Paged {
		return fmt.Errorf("the canary incident returned effects %v: it must not have any", effects)
	}
	fresh := len(next.Timeline) != len(now.Timeline)
	e.mu.Lock()
	if e.canaryIncident = &next; over(next) {
		e.canaryIncident = nil
	}
	e.mu.Unlock()
	if fresh {
		e.o.Tell(next)
	}
	return nil
}

// CanaryFailed stops all actions until it is called with "": the synthetic alert was not
// delivered (PEERS W16).
func (e *Engine) CanaryFailed(why string) {
	e.mu.Lock()
	changed := e.global.canaryFailed != why
	if e.global.canaryFailed == "" {
		e.global.canaryFailedSince = e.o.Now()
	}
	e.global.canaryFailed = why
	e.mu.Unlock()
	if changed {
		e.Wake(Self)
	}
}

// CannotPage takes why nobody can be paged, until it is called with "". watchdog's own incident
// notifies the receivers that still work (INV-45).
func (e *Engine) CannotPage(why string) {
	e.mu.Lock()
	changed := e.global.cannotPage != why
	if e.global.cannotPage == "" {
		e.global.cannotPageSince = e.o.Now()
	}
	e.global.cannotPage = why
	e.mu.Unlock()
	if changed {
		e.Wake(Self)
	}
}

// Unfit says why this process is not to be trusted; empty: it is.
func (e *Engine) Unfit() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.global.unfit
}
