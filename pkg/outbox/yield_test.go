package outbox

import (
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

// A replica that led keeps a page that its receiver did not take. The incident is
// resolved while another leads: the page does not go out when the receiver works again.
func TestWhatAnotherLeaderTellsIsNotToldByThisOne_INV42(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var dead atomic.Bool
			dead.Store(true)
			pager := &fake{name: "pager", do: func(ctx context.Context, _ incident.Incident) error {
				switch {
				case !dead.Load():
					return nil
				case hangs:
					<-ctx.Done()
				}
				return errors.New("down")
			}}
			dir := t.TempDir()
			x := outbox(t, dir, nil, pager)
			stop := notifytest.Running(t, x)
			own := many(1)
			x.Tell(notifytest.Trouble())
			x.Tell(own)
			time.Sleep(time.Minute)
			x.Yield(func(id string) bool { return id == own.ID })
			dead.Store(false)
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			stop()
			if pager.count() != 1 || pager.notified[0].ID != own.ID {
				t.Errorf("hangs %v: told %+v", hangs, pager.notified)
			}
			if n := outbox(t, dir, nil, pager).Pending()["pager"]; n != 0 {
				t.Errorf("hangs %v: %d wait after a restart", hangs, n)
			}
		})
	}
}

// An attempt that fails after its incident was forgotten does not bring it back, neither in
// memory nor on disk. What it told all the same is remembered.
func TestAnAttemptThatFailsLaterBringsNothingBack_INV42(t *testing.T) {
	partial := incident.Receipt{Ref: "1", State: "firing"}
	for _, tc := range []struct {
		name    string
		receipt incident.Receipt // that the attempt brings
		failure error
		items   int // that are left
	}{
		{"it told nothing", incident.Receipt{}, errors.New("down"), 0},
		{"the receiver delays it", incident.Receipt{},
			&notify.Failure{Err: errors.New("not yet"), After: time.Second, Own: true}, 0},
		{"it told the message, and not its thread", partial,
			&notify.Failure{Err: errors.New("429"), After: time.Second, Delivered: true}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				var delivered []incident.Receipt
				late := &slowToFail{receipt: tc.receipt, err: tc.failure}
				x := outbox(t, dir, func(_, _ string, r incident.Receipt) { delivered = append(delivered, r) }, late)
				stop := notifytest.Running(t, x)
				x.Tell(notifytest.Trouble())
				time.Sleep(time.Second)
				x.Yield(func(string) bool { return false })
				time.Sleep(time.Hour)
				stop()
				if late.tries != 1 || len(delivered) != tc.items {
					t.Errorf("tried %d times; handed on %+v", late.tries, delivered)
				}
				for when, x := range map[string]*Outbox{"now": x, "after a restart": outbox(t, dir, nil, late)} {
					l := x.lanes[late.Name()]
					if len(l.items) != tc.items || len(l.queue) != 0 {
						t.Errorf("%s: %d items, of which %d wait; want %d, none", when, len(l.items), len(l.queue), tc.items)
					}
					for _, it := range l.items {
						if it.receipt.Ref != tc.receipt.Ref || it.doubt || it.fails != 0 {
							t.Errorf("%s: %+v, in doubt %v, %d failures", when, it.receipt, it.doubt, it.fails)
						}
					}
				}
			})
		})
	}
}

// slowToFail answers after five seconds.
type slowToFail struct {
	receipt incident.Receipt
	err     error
	tries   int
}

func (*slowToFail) Name() string { return "slow" }

func (s *slowToFail) Notify(context.Context, incident.Incident, incident.Receipt) (incident.Receipt, error) {
	s.tries++
	time.Sleep(5 * time.Second)
	return s.receipt, s.err
}
