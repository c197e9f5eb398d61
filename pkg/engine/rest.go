package engine

import "watchdog.io/watchdog/pkg/remediate"

// Idle reports that a Pass of a target, or of Self, has nothing to do as long as no alert of it
// fires: the engine works nothing for it, and nothing concerns all targets. It is for callers
// of Pass who can tell when that changes.
func (e *Engine) Idle(name string) bool {
	setup := e.currentSetup()
	if setup == nil || setup.Own != nil && name == Self {
		return false
	}
	fleet := setup.FleetHealth()
	if fleet.Blind != "" || float64(fleet.Unhealthy) > remediate.Believed(setup.Settings, fleet.Watched) {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	t, g := e.targets[name], &e.global
	return (t == nil || t.idle()) && g.storm == "" && g.blindSince.IsZero() && g.unfit == "" && g.canaryFailed == "" &&
		g.cannotPage == "" && g.drift == ""
}

// Resting reports that no incident is worked.
func (e *Engine) Resting() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range e.targets {
		if !t.idle() {
			return false
		}
	}
	return true
}

// idle: there is nothing for the target's worker to take up.
func (t *targetState) idle() bool {
	return t.open == nil && t.adopted == nil && t.duplicate == nil && t.stale == "" && !t.renotify && !t.newer
}
