package engine

import (
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

func TestWhenNobodyLeadsEachReplicaSaysSo_INV45(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var told []incident.Incident
	c := NewLeaderlessNotifier("watchdog", func(i incident.Incident) { told = append(told, i) })
	look := func(d time.Duration, why string, firing ...string) {
		at = at.Add(d)
		c.Look(at, why, firing)
	}
	// A moment without a leader is a change of leaders.
	look(0, "connection refused")
	look(leaderlessAfter-time.Second, "connection refused")
	look(time.Second, "")
	look(time.Second, "connection refused")
	look(leaderlessAfter-time.Second, "connection refused")
	if len(told) != 0 {
		t.Fatalf("told too early: %+v", told)
	}
	look(time.Second, "connection refused", "shop: error_rate", "cart: health")
	look(time.Second, "connection refused", "cart: health", "shop: error_rate")
	if len(told) != 1 || !told[0].Paged || told[0].ID != c.ID() ||
		!strings.Contains(told[0].PageReason, "connection refused") ||
		!strings.Contains(told[0].PageReason, "cart: health, shop: error_rate") {
		t.Fatalf("told %d times: %+v", len(told), told)
	}
	c.Delivered("pagerduty", incident.Receipt{State: "triggered"})
	look(time.Minute, "")
	if len(told) != 2 || told[1].Phase != incident.Resolved || told[1].Receipts["pagerduty"].State != "triggered" {
		t.Fatalf("the end was not told: %+v", told)
	}
	look(time.Minute, "")
	if len(told) != 2 {
		t.Fatalf("told again: %+v", told[2:])
	}
}

// The second time is told anew: whoever has a message of the first, and knows how that
// ended, would only edit it.
func TestTheSecondCutOffIsTold_INV45(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var told []incident.Incident
	c := NewLeaderlessNotifier("watchdog", func(i incident.Incident) { told = append(told, i) })
	for range 2 {
		c.Look(at, "connection refused", nil)
		c.Look(at.Add(leaderlessAfter), "connection refused", nil)
		c.Delivered("slack", incident.Receipt{Ref: "C1/1", State: "needs a person"})
		c.Look(at.Add(leaderlessAfter+time.Minute), "", nil)
		c.Delivered("slack", incident.Receipt{Ref: "C1/1", State: "resolved"})
		at = at.Add(24 * time.Hour)
	}
	if len(told) != 4 || told[1].Receipts["slack"].Ref == "" || len(told[2].Receipts) != 0 ||
		told[3].Receipts["slack"].Ref == "" {
		t.Errorf("%+v", told)
	}
}
