package remediate

import "watchdog.io/watchdog/pkg/incident"

// planPage hands the incident over to a person.
func planPage(f Facts) (incident.Plan, *incident.Answer) {
	return refuse(incident.HandOver, "the ladder reached page (rung %d of %d)", f.Rung.Index+1,
		max(len(f.Alert.Ladder), f.Rung.Index+1))
}
