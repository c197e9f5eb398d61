package remediate

import "watchdog.io/watchdog/pkg/incident"

// fewUnhealthy: when too much looks broken, the observer is broken, or the cause
// is shared and no restart repairs it. More breach never permits more (INV-14).
func fewUnhealthy(f Facts, _ incident.Plan) incident.Answer {
	limit := 1.0
	// Written so that a share that is not a number leaves the limit at one.
	if share := f.Settings.MaxUnhealthy * float64(f.Watched); share > 1 {
		limit = share
	}
	if float64(f.Unhealthy) > limit {
		return hold(incident.Freeze, "%d of %d watched targets are in breach, at most %.4g are believed: a shared cause, or watchdog's own", f.Unhealthy, f.Watched, limit)
	}
	return pass("%d of %d watched targets are in breach, at most %.4g are believed", f.Unhealthy, f.Watched, limit)
}
