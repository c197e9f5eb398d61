package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// A receiver that a new configuration brings hears of what is open, although nothing
// changes: it may be there because the one before it is dead.
func TestNewReceiversHearOfWhatIsOpen_INV42(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "page")
		s.sick = sickWhile(func(*world) bool { return true })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		s.start(ctx, done)
		s.engine.Wake("shop")
		time.Sleep(time.Minute)
		synctest.Wait()
		told := func() int {
			s.mu.Lock()
			defer s.mu.Unlock()
			n := len(s.told)
			s.told = map[string]incident.Incident{}
			return n
		}
		told()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := told(); n != 0 {
			t.Errorf("told %d times without news", n)
		}
		s.engine.mu.Lock()
		setup := s.engine.setup
		s.engine.mu.Unlock()
		s.engine.Use(setup)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := told(); n != 1 {
			t.Errorf("told %d times with a new configuration", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := told(); n != 0 {
			t.Errorf("told %d times more", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}
