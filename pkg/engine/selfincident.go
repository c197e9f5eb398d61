package engine

import (
	"context"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Self is the name under which watchdog's own incident is worked.
const Self = incident.Self

const selfLook = 2 * time.Second

// reconcileSelf works watchdog's own incident.
func (e *Engine) reconcileSelf(ctx context.Context) (time.Duration, error) {
	setup := e.currentSetup()
	if setup == nil {
		return selfLook, nil
	}
	snapshot := e.selfSnapshot(setup)
	own := *setup
	own.Snapshot = func(string) Snapshot { return snapshot }
	own.Targets = map[string]TargetSetup{Self: {Target: incident.Target{Name: Self, Namespace: setup.Installation}}}
	_, err := e.reconcile(ctx, Self, &own, "")
	return selfLook, err
}

// selfSnapshot puts what concerns all targets into the shape of a target's rules.
func (e *Engine) selfSnapshot(setup *Setup) Snapshot {
	g, now := e.refresh(setup), e.o.Now()
	rule := func(name, text string, firing bool, since time.Time) incident.Alert {
		a := incident.Alert{Rule: name, Severity: incident.P1, Firing: firing, Verdict: incident.OK, Reason: "no longer firing",
			Source: "watchdog", ActiveAt: since, EvaluatedAt: now,
			Ladder: []incident.Rung{{Action: incident.ActionPage, Class: incident.C1}}}
		if text != "" {
			a.Verdict, a.Reason = incident.Breach, text
		}
		return a
	}
	snapshot := Snapshot{Alerts: []incident.Alert{
		rule("storm", g.storm, g.storm != "", g.stormSince),
		rule("blind", g.blindText(), g.toldBlind, g.blindSince),
		rule("unfit", g.unfit, g.unfit != "", now),
		rule("canary", g.canaryFailed, g.canaryFailed != "", g.canaryFailedSince),
		rule("cannot_page", g.cannotPage, g.cannotPage != "", g.cannotPageSince),
		rule("drift", g.drift, g.drift != "", g.driftSince),
	}}
	snapshot.Alerts[0].Extent, snapshot.Alerts[1].Extent = g.extent, g.blindExtent()
	if setup.Own != nil {
		snapshot.Alerts = append(snapshot.Alerts, setup.Own()...)
	}
	return snapshot
}
