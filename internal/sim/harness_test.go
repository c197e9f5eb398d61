package sim

import "testing"

// TestHuntObjectsToNothing: what internal/mutants finds with a bug built in is
// not there without one.
func TestHuntObjectsToNothing(t *testing.T) {
	if c := Hunt(1, 50, Swarm); len(c.By) > 0 {
		t.Errorf("%v within %d worlds: %s", c.By, c.Worlds, c.Text)
	}
}
