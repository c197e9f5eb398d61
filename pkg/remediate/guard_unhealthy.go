package remediate

import "watchdog.io/watchdog/pkg/incident"

// fewUnhealthy: when too much looks broken, the observer is broken, or the cause
// is shared and nothing done to one target repairs it. More breach never permits
// more (INV-14), and after a storm nothing begins before it was calm for a while,
// whatever the present number says.
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

// Believed is how many of the watched targets may be in breach before it is no
// longer believed: the share MaxUnhealthy of them, and always as many as are fewer
// than StormFrom. Of few targets a share says little: two of three services may well be
// down at once.
func Believed(s Settings, watched int) float64 {
	limit := max(1, float64(s.StormFrom-1))
	// Written so that a share that is not a number leaves the limit at one.
	if share := s.MaxUnhealthy * float64(watched); share > limit {
		limit = share
	}
	return limit
}
