// Package outbox stands between the engine and the receivers: a queue per receiver, with
// retries, on disk.
//
// It owns when a receiver is notified: silences, steps of an escalation, fallbacks, retries
// and the breaker. It leaves the message to the receivers, and what an incident is to the
// engine.
//
// Its one rule: it holds the newest state of each incident that a receiver has not
// got yet, and no receiver waits for another. What is done with it is decided by one pure
// function, decide; the rest collects what it needs, does it, and stores what came back.
package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/pkg/fileutil"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
)

// Limits of the outbox.
const (
	maxQueued    = 10_000 // incidents that wait for one receiver
	drainTimeout = 5 * time.Second
)

// Options are the outbox's edges.
type Options struct {
	Dir        string // for what waits; survives a restart of the process
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Delivered takes each new receipt.
	Delivered func(incidentID, receiver string, r incident.Receipt)
	// Hide takes secrets out of what is kept: a receiver may answer with what it was sent.
	// nil: nothing does.
	Hide func(string) string
}

// Outbox holds, per receiver, the newest state of each incident that it has not
// got yet. Receivers do not wait for each other (INV-43).
type Outbox struct {
	o       Options
	metrics *metrics

	mu      sync.Mutex // of all that lanes hold, too: a fallback decides by what its primary has
	lanes   map[string]*lane
	running context.Context
	wg      sync.WaitGroup
	from    func(receiver string, s incident.Severity) (step int, named bool)

	changes chan notify.Change
	keep    func(file string, b []byte) error // onDisk
}

// New returns an outbox with what an earlier process left in its folder.
func New(o Options) (*Outbox, error) {
	if err := fileutil.Private(o.Dir); err != nil {
		return nil, fmt.Errorf("open the outbox: %w", err)
	}
	return &Outbox{
		o: o, metrics: newMetrics(o.Registerer), lanes: map[string]*lane{},
		changes: make(chan notify.Change, maxChanges), keep: onDisk,
	}, nil
}

// Replace installs the receivers of a configuration. One that stays keeps its queue.
func (x *Outbox) Replace(all []notify.Notifier) {
	x.mu.Lock()
	defer x.mu.Unlock()
	keep := map[string]bool{}
	for _, n := range all {
		keep[n.Name()] = true
		l := x.lanes[n.Name()]
		if l == nil {
			l = x.newLane(n.Name())
			x.metrics.zeroes(n.Name())
			x.lanes[n.Name()] = l
			x.start(l)
		}
		l.notifier = n
		l.poke()
	}
	for name, l := range x.lanes {
		if !keep[name] {
			if l.cancel != nil {
				l.cancel()
			}
			delete(x.lanes, name)
			x.metrics.queue.DeleteLabelValues(name)
			x.metrics.open.DeleteLabelValues(name)
		}
	}
}

// Tell queues the incident for every receiver. It never blocks.
func (x *Outbox) Tell(i incident.Incident) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	for _, l := range x.lanes {
		arriving := &item{receiver: l.name, incident: i, waits: true}
		if x.decide(l, arriving, now).verb != drop {
			l.put(i, now)
		}
	}
}

// Yield drops what waits, but for the incidents that are this replica's own: another
// replica leads and notifies of all others. What is left here would be sent one day in an
// old state, as a page that nobody ever resolves.
func (x *Outbox) Yield(own func(id string) bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	for _, l := range x.lanes {
		for _, it := range append([]*item(nil), l.queue...) {
			p := x.policy(l, &it.incident)
			p.yielded = !own(it.incident.ID)
			if d := decide(it, p, now); d.verb == drop {
				l.drop(it, d)
			}
		}
		l.gauge()
		l.poke() // the disk forgets it, too
	}
}

// decide says what a lane is to do with an item; the lock must be held.
func (x *Outbox) decide(l *lane, it *item, now time.Time) decision {
	return decide(it, x.policy(l, &it.incident), now)
}

// policy is what a decision about an incident depends on, beside the lane's item; the
// lock must be held, also while its primary is asked for.
func (x *Outbox) policy(l *lane, i *incident.Incident) policy {
	p := policy{canary: l.name == notify.CanaryReceiver, quiet: l.breaker.quiet}
	if x.from != nil {
		p.step, p.named = x.from(l.name, i.Severity)
	}
	if other := notify.StandsInFor(l.notifier); other != "" {
		p.primary = func() *side { return x.side(other, i) }
	}
	return p
}

// side is what the lane of a receiver has of an incident; nil: there is no such receiver.
func (x *Outbox) side(receiver string, i *incident.Incident) *side {
	l := x.lanes[receiver]
	if l == nil {
		return nil
	}
	it := l.items[i.ID]
	if it == nil {
		it = &item{receiver: receiver}
	}
	return &side{it, i, x.policy(l, i)}
}

// Pending returns how many incidents wait per receiver.
func (x *Outbox) Pending() map[string]int {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := map[string]int{}
	for name, l := range x.lanes {
		n[name] = len(l.queue)
	}
	return n
}

// Run delivers until ctx ends, and then for a bounded time what is still queued.
func (x *Outbox) Run(ctx context.Context) error {
	deliver, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	x.mu.Lock()
	x.running = deliver
	for _, l := range x.lanes {
		x.start(l)
	}
	x.mu.Unlock()
	x.wg.Go(func() { x.notifyChanges(ctx) })
	<-ctx.Done()
	x.drain()
	cancel()
	x.mu.Lock()
	x.running = nil
	x.mu.Unlock()
	x.wg.Wait()
	return nil
}

// drain gives the receivers a moment to take what waits.
func (x *Outbox) drain() {
	limit := time.NewTimer(drainTimeout)
	defer limit.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		waiting := x.ready()
		if waiting == 0 {
			return
		}
		select {
		case <-limit.C:
			x.o.Logger.Warn("stopped with undelivered notifications; they stay on disk, and the next leader notifies",
				"waiting", waiting)
			return
		case <-tick.C:
		}
	}
}

// ready counts what is to be done now.
func (x *Outbox) ready() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	n, now := 0, time.Now()
	for _, l := range x.lanes {
		for _, it := range l.queue {
			if x.decide(l, it, now).verb != later {
				n++
			}
		}
	}
	return n
}

func (x *Outbox) start(l *lane) {
	if x.running == nil || l.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(x.running)
	l.cancel = cancel
	x.wg.Go(func() { l.run(ctx) })
}

// hurry lets the fallbacks of a receiver decide on an incident now: it was rejected there.
func (x *Outbox) hurry(name, id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, l := range x.lanes {
		if it := l.items[id]; notify.StandsInFor(l.notifier) == name && (it == nil || it.fails == 0) {
			if it != nil {
				it.notBefore = time.Time{}
			}
			l.poke()
		}
	}
}
