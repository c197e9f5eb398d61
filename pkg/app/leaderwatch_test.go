package app

import (
	"testing"
	"time"
)

// What waits for receivers is left to another leader once it has led for a while, and
// never while it is not known who leads.
func TestWhatWaitsIsLeftToAnotherLeader(t *testing.T) {
	var y yielding
	at := time.Date(2026, 3, 6, 1, 15, 0, 0, time.UTC)
	for k, tt := range []struct {
		after  time.Duration
		holder string
		other  bool
		want   bool
	}{
		{0, "b", true, false}, {20 * time.Second, "b", true, false}, {yieldAfter, "b", true, true},
		{40 * time.Second, "b", true, true},
		{50 * time.Second, "c", true, false}, {70 * time.Second, "", false, false},
		{90 * time.Second, "c", true, false}, {120 * time.Second, "c", true, true},
		{30 * time.Second, "c", true, false}, // the clock went back
	} {
		if got := y.look(at.Add(tt.after), tt.holder, tt.other); got != tt.want {
			t.Errorf("look %d: %v", k, got)
		}
	}
}
