package outbox

import (
	"context"
	"errors"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/strutil"
)

// attempt is an item as it was when something was decided about it.
type attempt struct {
	decision
	incident incident.Incident
	prev     incident.Receipt
	to       notify.Notifier
}

// next decides about what waits, and returns the item with which something is to be done
// first, or how long to wait for one.
func (l *lane) next() (*attempt, time.Duration) {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	now, wait := time.Now(), time.Hour
	var due *item
	var what decision
	for _, it := range l.queue {
		if due != nil && !it.before(due) {
			continue
		}
		d := l.out.decide(l, it, now)
		if d.verb == later {
			wait = min(wait, d.at.Sub(now))
			switch d.reason {
			case leftAlone:
				return nil, wait // for all of them
			case primaryMayTake:
				it.notBefore = d.at
			}
			continue
		}
		due, what = it, d
		if it.fails == 0 && it.incident.Severity == incident.P0 {
			break // nothing comes before it
		}
	}
	if due == nil {
		return nil, wait
	}
	if what.verb == send {
		l.trying = due.incident.ID
	}
	return &attempt{what, due.incident, due.newest(&due.incident), l.notifier}, 0
}

// act does what was decided, and stores what came back.
func (l *lane) act(ctx context.Context, a attempt) {
	switch a.verb {
	case leave, drop:
		// Of what is silenced, the engine hands the incident on when the silence ends.
		l.out.o.Logger.Debug("not notified", "receiver", l.name, "incident", a.incident.ID, "reason", a.reason)
		l.store(a, a.prev, nil)
	case send:
		limit := notify.AttemptTimeout
		if p, ok := a.to.(notify.Patient); ok {
			limit = p.Patience()
		}
		once, cancel := context.WithTimeout(notify.WithDoubt(ctx, a.doubt), limit)
		receipt, err := a.to.Notify(once, a.incident, a.prev)
		cancel()
		if ctx.Err() != nil && err != nil && receipt == a.prev {
			return
		}
		l.store(a, receipt, err)
	}
}

// store records the result of a decision, and reports it.
func (l *lane) store(a attempt, receipt incident.Receipt, err error) {
	l.out.mu.Lock()
	l.trying = ""
	r := outcome{attempt: a, receipt: receipt, err: err, changed: receipt != a.prev}
	errors.As(err, &r.failure)
	r.retry = err != nil && !(r.failure != nil && r.failure.Final)
	if r.retry {
		l.again(&r)
	} else {
		l.settle(&r)
	}
	l.gauge()
	l.out.mu.Unlock()
	l.report(r)
}

// outcome is what came of an attempt.
type outcome struct {
	attempt
	receipt incident.Receipt
	err     error
	failure *notify.Failure // of err
	changed bool            // there is something new to remember
	retry   bool            // it is tried again
	dropped bool            // it was taken out of the queue meanwhile: nothing is owed any more
}

// dropped books an attempt that failed after its item was taken out of the queue: what of it
// is to be kept, drop has decided; the lock must be held.
func (l *lane) dropped(r *outcome) {
	r.retry, r.dropped = false, true
	if r.changed {
		r.receipt.At = time.Now().UTC().Truncate(time.Millisecond)
		l.item(r.incident.ID).receipt = r.receipt
		l.unsaved[r.incident.ID] = true
	}
	l.breaker.failed(r.failure, time.Now())
}

// settle books what needs no further attempt: it was sent, left or rejected; the lock must be held.
func (l *lane) settle(r *outcome) {
	it, now := l.item(r.incident.ID), time.Now()
	l.putOff(it, time.Time{}, false)
	it.fails, it.since = 0, time.Time{}
	if r.verb == send {
		it.doubt = false // it was answered; of what was left, nobody has asked
	}
	it.refused = r.err != nil && !r.failure.Delivered
	if it.waits {
		if it.incident.UpdatedAt.Equal(r.incident.UpdatedAt) {
			l.dequeue(it)
		} else {
			it.since = now // there is news already
		}
	}
	if r.err != nil {
		progress := r.changed // some of it was sent before the rest was rejected
		r.receipt.Error = strutil.Shorten(r.err.Error(), 300)
		if !progress {
			r.receipt.Digest = r.prev.Digest
		}
		r.changed = progress || r.prev.Error != r.receipt.Error
	}
	if r.changed || r.err != nil {
		l.breaker.answered()
	}
	if r.changed {
		r.receipt.At = now.UTC().Truncate(time.Millisecond)
		it.receipt = r.receipt
	}
	if r.incident.Phase == incident.Resolved && !it.waits {
		it.receipt, it.refused = incident.Receipt{}, false
	}
	l.saved(it)
}

// report counts and logs what came of an attempt, and hands a new receipt on.
func (l *lane) report(r outcome) {
	log, sent := l.out.o.Logger, l.out.metrics.sent
	about := []any{"receiver", l.name, "incident", r.incident.ID}
	switch f := r.failure; {
	case r.dropped:
		log.Debug("notification failed; no longer needed", append(about, "err", r.err)...)
	case r.retry && f != nil && f.Own && !r.changed:
		log.Debug("notification delayed", append(about, "reason", r.err)...)
		return // nothing was sent, and nothing is to be remembered
	case r.retry && f != nil && f.After > 0:
		log.Debug("notification delayed", append(about, "reason", r.err)...)
	case r.retry:
		sent.WithLabelValues(l.name, "retry").Inc()
		log.Warn("notification failed; retrying", append(about, "err", r.err)...)
	case r.err != nil:
		sent.WithLabelValues(l.name, "refused").Inc()
		l.out.hurry(l.name, r.incident.ID)
		log.Error("notification rejected; not retried until the incident changes", append(about, "err", r.err)...)
	case r.changed:
		sent.WithLabelValues(l.name, "ok").Inc()
		l.out.metrics.success.WithLabelValues(l.name).SetToCurrentTime()
	default:
		l.count(r.decision)
	}
	if r.changed {
		l.out.o.Delivered(r.incident.ID, l.name, r.receipt)
	}
}
