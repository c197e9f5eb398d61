//go:build integration

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// TestAPersonApproves: nothing is done before somebody says yes to exactly the plan
// that was shown. A word on another plan counts for nothing; the request survives
// the leader's death; then the one action follows, under the request's id.
func TestAPersonApproves(t *testing.T) {
	s := stage(t, "approve")
	installText(t, s, replaced(t, config(t, s, "agents"), "- restart: {", "- restart: { mode: approve,"))
	if err := s.Fault("agents"); err != nil {
		t.Fatal(err)
	}
	asked, err := s.WaitIncident(within(t, time.Minute),
		"asks", func(i incident.Incident) bool { return i.Asked != nil && i.Paged })
	if err != nil {
		t.Fatal(err)
	}
	if out, err := s.Testbed.Watchdog(t.Context(), "approve", asked.ID,
		"--plan", "0123456789ab", "-n", s.Watchdog); err == nil ||
		!strings.Contains(out, "not approved: the current plan is "+asked.Asked.Plan.Hash[:12]) {
		t.Errorf("another plan: %v\n%s", err, out)
	}
	// Who writes it by hand is not believed either.
	word := fmt.Sprintf(`{"spec":{"approvals":{%q:{"eve":{"plan":"0123456789ab","by":"eve",`+
		`"at":"2026-01-01T00:00:00Z"}}}}}`, asked.Asked.Op)
	if out, err := s.Run(t.Context(), "", "kubectl", "-n", s.Watchdog, "patch", "incident", asked.ID,
		"--type", "merge", "-p", word); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := s.WaitIncident(within(t, time.Minute), "refuses the word", func(i incident.Incident) bool {
		return slices.ContainsFunc(i.Timeline, func(e incident.Entry) bool {
			return e.Kind == "not approved" && strings.Contains(e.Text, "eve approved plan 0123456789ab")
		})
	}); err != nil {
		t.Fatal(err)
	}
	kill9(t, s, leader(t, s))
	wantEffects(t, s, 0)
	if out, err := s.Testbed.Watchdog(t.Context(), "approve", asked.ID, "--plan", asked.Asked.Plan.Hash[:12],
		"--reason", "go", "-n", s.Watchdog); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	done, err := s.WaitIncident(within(t, 90*time.Second), "resolved", finished)
	if err != nil {
		t.Fatal(err)
	}
	if len(done.Attempts) != 1 || done.Attempts[0].OpID != asked.Asked.Op || done.Acked.At.IsZero() ||
		!strings.HasSuffix(done.Acked.By, "admin") {
		t.Errorf("attempts %+v, taken on by %+v", done.Attempts, done.Acked)
	}
	if r := wantEffects(t, s, 1); len(r) == 1 {
		conditional(t, r[0])
	}
	told(t, s, 1, true)
	out, err := s.Testbed.Watchdog(t.Context(), "review", asked.ID, "-n", s.Watchdog)
	for _, part := range []string{"# Post-Incident Review - " + s.Namespace + "/deployment/agent-system",
		"**approved** 1 of 1 approvals of plan", "| recovered | " + done.ResolvedAt.UTC().Format(time.DateTime),
		"**helped**"} {
		if err != nil || !strings.Contains(out, part) {
			t.Errorf("the review (%v) lacks %q:\n%s", err, part, out)
		}
	}
	if out, err := s.Testbed.Watchdog(t.Context(), "review", asked.ID, "--check", "-n", s.Watchdog); err == nil ||
		!strings.Contains(out, "missing:\n  - root cause analysis\n  - impact assessment\n  - action items for "+
			"prevention") {
		t.Errorf("complete without a person's words: %v\n%s", err, out)
	}
}

// TestAPersonDenies: what is forbidden is not done, and the ladder goes on to its page.
func TestAPersonDenies(t *testing.T) {
	s := stage(t, "deny")
	installText(t, s, replaced(t, config(t, s, "agents"), "- restart: {", "- restart: { mode: approve,"))
	if err := s.Fault("agents"); err != nil {
		t.Fatal(err)
	}
	asked, err := s.WaitIncident(within(t, time.Minute),
		"asks", func(i incident.Incident) bool { return i.Asked != nil })
	if err != nil {
		t.Fatal(err)
	}
	if out, err := s.Testbed.Watchdog(t.Context(), "deny", asked.ID, "--reason", "the queue is being drained",
		"-n", s.Watchdog); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	end, err := s.WaitIncident(within(t, time.Minute),
		"escalated", func(i incident.Incident) bool { return i.Phase == incident.Escalated })
	if err != nil {
		t.Fatal(err)
	}
	if end.Asked != nil || !slices.ContainsFunc(end.Timeline, func(e incident.Entry) bool {
		return e.Kind == "skipped" && strings.Contains(e.Text, "(the queue is being drained)")
	}) {
		t.Errorf("%+v %+v", end.Asked, end.Timeline)
	}
	if out, err := s.Testbed.Watchdog(t.Context(), "approve", asked.ID, "--plan", asked.Asked.Plan.Hash[:12],
		"-n", s.Watchdog); err == nil || !strings.Contains(out, "does not request approval") {
		t.Errorf("approved afterwards: %v\n%s", err, out)
	}
	wantEffects(t, s, 0)
}
