package slack

import (
	"testing"
	"time"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
)

// A4: what is said of an incident is so: nothing is at work where nothing is under way,
// and nothing helped where nothing was done.
func TestReceiversSayOnlyWhatIsSo_A4(t *testing.T) {
	op := &incident.Op{Plan: incident.Plan{Summary: "restart shop"}}
	done := []incident.Attempt{{Summary: "restart shop", Verdict: incident.NoEffect}}
	for _, tt := range []struct {
		name   string
		i      incident.Incident
		status string
		icon   string
		next   string
	}{
		{"evidence is taken, in mode observe as well", incident.Incident{Phase: incident.Acting},
			"open", ":mag:", "watchdog is investigating; no action is in progress."},
		{"an action is on its way", incident.Incident{Phase: incident.Acting, Op: op},
			"acting", ":wrench:", "In progress: restart shop."},
		{"it recovers by itself", incident.Incident{Phase: incident.Verifying},
			"recovering", ":mag:", "The target is recovering without an action; waiting for it to be healthy."},
		{"it flaps, and is calm (S07)", incident.Incident{Phase: incident.Escalated, Paged: true,
			CalmSince: notifytest.T0}, "recovering", ":rotating_light:",
			"No alert is firing. It recurred before, so the incident stays open until no alert has fired for 10m0s."},
		{"it flapped, and is over (S07)", incident.Incident{Phase: incident.Resolved, Paged: true,
			OpenedAt: notifytest.T0.Add(-time.Hour), CalmSince: notifytest.T0.Add(-incident.FlapCalm),
			ResolvedAt: notifytest.T0}, "resolved", ":white_check_mark:",
			"Resolved after 1h0m0s. No action is required."},
		{"after an action", incident.Incident{Phase: incident.Verifying, Attempts: done},
			"verifying", ":wrench:", "Waiting to see whether the action helped."},
		{"just opened", incident.Incident{Phase: incident.Open},
			"open", ":mag:", "watchdog is investigating; no action is in progress."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if s, i, n := notify.Status(tt.i), icon(tt.i), notify.Next(tt.i); s != tt.status || i != tt.icon ||
				n != tt.next {
				t.Errorf("%s %s %q", s, i, n)
			}
		})
	}
}
