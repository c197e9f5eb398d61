package remediate

import "watchdog.io/watchdog/pkg/incident"

// page hands the incident to a person.
type page struct{}

func (page) Name() incident.Action { return incident.ActionPage }
func (page) Class() incident.Class { return incident.C1 }

func (page) Plan(f Facts) (incident.Plan, *incident.Answer) {
	return refuse(incident.HandOver, "the ladder says page (rung %d of %d)", f.Rung.Index+1, max(len(f.Alert.Ladder), f.Rung.Index+1))
}
