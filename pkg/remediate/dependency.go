package remediate

import (
	"strings"

	"watchdog.io/watchdog/pkg/incident"
)

// dependencyDown answers if the health document reports a dependency outside the
// workload as down: no action on the workload can repair that, and each costs
// remaining capacity.
func dependencyDown(f Facts, action incident.Action) *incident.Answer {
	var down []string
	for _, d := range f.Dependencies {
		if d.Known && !d.Up {
			down = append(down, "checks."+strings.TrimPrefix(d.Check, "checks."))
		}
	}
	if len(down) == 0 {
		return nil
	}
	verb := "is"
	if len(down) > 1 {
		verb = "are"
	}
	a := hold(incident.Skip, "%s %s unhealthy (%d of %d dependencies): a %s of the app cannot repair it",
		strings.Join(down, ", "), verb, len(down), len(f.Dependencies), action)
	return &a
}
