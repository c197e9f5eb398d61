package remediate

import "watchdog.io/watchdog/pkg/incident"

// fewUnhealthy: when too many targets are in breach, monitoring is broken, or the cause is
// shared and no action on one target repairs it. More breaches never permit more actions
// (INV-14), and after a storm no action starts before a calm period, whatever the current
// number is.
func fewUnhealthy(f Facts, _ incident.Plan) incident.Answer {
	limit := Believed(f.Settings, f.Watched)
	switch {
	case float64(f.Unhealthy) > limit:
		return hold(incident.Freeze, "%d of %d watched targets are in breach (limit %.4g): a shared cause, or a fault "+
			"in monitoring", f.Unhealthy, f.Watched, limit)
	case f.Storm != "":
		return hold(incident.Freeze, "storm in progress: %s", f.Storm)
	}
	return pass("%d of %d watched targets are in breach (limit %.4g)", f.Unhealthy, f.Watched, limit)
}

// Believed is how many of the watched targets may plausibly be in breach at once: the
// share MaxUnhealthy of them, and always any number below StormFrom. Of few targets a
// share says little: two of three services may well be down at once.
func Believed(s Settings, watched int) float64 {
	limit := max(1, float64(s.StormFrom-1))
	// Written so that a share that is not a number leaves the limit at one.
	if share := s.MaxUnhealthy * float64(watched); share > limit {
		limit = share
	}
	return limit
}
