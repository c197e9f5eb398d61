//go:build integration

package e2e

import (
	"encoding/json"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/demo"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/incident"
)

// TestADeadlineOutlivesItsLeader_F34: a person is paged, the leader is killed while
// the clock of the answer runs, and the next leader says at the time that was set
// that nobody answered, once, and asks the next step's people.
func TestADeadlineOutlivesItsLeader_F34(t *testing.T) {
	s := stage(t, "deadline")
	text := replaced(t, config(t, s, "agents"), "      - restart: { settle: 3s, verify: 60s }\n", "", "receivers:\n", `response:
  - severity: P1
    within: 30s
    steps:
      - { receivers: [pagerduty, slack] }
      - { receivers: [lead] }
receivers:
  webhooks:
    - { name: lead, url: "RECEIVERS/webhook/lead" }
`)
	installText(t, s, s.Addressed(text))
	if err := s.Fault("agents"); err != nil {
		t.Fatal(err)
	}
	asked, err := s.WaitIncident(within(t, time.Minute), "paged", func(i incident.Incident) bool {
		return i.Paged &&
			!i.AckBy.IsZero()
	})
	if err != nil {
		t.Fatal(err)
	}
	kill9(t, s, leader(t, s))
	late, err := s.WaitIncident(within(t, time.Minute),
		"unanswered", func(i incident.Incident) bool { return i.Unanswered > 0 })
	if err != nil {
		t.Fatal(err)
	}
	told := time.Time{}
	for _, e := range late.Timeline {
		if e.Kind == "unanswered" {
			told = e.At
		}
	}
	if off := told.Sub(asked.AckBy); off < 0 || off > 10*time.Second || late.ID != asked.ID || late.Unanswered != 1 ||
		late.Step != 1 {
		t.Errorf("due %s, told %s later; %d unanswered, step %d", asked.AckBy, off, late.Unanswered, late.Step)
	}
	t.Logf("told %s after the deadline; its leader was killed in between",
		told.Sub(asked.AckBy).Round(time.Millisecond))
	toldTo(t, s, "lead", 1)
	if out, err := s.Testbed.Watchdog(t.Context(), "ack", asked.ID, "--reason", "mine", "-n", s.Watchdog); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	mine, err := s.WaitIncident(within(t, time.Minute),
		"acknowledged", func(i incident.Incident) bool { return !i.Acked.At.IsZero() })
	if err != nil || !mine.AckBy.IsZero() || mine.Unanswered != 1 {
		t.Errorf("next deadline %s, %d unanswered (%v)", mine.AckBy, mine.Unanswered, err)
	}
	wantEffects(t, s, 0)
}

// toldTo waits until a webhook of the scene was told of n incidents, and holds that
// it was told of no more.
func toldTo(t *testing.T, s *demo.Scene, name string, n int) {
	t.Helper()
	keys := func(all recorders.Snapshot) int {
		seen := map[string]bool{}
		for _, q := range all.Requests {
			var m struct{ GroupKey string }
			if q.Receiver == recorders.Webhook && q.Key == name && json.Unmarshal(q.Body, &m) == nil {
				seen[m.GroupKey] = true
			}
		}
		return len(seen)
	}
	if err := s.Receivers.WaitFor(within(t, 15*time.Second),
		func(all recorders.Snapshot) bool { return keys(all) >= n }); err != nil {
		t.Error(err)
	}
	if got := keys(s.Receivers.Snapshot()); got != n {
		t.Errorf("%s was told of %d incidents, want %d", name, got, n)
	}
}
