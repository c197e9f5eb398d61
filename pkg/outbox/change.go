package outbox

import (
	"context"
	"errors"
	"time"

	"watchdog.io/watchdog/pkg/notify"
)

// Limits of notifications of changes: nobody waits for it, and no page waits behind it.
const (
	maxChanges  = 64
	changeTries = 3
)

// Changed passes a change on to the receivers that want it, as well as it can: what
// is too much, or cannot be sent soon, is left out. It never blocks.
func (x *Outbox) Changed(c notify.Change) {
	select {
	case x.changes <- c:
	default:
		x.o.Logger.Warn("change notification dropped: too many are queued", "change", c.String())
	}
}

func (x *Outbox) notifyChanges(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-x.changes:
			for _, t := range x.changeTakers() {
				x.notifyChange(ctx, t, c)
			}
		}
	}
}

func (x *Outbox) changeTakers() []notify.ChangeTaker {
	x.mu.Lock()
	defer x.mu.Unlock()
	var all []notify.ChangeTaker
	for _, l := range x.lanes {
		if t, ok := l.notifier.(notify.ChangeTaker); ok && t.TakesChanges() {
			all = append(all, t)
		}
	}
	return all
}

func (x *Outbox) notifyChange(ctx context.Context, t notify.ChangeTaker, c notify.Change) {
	var err error
	for n := range changeTries {
		once, cancel := context.WithTimeout(ctx, notify.AttemptTimeout)
		err = t.Changed(once, c)
		cancel()
		var f *notify.Failure
		if err == nil || errors.As(err, &f) && f.Final {
			break
		}
		wait := time.NewTimer(pause(nil, n+1))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
	}
	if err != nil {
		x.o.Logger.Warn("change notification failed; not retried", "receiver", t.Name(), "change", c.String(), "err", err)
	}
}
