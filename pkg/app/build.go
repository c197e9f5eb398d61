package app

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"watchdog.io/watchdog/pkg/alertmanager"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/hints"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/maintenance"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/notify/receivers"
	"watchdog.io/watchdog/pkg/policy"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/rules"
	"watchdog.io/watchdog/pkg/selfwatch"
)

// built is everything a configuration becomes.
type built struct {
	*policy.Policy
	cfg       *config.Config
	remote    promql.QueryFunc
	looks     []probes.Entry
	workloads []kube.Watched
	notifiers []notify.Notifier
	setup     *engine.Setup
	hears     hears
	targetOf  *hints.Resolver
	// alertmanager is whose silences are honoured; nil: nobody's.
	alertmanager *alertmanager.Client
	beat         *selfwatch.Beat   // nil: no heartbeat is sent
	services     map[string]string // by namespace/kind/name
	windows      []maintenance.Window
}

// build makes everything a configuration asks for. With a nil app it is the
// check of a file: no cluster, no secrets.
func build(cfg *config.Config, a *App) (*built, error) {
	b := &built{cfg: cfg, services: map[string]string{}}
	var err error
	b.Policy, err = policy.New(cfg)
	err = errors.Join(err, b.makeTargets(a))
	var odd error
	b.windows, odd = cfg.Windows()
	err = errors.Join(err, odd)
	if cfg.Prometheus != nil {
		var e error
		b.remote, e = promql.NewRemote(policy.RemoteOptions(cfg.Prometheus))
		err = errors.Join(err, e)
	}
	if a != nil {
		var e error
		b.notifiers, e = receivers.FromConfig(cfg, a.clock.Now)
		err = errors.Join(err, e)
		b.beat, e = makeBeat(cfg.Heartbeat)
		err = errors.Join(err, e)
		b.alertmanager, e = newAlertmanager(cfg.Alertmanager, a.o.Namespace, a.clock.Now)
		b.hears = newHears(cfg)
		err = errors.Join(err, e, b.hears.check())
	}
	if err != nil {
		return nil, cfg.HideIn(err)
	}
	if a != nil {
		b.targetOf = b.Target(a.watcher.OwnerOfPod)
		b.AlertsOf = a.routedAlerts
		b.Silenced = func(x rules.Alert) string { return cmp.Or(a.inhibitedBy(b, x), b.silencedBy(x, a.silences.Silenced)) }
		b.setup = b.Setup()
		b.setup.Installation, b.setup.Snapshot, b.setup.Fresh, b.setup.FleetHealth, b.setup.Dependencies = a.o.Namespace, a.view, a.fresh, a.world, a.dependencies
		b.setup.Other, b.setup.Others = policy.Other, a.unwatched
		b.Rules, b.setup.Canary = append(b.Rules, canaryRule()), true
		b.setup.Own = func() []incident.Alert {
			now := a.clock.Now()
			return append(a.windows.Alarms(a.heldBy), a.intake.Alarm(now), a.refusal.Alarm(now), a.missing.Alarm(cfg, now), a.bounds.Alarm(now), a.holds.Alarm(a.heldTargets, a.engine.Hold()))
		}
	}
	return b, nil
}

func (b *built) makeTargets(a *App) error {
	var errs []error
	for i := range b.cfg.Targets {
		t := &b.cfg.Targets[i]
		kind, name, _ := strings.Cut(t.Workload, "/")
		b.workloads = append(b.workloads, kube.Watched{Namespace: t.Namespace, Kind: kind, Name: name, Service: t.Service})
		b.services[t.Namespace+"/"+kind+"/"+name] = t.Service
		deps := probes.Deps{Workload: func(string, string, string) (probes.Workload, error) {
			return probes.Workload{}, errors.New("no cluster")
		}}
		if a != nil {
			deps.Workload = a.workload
		}
		entries, err := probes.FromConfig(t, deps)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: target %s: %w", b.cfg.File, t.Name, err))
		}
		b.looks = append(b.looks, entries...)
	}
	return errors.Join(errs...)
}
