// Package engine is the shell around the pure core: it keeps the incidents,
// performs the effects that the core asks for, and brings their results back as
// events.
//
// It owns the queue, the order "store, then do", and the op protocol's contact
// with the world. It leaves every decision to incident.Step and to remediate.
// Begin with reconcile (reconcile.go) and effectTable (effects.go).
//
// Its one rule: the queue holds names of targets that are due, never events;
// one worker at a time has a target, and it reads what is true now.
package engine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/util/workqueue"

	"watchdog.io/watchdog/pkg/incident"
)

// Engine works incidents.
type Engine struct {
	o       Options
	queue   workqueue.TypedRateLimitingInterface[string]
	metrics *metrics

	mu      sync.Mutex
	setup   *Setup
	targets map[string]*targetState // by name
	worksOn map[string]string       // the targets of the open incidents, by incident id
	closed  map[string]*entry       // by incident id: resolved ones that are kept
	// receipts are deliveries not yet written down, by incident id: receivers also tell of
	// incidents that this replica has not read, or that another leader works.
	receipts       map[string]map[string]incident.Receipt
	responders     map[string]incident.ResponderActions // by incident id, as last read
	killSwitch     *incident.Attribution                // as last read
	woken          map[string]bool                      // targets, since revisions were last looked at
	judged         map[string]time.Time                 // when revisions judged a target last; only revisions uses it
	global         globalState
	canaryIncident *incident.Incident // nil: none is under way

	closedUpdate sync.Mutex // held while something is added to an incident that is over
}

// New returns an engine that has not read anything yet.
func New(o Options) *Engine {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewID == nil {
		o.NewID = func() string { return strings.ToLower(ulid.Make().String()) }
	}
	if o.Observed == nil {
		o.Observed = func(incident.Incident, incident.Entry) {}
	}
	if o.Background == nil {
		o.Background = func(ctx context.Context) context.Context { return ctx }
	}
	if o.Restored == nil {
		o.Restored = func([]incident.Incident) {}
	}
	o.Workers = cmp.Or(o.Workers, 4)
	return &Engine{
		o: o, metrics: newMetrics(o.Registerer),
		targets: map[string]*targetState{}, worksOn: map[string]string{}, closed: map[string]*entry{},
		woken: map[string]bool{}, judged: map[string]time.Time{},
		receipts: map[string]map[string]incident.Receipt{}, responders: map[string]incident.ResponderActions{},
		global: globalState{unfit: o.Unfit},
	}
}

// Use installs a configuration. Incidents, cooldowns and ops in flight survive it, and
// its receivers are notified of the open incidents.
func (e *Engine) Use(s *Setup) {
	e.mu.Lock()
	e.setup = s
	var names []string
	for name, t := range e.targets {
		if t.renotify = t.open != nil; t.renotify {
			names = append(names, name)
		}
	}
	e.mu.Unlock()
	e.Wake(append(slices.AppendSeq(names, maps.Keys(s.Targets)), s.others()...)...)
}

// Wake says that something may have changed for the named targets. It never blocks.
func (e *Engine) Wake(targets ...string) {
	e.mu.Lock()
	q := e.queue
	for _, t := range targets {
		// Others come from outside, as many as anybody likes, and a replica that follows never takes them up.
		if e.setup != nil {
			if _, watched := e.setup.Targets[t]; watched {
				e.woken[t] = true
			}
		}
	}
	e.mu.Unlock()
	if q == nil {
		return
	}
	for _, t := range targets {
		q.Add(t)
	}
}

// Delivered takes a receiver's receipt; the worker of the incident's target writes it down.
func (e *Engine) Delivered(id, receiver string, r incident.Receipt) {
	e.mu.Lock()
	if e.receipts[id] == nil {
		e.receipts[id] = map[string]incident.Receipt{}
	}
	e.receipts[id][receiver] = r
	target, q := e.worksOn[id], e.queue
	e.mu.Unlock()
	if q == nil {
		return
	}
	if target != "" {
		q.Add(target)
		return
	}
	q.Add(closedKey + id)
}

// Incidents returns all incidents in memory, newest first.
func (e *Engine) Incidents() []incident.Incident {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]*entry, 0, len(e.worksOn)+len(e.closed))
	for _, en := range e.open() {
		all = append(all, en)
	}
	return newestFirst(slices.AppendSeq(all, maps.Values(e.closed)))
}

// Resolved returns those in memory that are over, newest first.
func (e *Engine) Resolved() []incident.Incident {
	e.mu.Lock()
	defer e.mu.Unlock()
	return newestFirst(slices.Collect(maps.Values(e.closed)))
}

// newestFirst sorts entries, and then copies each incident once.
func newestFirst(all []*entry) []incident.Incident {
	slices.SortFunc(all, func(a, b *entry) int { return b.inc.OpenedAt.Compare(a.inc.OpenedAt) })
	var sorted []incident.Incident
	if len(all) > 0 {
		sorted = make([]incident.Incident, len(all))
	}
	for k, en := range all {
		sorted[k] = en.inc
	}
	return sorted
}

// Run works until ctx ends, as the leader. It returns an error only if the
// store could not be read at the start.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.load(ctx); err != nil {
		return err
	}
	q := workqueue.NewTypedRateLimitingQueue(
		workqueue.NewTypedItemExponentialFailureRateLimiter[string](200*time.Millisecond, 30*time.Second))
	e.mu.Lock()
	e.queue = q
	e.canaryIncident = nil // one of the time before this replica led is not waited for
	e.mu.Unlock()
	for _, n := range append(e.Names(), incident.Canary) {
		q.Add(n)
	}

	var g errgroup.Group
	for range e.o.Workers {
		g.Go(func() error { e.work(ctx, q); return nil })
	}
	g.Go(func() error { e.retireSlowly(ctx); return nil })
	<-ctx.Done()
	e.mu.Lock()
	e.queue = nil
	e.mu.Unlock()
	q.ShutDown()
	return g.Wait()
}

// Load reads what earlier leaders left. Load, Names and Pass are the parts of
// Run, for a caller who brings the clock and the order: the simulator.
func (e *Engine) Load(ctx context.Context) error { return e.load(ctx) }

// Names returns everything that a new leader must work, in order.
func (e *Engine) Names() []string {
	e.mu.Lock()
	setup := e.setup
	e.mu.Unlock()
	names := map[string]bool{}
	for _, n := range setup.others() {
		names[n] = true // alerts that nobody stored an incident for
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for n := range e.open() {
		names[n] = true
	}
	if e.setup != nil {
		for n := range e.setup.Targets {
			names[n] = true
		}
	}
	delete(names, Self)
	return append(slices.Sorted(maps.Keys(names)), Self, leasesKey, revisionsKey, orphansKey, recoveryKey)
}

// Pass works one name once and returns when it is due again; 0: when woken. No
// other Pass of the same name may run at the same time.
func (e *Engine) Pass(ctx context.Context, name string) (time.Duration, error) {
	return e.due(ctx, name)
}

// Names in the queue that are not targets. A target's name cannot hold a slash.
const (
	leasesKey    = "/leases"
	revisionsKey = "/revisions"
	orphansKey   = "/orphans"
	recoveryKey  = "/recovery"
	closedKey    = "/closed/"
)

func (e *Engine) work(ctx context.Context, q workqueue.TypedRateLimitingInterface[string]) {
	for {
		name, stop := q.Get()
		if stop {
			return
		}
		next, err := e.due(ctx, name)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			e.o.Logger.Warn("reconcile failed; will retry", "name", name, "err", err)
			q.AddRateLimited(name)
		default:
			q.Forget(name)
			if next > 0 {
				q.AddAfter(name, next)
			}
		}
		q.Done(name)
	}
}

// due works one name and returns when it is due again; 0: when woken.
func (e *Engine) due(ctx context.Context, name string) (next time.Duration, err error) {
	defer func() {
		// A panic in a decision must not take the daemon and its pages down (INV-52).
		if r := recover(); r != nil {
			e.metrics.panics.Inc()
			err = fmt.Errorf("panic while reconciling %s: %v", name, r)
			e.Distrust(fmt.Sprintf("a decision on %s panicked (%v): this is a bug; restart watchdog once the "+
				"cause is known", name, r))
		}
	}()
	switch {
	case ctx.Err() != nil:
		return 0, nil
	case name == Self:
		return e.reconcileSelf(ctx)
	case name == incident.Canary:
		return 0, e.canary()
	case name == leasesKey:
		return e.leases(ctx)
	case name == revisionsKey:
		return e.revisions(ctx)
	case name == orphansKey:
		return e.orphans(ctx)
	case name == recoveryKey:
		return e.recoveries(ctx)
	case strings.HasPrefix(name, closedKey):
		return 0, e.writeReceipts(ctx, strings.TrimPrefix(name, closedKey))
	}
	return e.reconcileTarget(ctx, name)
}
