// Package outbox stands between the engine and the receivers: a queue per receiver, with
// retries, on disk.
//
// It owns when a receiver is told: silences, steps of an escalation, fallbacks, retries
// and the breaker. It leaves what is said to the receivers, and what an incident is to the
// engine.
//
// Its one rule: it holds the newest state of each incident that a receiver has not been
// told yet, and no receiver waits for another.
package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/pkg/disk"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/strutil"
)

// aside reports whether an incident is none of a receiver's: the canary's receiver
// hears of the canary alone, and nobody else does.
func aside(i incident.Incident, receiver string) bool {
	return (i.Target.Name == incident.Canary) != (receiver == notify.CanaryReceiver)
}

// Limits of the outbox.
const (
	maxQueued    = 10_000 // incidents that wait for one receiver
	drainTimeout = 5 * time.Second
	firstRetry   = time.Second
	lastRetry    = time.Minute
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
// been told yet. Receivers do not wait for each other (INV-43).
type Outbox struct {
	o       Options
	metrics *metrics

	mu      sync.Mutex
	lanes   map[string]*lane
	running context.Context
	wg      sync.WaitGroup
	from    func(receiver string, s incident.Severity) (step int, named bool)

	changes chan notify.Change
	keep    func(file string, b []byte) error // onDisk
}

// lane is the queue of one receiver.
type lane struct {
	out    *Outbox
	name   string
	wake   chan struct{}
	cancel context.CancelFunc

	mu       sync.Mutex
	notifier notify.Notifier
	waiting  map[string]incident.Incident // by id
	order    []string
	receipts map[string]incident.Receipt // newest per incident, until it is resolved and told
	notFor   map[string]time.Time        // not before
	fails    map[string]int
	since    map[string]time.Time // since when what waits could not be told
	refused  map[string]bool      // the newest state was refused for good
	unsaved  map[string]bool      // what the disk has of it is old
	breaker  breaker
	own      map[string]bool // the wait is the receiver's own
	flushed  time.Time       // known to the lane's own goroutine only
}

// New returns an outbox with what an earlier process left in its folder.
func New(o Options) (*Outbox, error) {
	if err := disk.Private(o.Dir); err != nil {
		return nil, fmt.Errorf("open the outbox: %w", err)
	}
	return &Outbox{o: o, metrics: newMetrics(o.Registerer), lanes: map[string]*lane{}, changes: make(chan notify.Change, maxChanges), keep: onDisk}, nil
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
		l.mu.Lock()
		l.notifier = n
		l.mu.Unlock()
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
	for _, l := range x.lanes {
		if !aside(i, l.name) {
			l.put(i)
		}
	}
}

// Pending returns how many incidents wait per receiver.
func (x *Outbox) Pending() map[string]int {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := map[string]int{}
	for name, l := range x.lanes {
		l.mu.Lock()
		n[name] = len(l.order)
		l.mu.Unlock()
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
	x.wg.Go(func() { x.tellChanges(ctx) })
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
		waiting := 0
		x.mu.Lock()
		for _, l := range x.lanes {
			waiting += l.ready()
		}
		x.mu.Unlock()
		if waiting == 0 {
			return
		}
		select {
		case <-limit.C:
			x.o.Logger.Warn("stopped with messages not delivered; they are kept and the next leader tells them", "waiting", waiting)
			return
		case <-tick.C:
		}
	}
}

func (x *Outbox) newLane(name string) *lane {
	l := &lane{out: x, name: name, wake: make(chan struct{}, 1), waiting: map[string]incident.Incident{}, receipts: map[string]incident.Receipt{}, notFor: map[string]time.Time{}, fails: map[string]int{}, since: map[string]time.Time{}, refused: map[string]bool{}, own: map[string]bool{}, unsaved: map[string]bool{}}
	l.restore()
	return l
}

func (x *Outbox) start(l *lane) {
	if x.running == nil || l.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(x.running)
	l.cancel = cancel
	x.wg.Go(func() { l.run(ctx) })
}

func (l *lane) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *lane) put(i incident.Incident) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, queued := l.waiting[i.ID]; !queued {
		l.order = append(l.order, i.ID)
	}
	if l.own[i.ID] && !i.UpdatedAt.Equal(l.waiting[i.ID].UpdatedAt) {
		delete(l.notFor, i.ID)
		delete(l.own, i.ID)
	}
	l.waiting[i.ID] = i
	l.unsaved[i.ID] = true
	if l.since[i.ID].IsZero() {
		l.since[i.ID] = time.Now()
	}
	if len(l.order) > maxQueued {
		l.drop()
	}
	l.out.metrics.queue.WithLabelValues(l.name).Set(float64(len(l.order) - len(l.own)))
	l.poke()
}

// drop makes room: a resolved incident that was never told goes first, then the oldest
// of the least severity.
func (l *lane) drop() {
	k, least := 0, 0
	for n, id := range l.order {
		i := l.waiting[id]
		urgent := 1 + slices.Index([]incident.Severity{incident.P3, incident.P2, incident.P1, incident.P0}, i.Severity)
		if i.Phase == incident.Resolved && !notify.Told(l.newest(i)) {
			urgent = -1
		}
		if n == 0 || urgent < least {
			k, least = n, urgent
		}
	}
	id := l.order[k]
	l.order = slices.Delete(l.order, k, k+1)
	l.forget(id)
	l.out.metrics.sent.WithLabelValues(l.name, "dropped").Inc()
}

// forget takes out what is known of an incident that does not wait any more, but for
// what the receiver was told.
func (l *lane) forget(id string) {
	l.unsaved[id] = true
	delete(l.waiting, id)
	delete(l.own, id)
	delete(l.since, id)
	delete(l.notFor, id)
	delete(l.fails, id)
	delete(l.refused, id)
}

// ready counts what could be sent now.
func (l *lane) ready() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Until(l.breaker.quiet) > 0 {
		return 0
	}
	n := 0
	for _, id := range l.order {
		if time.Now().After(l.notFor[id]) {
			n++
		}
	}
	return n
}

func (l *lane) run(ctx context.Context) {
	defer l.flush(0)
	for {
		id, wait := l.next()
		switch {
		case id == "":
			l.flush(0)
		case time.Since(l.flushed) >= flushTime:
			l.flush(flushTime) // what waits is on disk before it is tried, unless much does
		}
		if id != "" {
			l.deliver(ctx, id)
			if ctx.Err() != nil {
				return
			}
			continue
		}
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

// next returns the incident that is due, or how long to wait for one.
func (l *lane) next() (string, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if wait := time.Until(l.breaker.quiet); wait > 0 {
		return "", wait
	}
	wait, due := time.Hour, ""
	for _, id := range l.order {
		d := time.Until(l.notFor[id])
		if d > 0 {
			wait = min(wait, d)
			continue
		}
		// What was tried least comes first, and of that what is worst: if some messages
		// are such that the other side cannot bear them, the others do not wait behind them.
		if due == "" || cmp.Or(cmp.Compare(l.fails[id], l.fails[due]), cmp.Compare(l.waiting[id].Severity, l.waiting[due].Severity)) < 0 {
			due = id
		}
		if l.fails[due] == 0 && l.waiting[due].Severity == incident.P0 {
			break
		}
	}
	if due != "" {
		return due, 0
	}
	return "", wait
}

func (l *lane) deliver(ctx context.Context, id string) {
	l.mu.Lock()
	i, n := l.waiting[id], l.notifier
	prev := l.newest(i)
	ctx = notify.WithDoubt(ctx, l.fails[id] > 0)
	l.mu.Unlock()
	if unheard(i, prev) {
		// It is told when the silence ends: the engine hands the incident on then.
		l.out.metrics.sent.WithLabelValues(l.name, "silenced").Inc()
		l.settle(i, prev, prev, nil)
		return
	}
	early, named := l.out.turn(l.name, i, prev)
	if early && notify.StandsInFor(n) == "" {
		l.settle(i, prev, prev, nil)
		return
	}
	// A fallback is told of what was not taken also before its step.
	wait, leave := l.out.standsBy(n, i, prev)
	switch {
	case named: // as any other
	case leave:
		l.settle(i, prev, prev, nil)
		return
	case wait > 0:
		l.later(id, wait)
		return
	}
	limit := notify.AttemptTimeout
	if p, ok := n.(notify.Patient); ok {
		limit = p.Patience()
	}
	once, cancel := context.WithTimeout(ctx, limit)
	receipt, err := n.Notify(once, i, prev)
	cancel()
	if ctx.Err() != nil && err != nil && receipt == prev {
		return
	}
	l.settle(i, prev, receipt, err)
}

// unheard reports whether an incident's beginning is kept from a receiver: all
// that fires is silenced. What was once told is kept up to date.
func unheard(i incident.Incident, prev incident.Receipt) bool {
	return i.Silenced() != "" && prev.Ref == "" && prev.State == ""
}

// newest is the later of our receipt and the one on the incident, which may come
// from another replica.
func (l *lane) newest(i incident.Incident) incident.Receipt {
	mine, theirs := l.receipts[i.ID], i.Receipts[l.name]
	if theirs.At.After(mine.At) {
		return theirs
	}
	return mine
}

// settle books the result of one attempt.
func (l *lane) settle(i incident.Incident, prev, receipt incident.Receipt, err error) {
	l.mu.Lock()
	var f *notify.Failure
	retry := err != nil && !(errors.As(err, &f) && f.Final)
	changed := receipt != prev
	progress := err != nil && changed // some of it was told before the rest failed
	if retry && f != nil && f.Told {
		delete(l.since, i.ID)
	}
	if retry && progress {
		// What was told is remembered, or it would be told again with the rest.
		receipt.At = time.Now().UTC().Truncate(time.Millisecond)
		l.receipts[i.ID], l.unsaved[i.ID] = receipt, true
	}
	switch {
	case retry && f != nil && f.Own:
		// Unless there is news already.
		if l.waiting[i.ID].UpdatedAt.Equal(i.UpdatedAt) {
			l.notFor[i.ID], l.own[i.ID] = time.Now().Add(f.After), true
		}
	case retry:
		delete(l.own, i.ID)
		if l.fails[i.ID]++; l.fails[i.ID] == 1 {
			l.unsaved[i.ID] = true // the disk remembers that it is in doubt
		}
		// News of the incident waits too: the other side asked for quiet.
		l.notFor[i.ID] = time.Now().Add(pause(f, l.fails[i.ID]))
		l.breaker.failed(f, time.Now())
	default:
		delete(l.fails, i.ID)
		delete(l.notFor, i.ID)
		delete(l.own, i.ID)
		delete(l.since, i.ID)
		if delete(l.refused, i.ID); err != nil && !f.Told {
			l.refused[i.ID] = true
		}
		if l.waiting[i.ID].UpdatedAt.Equal(i.UpdatedAt) {
			delete(l.waiting, i.ID)
			l.order = slices.DeleteFunc(l.order, func(id string) bool { return id == i.ID })
		} else if _, waits := l.waiting[i.ID]; waits {
			l.since[i.ID] = time.Now() // there is news already
		}
		if err != nil {
			receipt.Error = strutil.Shorten(err.Error(), 300)
			if !progress {
				receipt.Digest = prev.Digest
			}
			changed = progress || prev.Error != receipt.Error
		}
		if changed || err != nil {
			l.breaker.answered()
		}
		if changed {
			receipt.At = time.Now().UTC().Truncate(time.Millisecond)
			l.receipts[i.ID] = receipt
		}
		if i.Phase == incident.Resolved && l.waiting[i.ID].ID == "" {
			delete(l.receipts, i.ID)
			delete(l.refused, i.ID)
		}
		l.unsaved[i.ID] = true
	}
	m := l.out.metrics
	// What a receiver itself puts off is not late.
	m.queue.WithLabelValues(l.name).Set(float64(len(l.order) - len(l.own)))
	m.open.WithLabelValues(l.name).Set(l.breaker.gauge())
	l.mu.Unlock()
	if retry && f != nil && f.Own && !progress {
		l.out.o.Logger.Debug("told later", "receiver", l.name, "incident", i.ID, "reason", err)
		return // nothing was told, and nothing is to be remembered
	}
	switch {
	case retry && f != nil && f.After > 0:
		l.out.o.Logger.Debug("told later", "receiver", l.name, "incident", i.ID, "reason", err)
	case retry:
		m.sent.WithLabelValues(l.name, "retry").Inc()
		l.out.o.Logger.Warn("not told; tried again", "receiver", l.name, "incident", i.ID, "err", err)
	case err != nil:
		m.sent.WithLabelValues(l.name, "refused").Inc()
		l.out.hurry(l.name, i.ID)
		l.out.o.Logger.Error("refused; not tried again until the incident changes", "receiver", l.name, "incident", i.ID, "err", err)
	case changed:
		m.sent.WithLabelValues(l.name, "ok").Inc()
		m.success.WithLabelValues(l.name).SetToCurrentTime()
	}
	if changed {
		l.out.o.Delivered(i.ID, l.name, receipt)
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
