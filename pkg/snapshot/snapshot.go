// Package snapshot is what is known of one target at this moment, and of all targets at once,
// put together from the parts that know something: the probes, the rules, the alerts of other
// systems, silences, maintenance windows, and the watches over the cluster.
//
// It owns how these are put together: which alerts are left aside, silenced or inhibited, and
// that no secret is in what the engine is shown. How an alert is treated it leaves to
// pkg/policy, and what is done about it to the engine.
//
// Its one rule: it asks the cluster nothing and changes nothing. Only Fresh looks again, and
// that is the last look before an action (INV-12).
package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/alertmanager"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/ingest"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/maintenance/controller"
	"watchdog.io/watchdog/pkg/policy"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/redact"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

// fleetAge is how old the picture of all targets may be.
const fleetAge = 250 * time.Millisecond

// freshTimeout bounds the last look before an act.
const freshTimeout = 8 * time.Second

// Sources are the parts that know something. They live as long as the process.
type Sources struct {
	Looks    *probes.Scheduler
	Rules    *rules.Manager
	Local    promql.QueryFunc
	External *ingest.ExternalAlerts
	Silences *alertmanager.Watch
	Windows  *controller.Windows
	Watcher  *kube.Watcher
	Secrets  *redact.Known
	Now      func() time.Time
}

// Reader puts together what one configuration shows of its targets.
type Reader struct {
	Sources
	cfg      *config.Config
	policy   *policy.Policy
	targets  map[string]engine.TargetSetup
	remote   promql.QueryFunc
	resolver *ingest.Resolver
	inhibit  inhibitors

	mu   sync.Mutex
	at   time.Time
	seen engine.FleetHealth // asked once a target and step, so it is kept for a moment
}

// New returns the reader of a configuration and its policy. remote asks the configured
// Prometheus-compatible server; nil: there is none.
func New(cfg *config.Config, p *policy.Policy, remote promql.QueryFunc, s Sources) *Reader {
	r := &Reader{Sources: s, cfg: cfg, remote: remote, targets: p.Setup().Targets,
		resolver: p.Target(s.Watcher.OwnerOfPod), inhibit: inhibitors{of: cfg.InhibitRules}}
	r.policy = p.With(policy.Live{AlertsOf: r.routed, Silenced: r.quietBy})
	return r
}

// Setup is the engine's setup of the configuration, and how the engine sees its targets.
func (r *Reader) Setup() *engine.Setup {
	s := r.policy.Setup()
	s.Snapshot, s.Fresh, s.FleetHealth, s.Dependencies = r.Of, r.Fresh, r.FleetHealth, r.dependencies
	s.Newest = r.newest
	s.Other, s.Others = policy.Other, r.unwatched
	return s
}

// Resolver says which target an alert's labels mean.
func (r *Reader) Resolver() *ingest.Resolver { return r.resolver }

// Of is what is known of a target.
func (r *Reader) Of(target string) engine.Snapshot {
	return r.assemble(target, r.Rules.AlertsOf(target), r.Looks.StatesOf(target))
}

// Fresh looks and judges at this moment (INV-12).
func (r *Reader) Fresh(ctx context.Context, target string) (engine.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, freshTimeout)
	defer cancel()
	if _, err := r.Looks.LookNow(ctx, target); err != nil {
		return engine.Snapshot{}, fmt.Errorf("look again at %s before acting: %w", target, err)
	}
	alerts, err := r.Rules.EvalNow(ctx, target)
	if err != nil {
		return engine.Snapshot{}, fmt.Errorf("judge %s again before acting: %w", target, err)
	}
	return r.assemble(target, alerts, r.Looks.StatesOf(target)), nil
}

func (r *Reader) assemble(target string, alerts []rules.Alert, looks []probes.Status) engine.Snapshot {
	v := r.policy.View(append(alerts, r.external(target, alerts, looks)...), looks)
	clean(&v, r.Secrets.Text)
	v.Maintenance, v.Suspended = r.Windows.Mean(target)
	if s, ok := r.state(target); ok {
		v.Rollout, v.CPU, v.Op = s.Rollout(), busy(s.Usage), &s.Op
		v.Revision, v.RevisionNumber = s.Revision, s.RevisionNumber
	}
	return v
}

// state is what the watches last said of a target's workload.
func (r *Reader) state(target string) (kube.WorkloadState, bool) {
	ts, ok := r.targets[target]
	if !ok {
		return kube.WorkloadState{}, false
	}
	s, err := r.Watcher.State(ts.Target.Namespace, ts.Target.Kind, ts.Target.Workload)
	return s, err == nil
}

// newest is the newest revision of a target's workload.
func (r *Reader) newest(target string) (uid string, number int64) {
	ts, ok := r.targets[target]
	if !ok {
		return "", 0
	}
	return r.Watcher.Newest(ts.Target.Namespace, ts.Target.Kind, ts.Target.Workload)
}

// FleetHealth says how many targets are in trouble, and why nothing can be seen.
func (r *Reader) FleetHealth() engine.FleetHealth {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.at) > fleetAge {
		r.seen = engine.FleetHealth{}
		_, r.seen.Blind = r.Rules.Blind()
		r.seen.Watched, r.seen.Unhealthy = r.Windows.Trouble(slices.Collect(maps.Keys(r.targets)), r.Rules.Unhealthy())
		r.at = time.Now()
	}
	return r.seen
}

func (r *Reader) dependencies(ctx context.Context, target string) []remediate.Dependency {
	return policy.Dependencies(ctx, r.Local, target, r.Now())
}

// quietBy says by what an alert that fires is inhibited or silenced; empty: by nothing.
func (r *Reader) quietBy(x rules.Alert) string {
	return cmp.Or(r.inhibitedBy(x), r.silencedBy(x, r.Silences.Silenced))
}

// Current returns the reader of the configuration in use.
type Current func() *Reader

// Remote asks the configured Prometheus-compatible server.
func (c Current) Remote(ctx context.Context, expr string, at time.Time) ([]promql.Point, error) {
	r := c()
	if r.remote == nil {
		return nil, fmt.Errorf("%w: no prometheus: block in the configuration", promql.ErrSource)
	}
	return r.remote(ctx, expr, at)
}

// Target says which target an alert's labels mean.
func (c Current) Target(l labels.Labels) (string, bool) { return c().resolver.Target(l) }

// Severity says how urgent an alert of a rule file is.
func (c Current) Severity(l map[string]string) string { return string(c().cfg.SeverityOf(l)) }
