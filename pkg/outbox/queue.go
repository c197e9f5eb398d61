package outbox

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/strutil"
)

// Limits of trying again.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// lane is the queue of one receiver. What it holds is under the outbox's lock.
type lane struct {
	out    *Outbox
	name   string
	wake   chan struct{}
	cancel context.CancelFunc

	notifier notify.Notifier
	items    map[string]*item // by incident
	queue    []*item          // those that wait, in the order in which they came
	owned    int              // of these, how many wait because the receiver wishes it
	unsaved  map[string]bool  // incidents of which the disk has something old
	trying   string           // the incident that is being sent
	breaker  breaker
	flushed  time.Time // known to the lane's own goroutine only
}

func (x *Outbox) newLane(name string) *lane {
	l := &lane{out: x, name: name, wake: make(chan struct{}, 1), items: map[string]*item{}, unsaved: map[string]bool{}}
	l.restore()
	return l
}

func (l *lane) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// gauge shows how much waits. What a receiver itself puts off is not late.
func (l *lane) gauge() {
	l.out.metrics.queue.WithLabelValues(l.name).Set(float64(len(l.queue) - l.owned))
	l.out.metrics.open.WithLabelValues(l.name).Set(l.breaker.gauge())
}

// item is what the lane has of an incident.
func (l *lane) item(id string) *item {
	it := l.items[id]
	if it == nil {
		it = &item{receiver: l.name, incident: incident.Incident{ID: id}}
		l.items[id] = it
	}
	return it
}

// put queues the newest state of an incident.
func (l *lane) put(i incident.Incident, now time.Time) {
	it := l.item(i.ID)
	if it.own && !i.UpdatedAt.Equal(it.incident.UpdatedAt) {
		l.putOff(it, time.Time{}, false)
	}
	if it.incident = i; !it.waits {
		it.waits = true
		l.queue = append(l.queue, it)
	}
	if it.since.IsZero() {
		it.since = now
	}
	l.unsaved[i.ID] = true
	if len(l.queue) > maxQueued {
		it := leastUrgent(l.queue)
		p := l.out.policy(l, &it.incident)
		p.crowded = true
		l.drop(it, decide(it, p, now))
	}
	l.gauge()
	l.poke()
}

// putOff lets an item wait, by the receiver's own wish or not.
func (l *lane) putOff(it *item, until time.Time, own bool) {
	if it.own != own {
		l.owned += map[bool]int{true: 1, false: -1}[own]
	}
	it.notBefore, it.own = until, own
}

var leastFirst = []incident.Severity{incident.P3, incident.P2, incident.P1, incident.P0}

// leastUrgent is what makes room: a resolved incident that was never sent, else the oldest
// of the least severity.
func leastUrgent(queue []*item) *item {
	var found *item
	least := 0
	for _, it := range queue {
		urgent := 1 + slices.Index(leastFirst, it.incident.Severity)
		if it.incident.Phase == incident.Resolved && !it.notified() && !it.doubt {
			urgent = -1
		}
		if found == nil || urgent < least {
			found, least = it, urgent
		}
	}
	return found
}

// counted is how what is not attempted appears in the metrics.
var counted = map[reason]string{
	queueFull: "dropped", anotherLeads: "yielded", silenced: "silenced", inMaintenance: "silenced",
}

func (l *lane) count(d decision) {
	if result := counted[d.reason]; result != "" {
		l.out.metrics.sent.WithLabelValues(l.name, result).Inc()
	}
}

// drop takes an item out of the queue, and forgets all of it but the last receipt
// and, unless another replica notifies from now on, that the receiver may have been notified.
func (l *lane) drop(it *item, d decision) {
	tried, goesOn := it.doubt || l.trying == it.incident.ID, it.incident.Phase != incident.Resolved
	l.dequeue(it)
	l.putOff(it, time.Time{}, false)
	it.doubt = d.reason == queueFull && tried && goesOn
	it.since, it.fails, it.refused = time.Time{}, 0, false
	l.saved(it)
	l.count(d)
}

func (l *lane) dequeue(it *item) {
	it.waits, it.incident = false, incident.Incident{ID: it.incident.ID}
	l.queue = slices.DeleteFunc(l.queue, func(o *item) bool { return o == it })
}

// saved has an item written to disk, and forgets it if nothing is left of it.
func (l *lane) saved(it *item) {
	l.unsaved[it.incident.ID] = true
	if !it.waits && it.receipt == (incident.Receipt{}) && !it.refused && it.fails == 0 && !it.doubt {
		delete(l.items, it.incident.ID)
	}
}

func (l *lane) run(ctx context.Context) {
	defer l.flush(0)
	for {
		a, wait := l.next()
		if a != nil && time.Since(l.flushed) >= flushTime {
			l.flush(flushTime) // what waits is on disk before it is tried, unless much does
			a, wait = l.next() // something else may be more urgent meanwhile
		}
		if a != nil {
			l.act(ctx, *a)
			if ctx.Err() != nil {
				return
			}
			continue
		}
		l.flush(0)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-l.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

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
