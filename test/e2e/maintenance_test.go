//go:build integration

package e2e

import (
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/incident"
)

// TestMaintenanceHoldsActionsAndPages_INV30: agents die while people work on the
// target. Nothing is done and nobody is told; once the window is ended and it is
// still bad, watchdog acts and tells.
func TestMaintenanceHoldsActionsAndPages_INV30(t *testing.T) {
	s := stage(t, "maintenance")
	installText(t, s, config(t, s, "agents"))
	run := func(args ...string) string {
		t.Helper()
		out, err := s.Testbed.Watchdog(t.Context(), append(args, "-n", s.Watchdog)...)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return out
	}
	start := []string{"maintenance", "start", "move", "--for", "1h", "--target", "agent-system", "--page", "hold", "--reason", "the queue is moved"}
	if out, err := s.Testbed.Watchdog(t.Context(), append(start, "-n", s.Watchdog)...); err == nil || !strings.Contains(out, "NOT KNOWN") {
		t.Errorf("started although nobody has looked at the checklist: %v\n%s", err, out)
	}
	run(append(start, "--override", "--standby", "bob", "--communicated", "https://chat.example/1")...)
	if err := s.Fault("agents"); err != nil {
		t.Fatal(err)
	}
	held, err := s.WaitIncident(within(t, time.Minute), "held by the window", func(i incident.Incident) bool { return i.Phase == incident.Suppressed && i.Maintenance.Held != "" })
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(held.Silenced(), "the queue is moved") {
		t.Errorf("held by %q", held.Silenced())
	}
	if out := run("maintenance", "list"); !strings.Contains(out, "move") || !strings.Contains(out, "the queue is moved") {
		t.Errorf("the list:\n%s", out)
	}
	wantEffects(t, s, 0)
	for _, q := range s.Receivers.Snapshot().Requests {
		t.Errorf("told in maintenance: %s", q)
	}
	run("maintenance", "end", "move")
	if _, err := s.WaitIncident(within(t, 90*time.Second), "resolved", finished); err != nil {
		t.Fatal(err)
	}
	wantEffects(t, s, 1)
	if err := s.Receivers.WaitFor(within(t, 15*time.Second), func(all recorders.Snapshot) bool {
		return len(s.Receivers.PagerDutyIncidents()) == 1 && len(s.Receivers.SlackMessages()) == 1
	}); err != nil {
		t.Error(err)
	}
}
