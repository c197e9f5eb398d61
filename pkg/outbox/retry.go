package outbox

import (
	"time"

	"github.com/cenkalti/backoff/v5"

	"watchdog.io/watchdog/pkg/notify"
)

// Limits of trying again.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// again records an attempt that did not deliver all of it, and is made again; the lock must be held.
func (l *lane) again(r *outcome) {
	if it := l.items[r.incident.ID]; it == nil || !it.waits {
		l.dropped(r)
		return
	}
	it, f, now := l.item(r.incident.ID), r.failure, time.Now()
	if f != nil && f.Delivered {
		it.since = time.Time{}
	}
	if r.changed {
		// What was sent is remembered, or it would be sent again with the rest.
		r.receipt.At = now.UTC().Truncate(time.Millisecond)
		it.receipt = r.receipt
		l.unsaved[r.incident.ID] = true
	}
	if f != nil && f.Own {
		// Unless there is news already.
		if it.incident.UpdatedAt.Equal(r.incident.UpdatedAt) {
			l.putOff(it, now.Add(f.After), true)
		}
		return
	}
	if it.fails++; !it.doubt {
		it.doubt = true
		l.unsaved[r.incident.ID] = true // the disk remembers it
	}
	// News of the incident waits too: the other side asked for quiet.
	l.putOff(it, now.Add(pause(f, it.fails)), false)
	l.breaker.failed(f, now)
}

// pause before the next try: what the other side asked for, else doubling with jitter.
func pause(f *notify.Failure, fails int) time.Duration {
	if f != nil && f.After > 0 {
		return f.After
	}
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = firstRetry, lastRetry, 2
	d := firstRetry
	for range min(fails, 10) {
		d = b.NextBackOff()
	}
	return d
}
