package app

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"watchdog.io/watchdog/pkg/alertmanager"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/maintenance"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/notify/receivers"
	"watchdog.io/watchdog/pkg/outbox"
	"watchdog.io/watchdog/pkg/policy"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/responder/inbound"
	"watchdog.io/watchdog/pkg/rules"
	"watchdog.io/watchdog/pkg/selfwatch"
	"watchdog.io/watchdog/pkg/snapshot"
)

// compiled is what follows from the file alone: no cluster, no secrets.
type compiled struct {
	*policy.Policy
	cfg       *config.Config
	remote    promql.QueryFunc // nil: no server is configured
	looks     []probes.Entry
	workloads []kube.Watched
	windows   []maintenance.Window
}

// built is everything a configuration becomes in this process.
type built struct {
	*compiled
	notifiers []notify.Notifier
	inbound   inbound.Settings
	// alertmanager is the one whose silences count; nil: none.
	alertmanager *alertmanager.Client
	beat         *selfwatch.Beat // nil: no heartbeat is sent
	snapshot     *snapshot.Reader
	setup        *engine.Setup
	secretFiles  func() []string
}

// Check compiles everything that can be compiled without a cluster, and throws it away.
func Check(cfg *config.Config) error {
	_, err := compile(cfg, func(string, string, string) (probes.Workload, error) {
		return probes.Workload{}, errors.New("no cluster")
	})
	return err
}

// compile makes what a configuration asks for; workload is what the probe of kind
// kubernetes looks at.
func compile(cfg *config.Config, workload func(namespace, kind, name string) (probes.Workload,
	error)) (*compiled, error) {
	c := &compiled{cfg: cfg}
	var errs [4]error
	c.Policy, errs[0] = policy.New(cfg)
	errs[1] = c.makeTargets(probes.Deps{Workload: workload})
	c.windows, errs[2] = cfg.Windows()
	if cfg.Prometheus != nil {
		c.remote, errs[3] = promql.NewRemote(policy.RemoteOptions(cfg.Prometheus))
	}
	return c, cfg.HideIn(errors.Join(errs[:]...))
}

func (c *compiled) makeTargets(deps probes.Deps) error {
	var errs []error
	n := 0
	for i := range c.cfg.Targets {
		n += len(c.cfg.Targets[i].Probes) + 1
	}
	c.looks, c.workloads = make([]probes.Entry, 0, n), make([]kube.Watched, 0, len(c.cfg.Targets))
	for i := range c.cfg.Targets {
		t := &c.cfg.Targets[i]
		kind, name, _ := strings.Cut(t.Workload, "/")
		c.workloads = append(c.workloads, kube.Watched{Namespace: t.Namespace, Kind: kind, Name: name,
			Service: t.Service})
		entries, err := probes.FromConfig(t, deps)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: target %s: %w", c.cfg.File, t.Name, err))
		}
		c.looks = append(c.looks, entries...)
	}
	return errors.Join(errs...)
}

// build compiles a configuration, and makes what it becomes in this process.
func (a *App) build(cfg *config.Config) (*built, error) {
	c, err := compile(cfg, snapshot.Workloads{Watcher: a.watcher, Now: a.clock.Now}.Workload)
	b := &built{compiled: c, inbound: inbound.NewSettings(cfg)}
	var errs [4]error
	b.notifiers, errs[0] = receivers.FromConfig(cfg, a.clock.Now)
	b.beat, errs[1] = makeBeat(cfg.Heartbeat)
	b.alertmanager, errs[2] = newAlertmanager(cfg.Alertmanager, a.o.Namespace, a.clock.Now)
	errs[3] = b.inbound.Check()
	if err := errors.Join(err, cfg.HideIn(errors.Join(errs[:]...))); err != nil {
		return nil, err
	}
	b.secretFiles = sync.OnceValue(func() []string { return a.secretFiles(cfg) })
	b.snapshot = snapshot.New(cfg, b.Policy, b.remote, a.sources())
	b.setup = b.snapshot.Setup()
	b.setup.Installation, b.setup.Canary, b.setup.Own = a.o.Namespace, true,
		func() []incident.Alert { return a.ownAlerts(cfg, b.snapshot) }
	return b, nil
}

// sources are the parts that know something of targets.
func (a *App) sources() snapshot.Sources {
	return snapshot.Sources{
		Looks: a.looks, Rules: a.rules, Local: a.local, External: a.external, Silences: a.silences, Windows: a.windows,
		Watcher: a.watcher, Secrets: a.o.Secrets, Now: a.clock.Now,
	}
}

// ownAlerts are the alerts about watchdog itself that the engine does not raise.
func (a *App) ownAlerts(cfg *config.Config, s *snapshot.Reader) []incident.Alert {
	now := a.clock.Now()
	return append(a.windows.Alarms(s.HeldBy),
		a.ingester.Alarm(now), a.refusal.Alarm(now), a.missing.Alarm(cfg, now), a.bounds.Alarm(now), a.late.Alarm(now),
		selfwatch.RulesFailing(a.rules.Failing(), now), a.holds.Alarm(s.Holds, a.engine.Hold()))
}

// prepare does all that can fail of taking a configuration up. swap takes it up: from then
// on everything that asks is answered by the new one, and the parts that hold something of
// their own are handed theirs.
func (a *App) prepare(cfg *config.Config) (swap func(), err error) {
	b, err := a.build(cfg)
	if err != nil {
		return nil, err
	}
	if time.Duration(cfg.EvaluationInterval) != a.interval {
		return nil, fmt.Errorf("%s: evaluation_interval cannot change from %s to %s at runtime; restart watchdog",
			cfg.File, a.interval, cfg.EvaluationInterval)
	}
	next, err := a.rules.Compile(rules.Config{File: cfg.File,
		Thresholds: append(slices.Clone(b.Rules), selfwatch.CanaryRule()), Groups: slices.Concat(b.Groups, b.SLOs)})
	if err != nil {
		return nil, err
	}
	looks, err := a.looks.Prepare(b.looks)
	if err != nil {
		return nil, err
	}
	// Last: what is on record is taken up.
	if err := a.record.Append(taken(a.clock.Now(), b)); err != nil {
		return nil, err
	}
	return func() {
		if old := a.built.Load(); old != nil {
			notify.Inherit(b.notifiers, old.notifiers)
		}
		a.built.Store(b)
		a.rules.Apply(next)
		looks()
		a.handOver(b)
	}, nil
}

// handOver gives the parts that hold something of a configuration theirs. Nothing of it can fail.
func (a *App) handOver(b *built) {
	a.external.Use(b.snapshot.Resolver())
	a.useSilences(b)
	a.useWindows(b)
	a.samples.Retain(policy.Retention(b.Rules, b.Groups), policy.Kept(b.cfg))
	a.watcher.Watch(b.workloads)
	a.outbox.Escalate(outbox.Steps(b.cfg))
	a.outbox.Replace(append(b.notifiers, a.own.Sink()))
	a.own.Use(notify.Pagers(b.notifiers), time.Duration(b.cfg.Canary.Interval), b.beat)
	a.engine.Use(b.setup)
	a.metrics.configured(b.cfg)
}
