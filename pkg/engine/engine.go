// Package engine is the shell around the pure core: it keeps the incidents,
// performs the effects that the core asks for, and brings their results back as
// events.
//
// It owns the queue, the order "store, then do", and the op protocol's contact
// with the world. It leaves every decision to incident.Step and to remediate.
//
// Its one rule: the queue holds names of targets that are due, never events;
// one worker at a time has a target, and it reads what is true now.
package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/util/workqueue"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/decision"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// Cluster is how the engine reads a workload and performs an op's one write.
type Cluster interface {
	// Workload reads the target afresh (a quorum read, no cache).
	Workload(ctx context.Context, target incident.Target, service string) (remediate.Workload, error)
	// References looks for objects of the namespace that a pod template refers to,
	// and returns them with what was found.
	References(ctx context.Context, namespace string, refs []remediate.Reference) []remediate.Reference
	// Write sends exactly one conditional request that carries opID.
	Write(ctx context.Context, opID string, plan incident.Plan) (incident.Outcome, error)
	// Find reports whether the object that the plan writes carries opID.
	Find(ctx context.Context, opID string, plan incident.Plan) (bool, error)
	// Job reads what became of the Job that an op has made.
	Job(ctx context.Context, o incident.Object) (incident.Rollout, error)
	// Capture takes evidence and returns where it is and what could not be had.
	Capture(ctx context.Context, target incident.Target, name string) (ref, gap string, err error)
}

// Store keeps incidents, the ledger and the revision records. Every write is a
// compare-and-swap on the version read; incident.ErrConflict says that it lost, and
// incident.ErrNewer that nothing is guessed at (INV-49).
type Store interface {
	Incidents(ctx context.Context) ([]incident.Stored, error)
	SaveIncident(ctx context.Context, inc incident.Incident, version string) (string, error)
	DeleteIncident(ctx context.Context, id string) error
	Ledger(ctx context.Context) (incident.Ledger, string, error)
	SwapLedger(ctx context.Context, l incident.Ledger, version string) (string, error)
	Records(ctx context.Context, namespace string) (map[string][]remediate.Record, string, error)
	SwapRecords(ctx context.Context, namespace string, records map[string][]remediate.Record, version string) (string, error)
}

// Snapshot is everything that is known of one target without asking the cluster.
type Snapshot struct {
	Alerts  []incident.Alert // one per rule that watches the target, with its ladder
	Signals []remediate.Signal
	Rollout incident.Rollout
	// Maintenance is what maintenance windows mean for the target, and Suspended what
	// they forbid watchdog to do to it.
	Maintenance incident.Maintenance
	Suspended   remediate.Suspension
	// Revision is the UID of the newest ReplicaSet.
	Revision string
	// Op is the id of the last op that the watches have seen on the workload; nil: they
	// do not tell.
	Op *string
	// CPU is the share of its CPU that the workload uses; nil: not known.
	CPU *float64
}

// FleetHealth is what one pass of the engine must know of all targets together.
type FleetHealth struct {
	Watched   int
	Unhealthy int
	Blind     string
}

// Rung is how one rung of one rule is set up for one target.
type Rung struct {
	Options remediate.Options
	Mode    incident.Mode
	ModeWhy string
}

// Options are the engine's edges. All are required but Observed and Now.
type Options struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Cluster    Cluster
	Store      Store
	Audit      func(audit.Record) error
	// NoDecisions: the audit record does not get what `watchdog audit replay` needs. For
	// simulations of many worlds, whose record nobody reads.
	NoDecisions bool
	// Tell hands the complete incident to the receivers; it never blocks.
	Tell func(incident.Incident)
	// Observed is told of each new timeline entry: for Kubernetes Events and the log.
	Observed func(incident.Incident, incident.Entry)
	// Released, if set, is told of each new rollout of a Deployment; it never blocks.
	Released func(Release)
	// Unfit says from the start why this process is not to be trusted; empty: it is.
	Unfit string
	// Keep says that an incident that is over must stay although newer ones push it
	// out: up to twice as many. Nil: none must.
	Keep func(incident.Incident) bool
	// Restored is told of the incidents found at start, before anything is judged.
	Restored func([]incident.Incident)
	NewID    func() string
	Now      func() time.Time
	Policy   incident.Policy
	Workers  int
}

// Setup is what a configuration decides. It is replaced as a whole by a reload.
type Setup struct {
	Config string // hash of the configuration
	// Targets by name, with the Service whose endpoints are counted.
	Targets map[string]TargetSetup
	// Other answers for names that are no target and have alerts all the same; nil:
	// there are none.
	Other func(name string) (TargetSetup, bool)
	// Others are the names that Other answers for and that have alerts now: nobody
	// else lists them for a new leader. Nil: there are none.
	Others func() []string
	// Snapshot and FleetHealth are asked at each step; Fresh looks and judges at this moment.
	Snapshot    func(target string) Snapshot
	Fresh       func(ctx context.Context, target string) (Snapshot, error)
	FleetHealth func() FleetHealth
	// Own are further alerts on watchdog itself, those that do not fire among them;
	// nil: there are none.
	Own func() []incident.Alert
	// Dependencies returns the health document's checks.
	Dependencies func(ctx context.Context, target string) []remediate.Dependency
	// Rung returns how a rung is set up.
	Rung         func(target string, alert incident.Alert, index int) Rung
	Settings     remediate.Settings
	Limits       incident.Limits
	Policy       incident.Policy
	Installation string
	// Canary says that the rules have one for incident.Canary.
	Canary bool
}

// TargetSetup is one target of the configuration.
type TargetSetup struct {
	Target  incident.Target
	Service string
	// Mode is the lower of the configuration's and the target's, and ModeWhy whose
	// it is: it decides whether leases are reverted.
	Mode    incident.Mode
	ModeWhy string
}

// target returns how a name is set up.
func (s *Setup) target(name string) (TargetSetup, bool) {
	ts, ok := s.Targets[name]
	if !ok && s.Other != nil {
		return s.Other(name)
	}
	return ts, ok
}

func (s *Setup) others() []string {
	if s == nil || s.Others == nil {
		return nil
	}
	return s.Others()
}

// Engine works incidents.
type Engine struct {
	o       Options
	queue   workqueue.TypedRateLimitingInterface[string]
	metrics *metrics

	mu             sync.Mutex
	setup          *Setup
	live           map[string]*entry                      // by target name: the incident being worked
	closed         map[string]*entry                      // by incident id: resolved ones that are kept
	receipts       map[string]map[string]incident.Receipt // by incident id: deliveries not yet written down
	responderInput incident.Ledger                        // what people say, as last read
	health         map[string]revisionState
	adopted        map[string]incident.Op     // by target name: ops that only the ledger knows, for the target's worker
	duplicates     map[string]incident.Stored // by target name: duplicates with an op, for the target's worker
	stale          map[string]string          // by target name: the version of its incident that the store has
	newer          map[string]bool            // names of targets that a newer watchdog works
	global         globalState
	canaryIncident *incident.Incident // the canary's; nil: none is under way
	renotify       map[string]bool    // by target name: the receivers are new, and are told although nothing is

	closedUpdate sync.Mutex // held while something is added to an incident that is over
}

// entry is one incident in memory. Only the worker that holds its target changes it.
type entry struct {
	inc     incident.Incident
	version string
	saved   int // timeline entries already recorded
	// unsaved: inc is ahead of what is stored, because storing it failed.
	unsaved bool
	scribe  *decision.Scribe // nil: decisions are not written down
}

func newEntry(s incident.Stored) *entry {
	return &entry{inc: s.Incident, version: s.Version, saved: len(s.Incident.Timeline) + s.Incident.Dropped}
}

// over reports whether nothing is left to do about an incident.
func over(i incident.Incident) bool { return i.Phase == incident.Resolved && i.Op == nil }

// tellAgain is how long after its end an incident is handed to the receivers
// again by a new leader.
const renotifyWithin = 24 * time.Hour

// New returns an engine that has not read anything yet.
func New(o Options) *Engine {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observed == nil {
		o.Observed = func(incident.Incident, incident.Entry) {}
	}
	if o.Restored == nil {
		o.Restored = func([]incident.Incident) {}
	}
	o.Workers = cmp.Or(o.Workers, 4)
	return &Engine{
		o: o, metrics: newMetrics(o.Registerer),
		live: map[string]*entry{}, closed: map[string]*entry{}, receipts: map[string]map[string]incident.Receipt{}, health: map[string]revisionState{}, adopted: map[string]incident.Op{}, duplicates: map[string]incident.Stored{}, stale: map[string]string{},
		global: globalState{unfit: o.Unfit},
	}
}

// Use installs a configuration. Incidents, cooldowns and ops in flight survive it, and
// its receivers hear of the incidents that are open.
func (e *Engine) Use(s *Setup) {
	e.mu.Lock()
	e.setup = s
	e.renotify = map[string]bool{}
	for name := range e.live {
		e.renotify[name] = true
	}
	names := slices.Collect(maps.Keys(e.renotify))
	e.mu.Unlock()
	e.Wake(append(slices.AppendSeq(names, maps.Keys(s.Targets)), s.others()...)...)
}

// Wake says that something may have changed for the named targets. It never blocks.
func (e *Engine) Wake(targets ...string) {
	e.mu.Lock()
	q := e.queue
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
	target := ""
	for name, en := range e.live {
		if en.inc.ID == id {
			target = name
		}
	}
	q := e.queue
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
	var all []incident.Incident
	for _, m := range []map[string]*entry{e.live, e.closed} {
		for _, en := range m {
			all = append(all, en.inc)
		}
	}
	slices.SortFunc(all, func(a, b incident.Incident) int { return b.OpenedAt.Compare(a.OpenedAt) })
	return all
}

// Run works until ctx ends, as the leader. It returns an error only if the
// store could not be read at the start.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.load(ctx); err != nil {
		return err
	}
	q := workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](200*time.Millisecond, 30*time.Second))
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
	for n := range e.live {
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
			e.o.Logger.Warn("step not finished; it will be tried again", "name", name, "err", err)
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
			err = fmt.Errorf("panic while working %s: %v", name, r)
			e.Distrust(fmt.Sprintf("a decision on %s panicked (%v): this is a bug; restart watchdog once it is understood", name, r))
		}
	}()
	switch {
	case ctx.Err() != nil:
		return 0, nil
	case name == Self:
		return e.self(ctx)
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
	return e.target(ctx, name)
}

// load reads what earlier leaders left, and gives incidents the ops that only the ledger knows of.
func (e *Engine) load(ctx context.Context) error {
	stored, err := e.o.Store.Incidents(ctx)
	if err != nil {
		return fmt.Errorf("read incidents: %w", err)
	}
	stored = e.withoutNewerVersion(stored)
	ledger, _, err := e.o.Store.Ledger(ctx)
	if errors.Is(err, incident.ErrNewer) {
		// It tells and does nothing: that needs no ledger.
		e.Distrust(err.Error())
		ledger, err = incident.Ledger{}, nil
	}
	if err != nil {
		return fmt.Errorf("read ledger: %w", err)
	}
	if _, ahead := ledger.Sane(e.o.Now()); ahead {
		e.o.Logger.Warn("the ledger holds times that lie ahead: a leader's clock was wrong; they count from now on")
		if err := e.swap(ctx, func(l incident.Ledger) (incident.Ledger, error) {
			ledger, _ = l.Sane(e.o.Now())
			return ledger, nil
		}); err != nil {
			return err
		}
	}
	live, closed, own := map[string]*entry{}, map[string]*entry{}, map[string]*entry{}
	for _, s := range stored {
		en := newEntry(s)
		own[s.Incident.ID] = en
		if over(s.Incident) {
			closed[s.Incident.ID] = en
			continue
		}
		if other := live[s.Incident.Target.Name]; other != nil && !olderWork(en.inc, other.inc) {
			continue // a duplicate; see orphans
		}
		live[s.Incident.Target.Name] = en
	}
	for _, op := range ledger.Ops {
		if op.Plan.Action == incident.ActionRevert {
			continue
		}
		// The op's own incident goes on, and no other on the target: whoever sent
		// the op may be at work on it still.
		en := own[op.Incident]
		if en == nil {
			en = &entry{inc: incident.New(op.Incident, op.Plan.Target, e.o.Now())}
		}
		delete(closed, op.Incident)
		live[op.Plan.Target.Name] = en
		en.inc = incident.Adopt(en.inc, op, e.o.Now())
	}
	e.mu.Lock()
	e.live, e.closed = live, closed
	e.resumeGlobal(live)
	var open []incident.Incident
	for _, name := range slices.Sorted(maps.Keys(live)) {
		open = append(open, live[name].inc)
	}
	var recent []incident.Incident
	for _, id := range slices.Sorted(maps.Keys(closed)) {
		en := closed[id]
		if e.o.Now().Sub(en.inc.ResolvedAt) < renotifyWithin {
			recent = append(recent, en.inc)
		}
	}
	e.mu.Unlock()
	e.o.Restored(open)
	// A predecessor may have ended before everybody was told. Receivers that were
	// told compare receipts and stay silent.
	for _, i := range append(open, recent...) {
		e.o.Tell(i)
	}
	e.o.Logger.Info("state read", "open", len(live), "resolved", len(closed), "ops", len(ledger.Ops), "leases", len(ledger.Leases))
	return nil
}
