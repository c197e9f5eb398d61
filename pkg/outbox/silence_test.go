package outbox

import (
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

func TestNobodyHearsOfAnIncidentInMaintenance(t *testing.T) {
	i := incident.Incident{ID: "01a", Phase: incident.Open, Alerts: []incident.Alert{{Rule: "errors", Firing: true}},
		Maintenance: incident.Maintenance{Window: "w", Held: "w"}}
	held := item{receiver: "x", incident: i, waits: true}
	known := held
	known.receipt.Ref = "1"
	if decide(&held, policy{}, time.Now()).reason != inMaintenance || decide(&known, policy{}, time.Now()).verb != send {
		t.Error("who was told is kept up to date, and nobody else hears of it")
	}
}
