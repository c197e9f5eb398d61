package app

import (
	"fmt"

	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
)

// occupiedBy takes which other installation the namespace belongs to; "": none.
func (a *App) occupiedBy(other string) {
	a.occupied.Store(&other)
	if other == "" {
		a.o.Logger.Info("the namespace belongs to no other installation any more")
		return
	}
	a.o.Logger.Error("this installation does nothing", "reason", a.occupation())
}

// occupation says why this installation cannot work here; empty: it can. Two
// installations in one namespace would share one lease, one ledger and its incidents.
func (a *App) occupation() string {
	other := a.occupied.Load()
	if other == nil || *other == "" {
		return ""
	}
	return fmt.Sprintf("the namespace %s belongs to the watchdog installation %q: uninstall it, or install %q in a namespace of its own", a.o.Namespace, *other, a.o.Installation)
}

// onDeployment gives watchdog's own incident its Deployment, so that its Events
// stand where people look for them.
func (a *App) onDeployment(inc incident.Incident) incident.Incident {
	if inc.Target.Name == engine.Self && a.o.Installation != "" {
		inc.Target.Namespace, inc.Target.Kind, inc.Target.Workload, inc.Target.UID = a.o.Namespace, "deployment", a.o.Installation, ""
	}
	return inc
}
