package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
)

func many(n int) incident.Incident {
	i := notifytest.Trouble()
	i.ID = fmt.Sprintf("01inc%05d", n)
	return i
}

func TestADeadReceiverIsTriedAtABoundedRate_INV43(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int64
		var down atomic.Bool
		down.Store(true)
		f := &fake{name: "f", do: func(context.Context, incident.Incident) error {
			tries.Add(1)
			if down.Load() {
				return errors.New("down")
			}
			return nil
		}}
		x := outbox(t, t.TempDir(), nil, f)
		defer notifytest.Running(t, x)()
		open := func() float64 { return testutil.ToFloat64(x.metrics.open.WithLabelValues("f")) }
		for n := range 500 {
			x.Tell(many(n))
		}
		synctest.Wait()
		if tries.Load() != breakAfter || open() != 1 {
			t.Errorf("%d tries at once, open %v", tries.Load(), open())
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		// Half a minute apart in the end, less the jitter.
		if tries.Load() > 70 {
			t.Errorf("%d tries in ten minutes", tries.Load())
		}
		down.Store(false)
		time.Sleep(2 * lastProbe)
		synctest.Wait()
		if f.count() < 400 || open() != 0 {
			t.Errorf("%d told a minute after it came back, open %v", f.count(), open())
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if f.count() != 500 || x.Pending()["f"] != 0 {
			t.Errorf("%d told in the end, %v wait", f.count(), x.Pending())
		}
	})
}

// Whether they were tried before, or are many and less urgent than what comes.
func TestMessagesThatCannotBeTakenHoldUpNoOthers(t *testing.T) {
	for _, tc := range []struct {
		bad int
		of  incident.Severity
	}{{6, incident.P1}, {50, incident.P3}} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{name: "f", do: func(_ context.Context, i incident.Incident) error {
				if i.ID < many(tc.bad).ID {
					return errors.New("500 for this one")
				}
				return nil
			}}
			x := outbox(t, t.TempDir(), nil, f)
			defer notifytest.Running(t, x)()
			for n := range tc.bad {
				i := many(n)
				i.Severity = tc.of
				x.Tell(i)
			}
			time.Sleep(10 * time.Minute)
			for n := range 20 {
				x.Tell(many(tc.bad + n))
			}
			time.Sleep(lastProbe * 3 / 2) // with its jitter
			synctest.Wait()
			if f.count() != 20 {
				t.Errorf("%d of %s: %d of 20 told", tc.bad, tc.of, f.count())
			}
		})
	}
}

// A hold-down is the incident's own and says nothing of the receiver; a limit is the
// receiver's and holds for all.
func TestAHoldDownIsNoFailureAndALimitIsForAll(t *testing.T) {
	for _, held := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			asked := map[string]int{}
			f := &fake{name: "f", do: func(_ context.Context, i incident.Incident) error {
				asked[i.ID]++
				return &notify.Failure{Err: errors.New("later"), After: 40 * time.Second, Own: held}
			}}
			x := outbox(t, t.TempDir(), nil, f)
			defer notifytest.Running(t, x)()
			for n := range 20 {
				x.Tell(many(n))
			}
			time.Sleep(30 * time.Second)
			synctest.Wait()
			if want := map[bool]int{true: 20, false: 1}[held]; len(asked) != want {
				t.Errorf("held %v: %d asked, want %d", held, len(asked), want)
			}
		})
	}
}
