package notify

import (
	"strings"
	"testing"

	"watchdog.io/watchdog/pkg/incident"
)

func TestAMessageSaysThatItsTargetIsInMaintenance(t *testing.T) {
	i := incident.Incident{ID: "01a", Severity: incident.P1, Phase: incident.Suppressed, Lead: "errors", Alerts: []incident.Alert{{Rule: "errors", Firing: true}},
		Maintenance: incident.Maintenance{Window: "in maintenance until 2026-03-01 12:42 UTC, by <alice>: move"},
		Answers:     []incident.Answer{{Guard: "maintenance", Hold: incident.Suppress, Reason: "in maintenance"}}}
	_, body := slackTexts(i, about{})
	if !strings.Contains(body, "This is in maintenance until 2026-03-01 12:42 UTC, by &lt;alice&gt;: move") || !strings.Contains(body, "watchdog keeps its hands off while people work on this") {
		t.Errorf("Slack: %s", body)
	}
	details, _ := payload(i, about{}).Details.(map[string]any)
	if details["maintenance"] != "This is "+i.Maintenance.Window {
		t.Errorf("PagerDuty: %v", details)
	}
	if i.Phase = incident.Resolved; maintained(i) != "" {
		t.Error("an incident that is over is in no maintenance")
	}
}

func TestNobodyHearsOfAnIncidentInMaintenance(t *testing.T) {
	i := incident.Incident{ID: "01a", Phase: incident.Open, Alerts: []incident.Alert{{Rule: "errors", Firing: true}}, Maintenance: incident.Maintenance{Window: "w", Held: "w"}}
	if !unheard(i, incident.Receipt{}) || unheard(i, incident.Receipt{Ref: "1"}) {
		t.Error("who was told is kept up to date, and nobody else hears of it")
	}
}
