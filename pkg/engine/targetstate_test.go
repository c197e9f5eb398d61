package engine

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestATargetOfWhichNothingIsKnownIsForgotten: whoever may post alerts can name any number of targets.
func TestATargetOfWhichNothingIsKnownIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := newStage(newWorld(), "page")
		s.sick = sickWhile(func(*world) bool { return time.Since(began) < time.Minute })
		play(t, s, 10*time.Second)
		if s.engine.known("shop").open == nil {
			t.Fatal("no incident is open")
		}
		play(t, s, 20*time.Minute)
		s.engine.change("shop", func(st *targetState) { st.revision = nil }) // a target of the configuration has one
		if len(s.engine.closed) == 0 || len(s.engine.targets) != 0 {
			t.Errorf("%d incidents are over, and %v is known", len(s.engine.closed), s.engine.targets)
		}
	})
}
