package remediate

import (
	"fmt"

	"watchdog.io/watchdog/pkg/incident"
)

// disruptionAllowed: a PodDisruptionBudget that allows no disruption is a decision of the
// application's owner, although rolling updates do not have to respect it (F-24).
func disruptionAllowed(f Facts, p incident.Plan) incident.Answer {
	lowest := ""
	for _, b := range f.Workload.Budgets {
		if b.Allowed > 0 {
			continue
		}
		if !takesNoReady(f, p) {
			return hold(incident.Wait, "PodDisruptionBudget %s allows %d disruptions now", b.Name, b.Allowed)
		}
		lowest = fmt.Sprintf("; %s allows %d, but the rollback removes none of the %d ready pods", b.Name, b.Allowed,
			f.Workload.Ready)
	}
	return pass("%d PodDisruptionBudgets checked%s", len(f.Workload.Budgets), lowest)
}
