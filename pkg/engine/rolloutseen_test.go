package engine

import (
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// TestARolloutIsNotOverBeforeItsWriteWasSeen_X102: the watches are a moment behind, and show
// the workload complete as it was before the restart.
func TestARolloutIsNotOverBeforeItsWriteWasSeen_X102(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	id := func(s string) *string { return &s }
	for _, c := range []struct {
		name string
		seen *string
		on   string
		ago  time.Duration
		done bool
	}{
		{"they have not seen the write", id("op0"), "deployments", time.Second, false},
		{"they have seen it", id("op1"), "deployments", time.Second, true},
		{"somebody has taken the mark off", id(""), "deployments", time.Minute, true},
		{"they do not tell", nil, "deployments", time.Second, true},
		{"the autoscaler was written", id("op0"), "horizontalpodautoscalers", time.Second, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			op := &incident.Op{ID: "op1", Phase: incident.Settling, AppliedAt: now.Add(-c.ago),
				Plan: incident.Plan{Object: incident.Object{Resource: c.on}}}
			r := caughtUp(Snapshot{Rollout: incident.Rollout{Known: true, Done: true}, Op: c.seen}, op, now)
			if r.Done != c.done || !r.Known {
				t.Errorf("done %v, want %v", r.Done, c.done)
			}
		})
	}
}
