package notify

import (
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

func escalation() *config.Config {
	return &config.Config{
		Contacts: []config.Contact{{Name: "on call", Phone: "1"}, {Name: "lead", Email: "lead@example.com"}, {Name: "security", Slack: "#sec"}},
		Response: []config.Response{{Severity: incident.P1, Steps: []config.Step{
			{Receivers: []string{"pagerduty"}, Contacts: []string{"on call"}},
			{Receivers: []string{"mail"}, Contacts: []string{"lead"}},
			{Receivers: []string{"mail", "boss"}},
		}}},
	}
}

func TestAReceiverIsToldFromItsStepOn(t *testing.T) {
	x := &Outbox{}
	x.Escalate(Steps(escalation()))
	told := incident.Receipt{State: "firing"}
	for _, tt := range []struct {
		receiver string
		severity incident.Severity
		step     int
		prev     incident.Receipt
		early    bool
	}{
		{"pagerduty", incident.P1, 0, incident.Receipt{}, false},
		{"slack", incident.P1, 0, incident.Receipt{}, false},
		{"mail", incident.P1, 0, incident.Receipt{}, true},
		{"mail", incident.P1, 1, incident.Receipt{}, false},
		{"mail", incident.P1, 0, told, false},
		{"boss", incident.P1, 1, incident.Receipt{}, true},
		{"boss", incident.P1, 5, incident.Receipt{}, false},
		{"boss", incident.P0, 0, incident.Receipt{}, false},
	} {
		if got := x.early(tt.receiver, incident.Incident{Severity: tt.severity, Step: tt.step}, tt.prev); got != tt.early {
			t.Errorf("%s at step %d of a %s: early %v", tt.receiver, tt.step, tt.severity, got)
		}
	}
}

func TestAMessageSaysWhomToCallNow(t *testing.T) {
	a := newAbout(escalation())
	for _, tt := range []struct {
		step  int
		acked bool
		phase incident.Phase
		want  []string
	}{
		{0, false, incident.Open, []string{"Call on call: 1", "lead: lead@example.com", "security: #sec"}},
		{1, false, incident.Open, []string{"Call on call: 1", "Call lead: lead@example.com", "security: #sec"}},
		{9, false, incident.Open, []string{"Call on call: 1", "Call lead: lead@example.com", "security: #sec"}},
		{1, true, incident.Open, []string{"on call: 1", "lead: lead@example.com", "security: #sec"}},
		{1, false, incident.Resolved, nil},
	} {
		i := incident.Incident{Severity: incident.P1, Step: tt.step, Phase: tt.phase}
		if tt.acked {
			i.Acked.At = time.Unix(1, 0)
		}
		if got := a.of(i).contacts; digest(got) != digest(tt.want) {
			t.Errorf("step %d, acknowledged %v: %q", tt.step, tt.acked, got)
		}
	}
}
