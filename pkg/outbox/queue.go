package outbox

import (
	"context"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
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
