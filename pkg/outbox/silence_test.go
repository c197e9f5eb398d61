package outbox

import (
	"testing"

	"watchdog.io/watchdog/pkg/incident"
)

func TestNobodyHearsOfAnIncidentInMaintenance(t *testing.T) {
	i := incident.Incident{ID: "01a", Phase: incident.Open, Alerts: []incident.Alert{{Rule: "errors", Firing: true}}, Maintenance: incident.Maintenance{Window: "w", Held: "w"}}
	if !unheard(i, incident.Receipt{}) || unheard(i, incident.Receipt{Ref: "1"}) {
		t.Error("who was told is kept up to date, and nobody else hears of it")
	}
}
