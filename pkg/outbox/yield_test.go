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
			if pager.count() != 1 || pager.told[0].ID != own.ID {
				t.Errorf("hangs %v: told %+v", hangs, pager.told)
			}
			if n := outbox(t, dir, nil, pager).Pending()["pager"]; n != 0 {
				t.Errorf("hangs %v: %d wait after a restart", hangs, n)
			}
		})
	}
}
