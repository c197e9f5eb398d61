package notify

import (
	"testing"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/pkg/incident"
)

func TestAnIncidentThatIsOverIsInNoMaintenance(t *testing.T) {
	i := notifytest.InMaintenance()
	if Maintained(i) == "" {
		t.Error("an incident that goes on is in maintenance")
	}
	if i.Phase = incident.Resolved; Maintained(i) != "" {
		t.Error("an incident that is over is in no maintenance")
	}
}
