package notify

import (
	"strings"
	"testing"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/pkg/incident"
)

func TestWhatIsToldUnderASilenceSaysSo(t *testing.T) {
	i := notifytest.Trouble()
	i.Phase = incident.Suppressed
	if got := Next(i); !strings.Contains(got, "watchdog resume") {
		t.Errorf("held: %s", got)
	}
	i.Alerts = append(i.Alerts, incident.Alert{Rule: "cpu", Firing: true, Ended: true})
	i.Alerts[0].Silenced = "silenced by 0d1a"
	if got := Next(i); got != "watchdog takes no action: error_rate is silenced by 0d1a." {
		t.Error(got)
	}
}
