package notify

import (
	"testing"
	"time"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/pkg/incident"
)

func TestAMessageSaysWhomToCallNow(t *testing.T) {
	a := NewQuickReference(notifytest.Escalation())
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
		if got := a.Of(i).Contacts; Digest(got) != Digest(tt.want) {
			t.Errorf("step %d, acknowledged %v: %q", tt.step, tt.acked, got)
		}
	}
}
