package remediate

import "watchdog.io/watchdog/pkg/incident"

// notPaused: a paused Deployment does not roll out a new template; the person who paused it decides.
func notPaused(f Facts, p incident.Plan) incident.Answer {
	switch {
	case !writesWorkload(p):
		return besides(p)
	case f.Workload.Paused:
		return hold(incident.Skip, "spec.paused is true: a %s would have no effect until the Deployment is resumed",
			p.Action)
	}
	return pass("spec.paused is false")
}
