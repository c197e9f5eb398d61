package outbox

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
)

// standIn is a fake that is a fallback for another receiver; the empty name is primary.
type standIn struct {
	*fake
	other string
}

func (s standIn) FallbackFor() string { return cmp.Or(s.other, "primary") }

// TestAFallbackIsToldWhenThePrimaryIsDead_INV42 plays each way in which a receiver
// can fail to take a page, and counts from the decision.
func TestAFallbackIsToldWhenThePrimaryIsDead_INV42(t *testing.T) {
	for _, tc := range []struct {
		name   string
		do     func(context.Context, incident.Incident) error
		within time.Duration // 0: never
	}{
		{"takes it", func(context.Context, incident.Incident) error { return nil }, 0},
		{"takes it in the end", func() func(context.Context, incident.Incident) error {
			n := 0
			return func(context.Context, incident.Incident) error {
				if n++; n < 4 {
					return errors.New("down")
				}
				return nil
			}
		}(), 0},
		{"is down", func(context.Context, incident.Incident) error { return errors.New("down") }, time.Minute},
		{"hangs", func(ctx context.Context, _ incident.Incident) error { <-ctx.Done(); return ctx.Err() }, time.Minute},
		{"refuses", func(context.Context, incident.Incident) error {
			return &notify.Failure{Err: errors.New("no"), Final: true}
		}, time.Minute},
		{"asks for an hour", func(context.Context, incident.Incident) error {
			return &notify.Failure{Err: errors.New("429"), After: time.Hour}
		}, time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			var at time.Duration
			begin := time.Now()
			spare := standIn{fake: &fake{name: "spare", do: func(context.Context, incident.Incident) error {
				if at == 0 {
					at = time.Since(begin)
				}
				return nil
			}}}
			x := outbox(t, t.TempDir(), nil, &fake{name: "primary", do: tc.do}, spare)
			defer notifytest.Running(t, x)()
			i := notifytest.Trouble()
			i.UpdatedAt = notifytest.T0
			x.Tell(i)
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			if tc.within == 0 && spare.count() > 0 || tc.within > 0 && (spare.count() != 1 || at > tc.within) {
				t.Errorf("a primary that %s: the fallback was told %d times, first after %s", tc.name, spare.count(),
					at)
			}
			// Who was told of the beginning hears of the end, and nobody else does.
			i = notifytest.Over(i)
			i.UpdatedAt = notifytest.T0.Add(time.Hour)
			x.Tell(i)
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			if want := map[bool]int{true: 2}[tc.within > 0]; spare.count() != want {
				t.Errorf("a primary that %s: %d messages after the end, want %d", tc.name, spare.count(), want)
			}
		})
	}
}

// TestAChainOfFallbacks: e-mail for a webhook for PagerDuty, each of which may be dead.
func TestAChainOfFallbacks_INV42(t *testing.T) {
	for _, tc := range []struct {
		dead   []bool // primary, second
		second bool   // is told
		third  time.Duration
	}{
		{[]bool{false, false}, false, 0},
		{[]bool{false, true}, false, 0},
		{[]bool{true, false}, true, 0},
		{[]bool{true, true}, false, 90 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			begin, at := time.Now(), time.Duration(0)
			do := func(dead bool) func(context.Context, incident.Incident) error {
				return func(context.Context, incident.Incident) error {
					if dead {
						return errors.New("down")
					}
					return nil
				}
			}
			second := standIn{fake: &fake{name: "second", do: do(tc.dead[1])}}
			third := standIn{fake: &fake{name: "third", do: func(context.Context, incident.Incident) error {
				if at == 0 {
					at = time.Since(begin)
				}
				return nil
			}}, other: "second"}
			x := outbox(t, t.TempDir(), nil, &fake{name: "primary", do: do(tc.dead[0])}, second, third)
			defer notifytest.Running(t, x)()
			for n := range 20 {
				x.Tell(many(n))
			}
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			if (second.count() == 20) != tc.second || (third.count() == 20) != (tc.third > 0) || at > tc.third {
				t.Errorf("dead %v: the second was told %d times, the third %d, first after %s", tc.dead, second.count(),
					third.count(), at)
			}
		})
	}
}

// A fallback that is busy with what it was told of before does not make its own
// fallback believe that nobody took what is new.
func TestABusyFallbackIsNotOneThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var primaryDead, secondHangs atomic.Bool
		primaryDead.Store(true)
		primary := &fake{name: "primary", do: func(context.Context, incident.Incident) error {
			if primaryDead.Load() {
				time.Sleep(time.Second) // its fallback has looked, and waits
				return &notify.Failure{Err: errors.New("no"), Final: true}
			}
			return nil
		}}
		second := standIn{fake: &fake{name: "second", do: func(ctx context.Context, _ incident.Incident) error {
			if secondHangs.Load() {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}}
		third := standIn{fake: &fake{name: "third"}, other: "second"}
		x := outbox(t, t.TempDir(), nil, primary, second, third)
		defer notifytest.Running(t, x)()
		for n := range 4 {
			x.Tell(many(n))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if second.count() != 4 {
			t.Errorf("the second was told of %d at once", second.count())
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if second.count() != 4 || third.count() != 0 {
			t.Fatalf("the second was told of %d, the third of %d", second.count(), third.count())
		}
		primaryDead.Store(false)
		secondHangs.Store(true)
		for n := range 4 {
			i := notifytest.Over(many(n))
			i.UpdatedAt = notifytest.T0.Add(time.Hour)
			x.Tell(i)
		}
		time.Sleep(time.Second)
		x.Tell(many(99))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		for _, i := range third.notified {
			if i.ID == many(99).ID {
				t.Error("the third was told of what the primary took")
			}
		}
	})
}
