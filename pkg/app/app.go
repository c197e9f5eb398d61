// Package app builds watchdog from a configuration, runs it and reloads it.
//
// It owns the graph: which part hands what to which, and what each replica does again and
// again. It is the only package that sees everything. It leaves all behaviour to the parts.
//
// Its one rule: building is the validation. Everything that can fail is built
// beside what runs; only then is anything swapped, and the swap cannot fail, so
// a bad configuration changes nothing.
package app

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/common/version"
	"golang.org/x/sync/errgroup"

	"watchdog.io/watchdog/pkg/alertmanager"
	"watchdog.io/watchdog/pkg/audit/recorder"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/fileutil"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/ingest"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/maintenance/controller"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/outbox"
	"watchdog.io/watchdog/pkg/policy"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/redact"
	"watchdog.io/watchdog/pkg/responder"
	"watchdog.io/watchdog/pkg/responder/inbound"
	"watchdog.io/watchdog/pkg/review/overdue"
	"watchdog.io/watchdog/pkg/rules"
	"watchdog.io/watchdog/pkg/selfwatch"
	"watchdog.io/watchdog/pkg/snapshot"
	"watchdog.io/watchdog/pkg/storage"
	"watchdog.io/watchdog/pkg/web"
)

// Options are the flags of `watchdog run`.
type Options struct {
	ConfigFile string
	DataDir    string
	Listen     string
	// MetricsListen serves the health pages and the metrics, without TLS and authentication.
	MetricsListen string
	WebConfig     string
	Kubeconfig    string
	// Namespace is where watchdog keeps its own objects; Identity names this replica,
	// and Advertise is the URL at which the others reach it.
	Namespace string
	Identity  string
	Advertise string
	// Installation is the name of this release and of its Deployment. Empty: it is not known.
	Installation string
	Lead         kube.LeadOptions
	// AuditKeys is the file with the keys that the audit record is sealed with; empty: none.
	AuditKeys string
	Profiling bool
	Logger    *slog.Logger
	// Secrets are those that this process has read, which are hidden in all that leaves it;
	// nil: a new set.
	Secrets *redact.Known
}

// App is the running program.
type App struct {
	o           Options
	interval    time.Duration // between evaluations; fixed for the life of the process
	clock       *engine.Clock
	registry    *prometheus.Registry
	client      *kube.Client
	cluster     cluster
	watcher     *kube.Watcher
	samples     *storage.Store
	local       promql.QueryFunc
	looks       *probes.Scheduler
	rules       *rules.Manager
	ingester    *ingest.Ingester
	external    *ingest.ExternalAlerts
	silences    *alertmanager.Watch
	windows     *controller.Windows
	holds       *selfwatch.Holds
	maintenance *controller.Controller
	record      *recorder.Recorder
	store       *recorder.Store
	outbox      *outbox.Outbox
	engine      *engine.Engine
	own         *selfwatch.Watch
	reviews     *overdue.Reviews
	drift       *notify.DriftWatch
	metrics     *metrics
	responder   *responder.Service
	access      *kube.Access
	gate        *web.Gate
	occupied    *kube.Occupied
	blocked     selfwatch.Blocked
	stored      *kube.Cache
	custom      *kube.Store // what the engine's store is over
	slack       *inbound.Slack

	// watchFailures counts interruptions of the watch of incidents.
	watchFailures prometheus.Counter

	refusal   selfwatch.Refusal
	missing   selfwatch.Missing
	bounds    selfwatch.Bounds
	late      selfwatch.LateProbes
	reloading sync.Mutex
	built     atomic.Pointer[built]
	leader    atomic.Pointer[string]
	leading   atomic.Bool
}

// Run builds everything and works until ctx ends.
func Run(ctx context.Context, o Options) error {
	cfg, err := config.Load(o.ConfigFile)
	if err != nil {
		return err
	}
	if err := permitted(cfg, o); err != nil {
		return err
	}
	if o.Secrets == nil {
		o.Secrets = &redact.Known{}
	}
	a, err := newApp(o, time.Duration(cfg.EvaluationInterval))
	if err != nil {
		return err
	}
	defer a.record.Close()
	defer a.ingester.Close()
	for _, w := range cfg.Warnings() {
		o.Logger.Warn("configuration", "warning", w.String())
	}
	if err := a.use(cfg); err != nil {
		return err
	}
	if err := a.resumeAlerts(); err != nil {
		o.Logger.Warn("cannot restore pending alerts; their `for` starts again", "err", err)
	}
	if err := a.resumeEvents(); err != nil {
		o.Logger.Warn("cannot restore the events of SLOs; the error budgets start again", "err", err)
	}
	return a.run(ctx)
}

// newLooks returns the scheduler of the probes, whose samples go into the store as far as
// there is room.
func newLooks(l *slog.Logger, r prometheus.Registerer, s *storage.Store,
	now func() time.Time) (*probes.Scheduler, error) {
	return probes.NewScheduler(probes.Options{Logger: l.With("component", "probes"), Registerer: r, Append: s.Append,
		Fits: s.Fits, Now: now})
}

func newApp(o Options, interval time.Duration) (*App, error) {
	a := &App{o: o, interval: interval, clock: engine.HostClock(), registry: prometheus.NewRegistry()}
	a.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), versioncollector.NewCollector("watchdog"))
	a.metrics = newMetrics(a.registry)
	if err := fileutil.MakeData(o.DataDir, inPod()); err != nil {
		return nil, err
	}
	unfit, err := selfwatch.WatchCrashes(o.DataDir, time.Now())
	if err != nil {
		return nil, err
	}
	if a.client, err = kube.Connect(o.Kubeconfig, ""); err != nil {
		return nil, err
	}
	a.registry.MustRegister(a.client.Requests())
	a.record, err = recorder.Open(recorder.Options{Dir: filepath.Join(o.DataDir, "audit"), KeysFile: o.AuditKeys,
		Logger: o.Logger, Registerer: a.registry, Secrets: o.Secrets})
	if err != nil {
		return nil, err
	}
	if a.watcher, err = kube.NewWatcher(a.client, kube.WatcherOptions{Logger: o.Logger.With("component", "watch"),
		Registerer: a.registry}); err != nil {
		return nil, err
	}
	a.samples = storage.New(storage.Options{Registerer: a.registry})
	a.local = promql.NewLocal(a.samples, promql.LocalOptions{Logger: o.Logger.With("component", "promql")})
	if a.looks, err = newLooks(o.Logger, a.registry, a.samples, a.clock.Now); err != nil {
		return nil, err
	}
	a.late.Logger = o.Logger.With("component", "probes")
	current := snapshot.Current(func() *snapshot.Reader { return a.built.Load().snapshot })
	a.rules, err = rules.NewManager(rules.Options{
		Logger: o.Logger.With("component", "rules"), Registerer: a.registry, Local: a.local, Remote: current.Remote,
		Append: a.samples.Append,
		Target: current.Target, Await: a.awaitTargets, Severity: current.Severity, Interval: interval, Now: a.clock.Now,
	})
	if err != nil {
		return nil, err
	}
	a.samples.OnAppend(a.rules.Appended)
	a.external = a.newExternalAlerts()
	a.silences = alertmanager.NewWatch(alertmanager.WatchOptions{Logger: o.Logger.With("component", "silences"),
		Registerer: a.registry, Now: a.clock.Now, Ignore: alertmanager.Own(author(o.Namespace))})
	a.windows = controller.NewWindows(o.Logger.With("component", "maintenance"), a.clock.Now)
	a.registry.MustRegister(controller.Metrics(a.windows))
	a.holds = selfwatch.NewHolds(a.registry, a.clock.Now)
	a.maintenance = controller.New(o.Logger.With("component", "maintenance"), a.clock.Now, a.windows)
	a.ingester, err = ingest.Open(ingest.Options{Dir: filepath.Join(o.DataDir, "hints"),
		Logger: o.Logger.With("component", "webhook"), Registerer: a.registry, Now: a.clock.Now, Changed: a.takeAlerts})
	if err != nil {
		return nil, err
	}
	a.outbox, err = outbox.New(outbox.Options{
		Dir: filepath.Join(o.DataDir, "outbox"), Logger: o.Logger.With("component", "notify"), Registerer: a.registry,
		Hide: o.Secrets.Text,
		Delivered: func(id, receiver string, r incident.Receipt) {
			if !a.own.Delivered(id, receiver, r) {
				a.engine.Delivered(id, receiver, r)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	a.drift = notify.NewDriftWatch(a.registry)
	a.cluster = newCluster(a)
	store := kube.NewStore(a.client, o.Namespace)
	a.custom = store
	a.store = a.record.Store(store, a.clock.Now)
	a.own = selfwatch.NewWatch(selfwatch.WatchOptions{
		Logger: o.Logger, Registry: a.registry, Now: a.clock.Now, Installation: o.Namespace, Replica: o.Identity,
		Samples: a.samples, Local: a.local, Rules: a.rules,
		Dropped: func(x rules.Alert) bool { return a.built.Load().Dropped(x) }, Outbox: a.outbox,
		Engine: func() selfwatch.Engine { return a.engine }, Leading: a.leading.Load,
		Recorded: a.record.Closed, Answered: a.store.Answered, Unstored: a.unstored, Bounds: &a.bounds, Secrets: o.Secrets,
		Late: &a.late, Skipped: a.looks.Skipped,
	})
	a.reviews = overdue.New(a.registry, store.Review)
	events := kube.NewEvents(a.client, o.Logger.With("component", "events"),
		incident.Target{Name: incident.Self, Namespace: o.Namespace, Kind: "deployment", Workload: o.Installation})
	a.occupied = kube.NewOccupied(o.Logger, o.Namespace, o.Installation)
	a.engine = engine.New(engine.Options{
		Logger: o.Logger.With("component", "engine"), Registerer: a.registry, Cluster: a.cluster, Store: a.store,
		Audit:      a.record.Append,
		Background: kube.Background,
		Tell:       a.own.Tell,
		Released: func(r engine.Release) {
			a.outbox.Changed(notify.Change{Target: r.Target, Revision: r.Revision.Number, Images: r.Revision.Images,
				Cause: r.Revision.Annotations["kubernetes.io/change-cause"], At: r.At})
		},
		Observed: recorder.Timeline(o.Logger, o.Secrets, events.Tell),
		Restored: a.restore,
		Keep:     a.reviews.Keep,
		Now:      a.clock.Now,
		Policy:   incident.DefaultPolicy(),
		Unfit:    cmp.Or(unfit, a.record.Damage()),
	})
	a.maintenance.Serve(a.engine.Incidents, store.SaveWindowStatus)
	if err := a.openResponder(); err != nil {
		return nil, err
	}
	if err := a.openGate(); err != nil {
		return nil, err
	}
	return a, nil
}

// run starts the long-lived parts; each ends with ctx.
func (a *App) run(ctx context.Context) error {
	// The leader's work and the outbox outlive the signal by a moment, on contexts
	// of their own: an op that is being sent gets its answer, and what is queued is sent.
	if err := a.agree(ctx, true); err != nil {
		a.o.Logger.Warn("cannot read the API server's time yet; using the clock of this host",
			"err", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	pages := a.pages()
	g.Go(func() error { return web.Serve(ctx, pages, a.o.Listen, a.o.WebConfig) })
	g.Go(func() error { return web.ServeMetrics(ctx, pages, a.o.MetricsListen) })
	g.Go(func() error { return a.watcher.Run(ctx) })
	g.Go(func() error { return a.looks.Run(ctx) })
	g.Go(func() error {
		a.rules.Run(ctx, func(targets []string) { a.engine.Wake(targets...) })
		return nil
	})
	a.takeAlerts(a.ingester.Store().Firing())
	g.Go(func() error { return a.ingester.Run(ctx) })
	g.Go(func() error { a.writeAlerts(ctx); return nil })
	g.Go(func() error { a.keepState(ctx); return nil })
	g.Go(func() error { return a.outbox.Run(ctx) })
	g.Go(func() error { a.silences.Run(ctx); return nil })
	g.Go(func() error { a.keepWindows(ctx); return nil })
	g.Go(func() error { every(ctx, controller.Look, a.whileLeading(a.maintenance.Reconcile)); return nil })
	g.Go(func() error { every(ctx, sweepEvery, a.whileLeading(a.sweep)); return nil })
	g.Go(func() error { every(ctx, notify.DriftEvery, a.comparePage); return nil })
	g.Go(func() error { return a.slack.Run(ctx) })
	g.Go(func() error {
		a.silences.Await(ctx, firstSilences)
		a.windows.Await(ctx, controller.FirstLook)
		return a.stand(ctx)
	})
	g.Go(func() error { a.tryRecord(ctx); every(ctx, recorder.Every, a.tryRecord); return nil })
	g.Go(func() error { a.watchLeader(ctx); return nil })
	g.Go(func() error { return a.own.Run(ctx) })
	g.Go(func() error { a.watchReviews(ctx); return nil })
	g.Go(func() error { return a.watchConfig(ctx) })
	g.Go(func() error {
		every(ctx, secretsEvery, a.rereadSecrets)
		return nil
	})
	a.o.Logger.Info("watchdog started", "version", version.Version, "config", a.o.ConfigFile,
		"targets", len(a.built.Load().cfg.Targets), "mode", a.built.Load().cfg.Mode)
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// stand lets this replica lead, but for times in which nothing can be recorded: then
// another one is to.
func (a *App) stand(ctx context.Context) error {
	for ctx.Err() == nil {
		writable, cancel, ok := a.record.Await(ctx)
		if !ok {
			cancel()
			return nil
		}
		err := a.lead(writable)
		cancel()
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// lead works as the leader whenever this replica holds the lease.
func (a *App) lead(ctx context.Context) error {
	o := a.o.Lead
	o.Namespace, o.Identity = a.o.Namespace, kube.Identity(a.o.Identity, a.o.Advertise)
	o.Logger = a.o.Logger.With("component", "lease")
	o.NewLeader = func(id string) { a.leader.Store(&id) }
	o.Installation, o.Occupied = a.o.Installation, a.occupied.Take
	wrong := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := kube.Lead(ctx, a.client, o, func(ctx context.Context) {
		if err := a.agree(ctx, false); err != nil {
			wrong <- err
			cancel()
			return
		}
		a.leading.Store(true)
		a.metrics.leader.Set(1)
		defer a.metrics.leader.Set(0)
		defer a.leading.Store(false)
		defer a.followResponders(ctx)()
		a.work(ctx)
	})
	select {
	case err := <-wrong:
		return err
	default:
		return err
	}
}

// agree compares the clock with the API server's, once (INV-55).
func (a *App) agree(ctx context.Context, early bool) error {
	if a.clock.Agreed() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, agreeTimeout)
	defer cancel()
	server, err := a.client.ServerTime(ctx, a.o.Namespace)
	if err != nil {
		return err
	}
	off, err := a.clock.Agree(server, early)
	a.metrics.skew.Set(off.Seconds())
	if err == nil && off.Abs() > time.Minute {
		a.o.Logger.Error("the clock of this host is wrong; using the API server's time",
			"off", off.Round(time.Second))
	}
	return err
}

// ownersWait is how long the rule files wait for the cluster to say which pod is whose:
// before that, an alert that names a pod cannot be matched to its target.
const ownersWait = 30 * time.Second

// agreeTimeout bounds the question for the API server's time.
const agreeTimeout = 3 * time.Second

// restore seeds the rules with the alerts of open incidents: a cold start is not a recovery.
func (a *App) restore(open []incident.Incident) {
	a.blocked.Take(nil) // the engine has read its state
	a.rules.Restore(policy.Firing(open))
	a.external.Restore(open, a.engine.Resolved(), a.ingester.Store())
}

// askedSamples are how many samples one question to Prometheus' API may load: 16 bytes each,
// and a few questions are answered at once.
const askedSamples = 500_000

func (a *App) pages() web.Options {
	return web.Options{
		Logger: a.o.Logger.With("component", "web"), Gatherer: a.registry,
		Families: web.Families(a.looks.SamplesCollectors()),
		Reload:   a.Reload, Profiling: a.o.Profiling,
		Alertmanager: a.webhook(), Rules: func() []web.RuleGroup { return web.RuleGroups(a.rules.Report()) },
		Words:              a.inboundHandlers(),
		RefusedConnections: web.RefusedConnections(a.registry),
		PromQL: &web.PromQL{Engine: promql.NewEngine(promql.LocalOptions{MaxSamples: askedSamples}),
			Queryable: a.samples, Parser: promql.NewParser(), Now: a.clock.Now, Version: version.Version},
		Ready: func() error {
			if why := a.occupied.Why(); why != "" {
				return errors.New(why)
			}
			if a.leader.Load() == nil {
				return errors.New("no known leader yet")
			}
			return a.record.Closed()
		},
		Late:      a.late.Why,
		Incidents: a.incidents, Gate: a.gate, Hosts: a.hosts, Hide: a.o.Secrets.Text,
		Targets: func() any {
			return map[string]any{"probes": a.looks.States(), "alerts": a.rules.Alerts()}
		},
	}
}
