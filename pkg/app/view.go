package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/policy"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

// worldAge is how old the picture of all targets may be.
const worldAge = 250 * time.Millisecond

// world says how many targets are in trouble. It is asked once a target and step,
// so the answer is kept for a moment.
type world struct {
	mu   sync.Mutex
	at   time.Time
	seen engine.FleetHealth
}

// remote asks the configured Prometheus-compatible server.
func (a *App) remote(ctx context.Context, expr string, at time.Time) ([]promql.Point, error) {
	b := a.built.Load()
	if b == nil || b.remote == nil {
		return nil, fmt.Errorf("%w: no prometheus: block in the configuration", promql.ErrSource)
	}
	return b.remote(ctx, expr, at)
}

func (a *App) world() engine.FleetHealth {
	w := &a.whole
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.at) > worldAge {
		w.seen = engine.FleetHealth{}
		if b := a.built.Load(); b != nil {
			bad := slices.Concat(a.judge.Unhealthy(), a.groups.Unhealthy())
			w.seen.Watched, w.seen.Unhealthy = a.windows.Trouble(slices.Collect(maps.Keys(b.setup.Targets)), bad)
		}
		if blind, why := a.judge.Blind(); blind {
			w.seen.Blind = why
		} else if blind, why := a.groups.Blind(); blind {
			w.seen.Blind = why
		}
		w.at = time.Now()
	}
	return w.seen
}

// view is what the engine sees of a target.
func (a *App) view(target string) engine.Snapshot {
	return a.assemble(target, slices.Concat(a.judge.AlertsOf(target), a.groups.AlertsOf(target)), a.looks.StatesOf(target))
}

// target says which target an alert's labels mean.
func (a *App) target(l labels.Labels) (string, bool) { return a.built.Load().targetOf.Target(l) }

// severity says how urgent an alert of a rule file is.
func (a *App) severity(l map[string]string) string { return string(a.built.Load().cfg.SeverityOf(l)) }

// fresh looks and judges at this moment (INV-12).
func (a *App) fresh(ctx context.Context, target string) (engine.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, freshTimeout)
	defer cancel()
	if _, err := a.looks.LookNow(ctx, target); err != nil {
		return engine.Snapshot{}, fmt.Errorf("look again at %s before acting: %w", target, err)
	}
	alerts, err := a.groups.EvalNow(ctx, target)
	if err == nil && (len(alerts) == 0 || len(a.judge.AlertsOf(target)) > 0) {
		var own []rules.Alert
		own, err = a.judge.EvalNow(ctx, target)
		alerts = append(own, alerts...)
	}
	if err != nil {
		return engine.Snapshot{}, fmt.Errorf("judge %s again before acting: %w", target, err)
	}
	return a.assemble(target, alerts, a.looks.StatesOf(target)), nil
}

// freshTimeout bounds the last look before an act.
const freshTimeout = 8 * time.Second

func (a *App) assemble(target string, alerts []rules.Alert, looks []probes.Status) engine.Snapshot {
	b := a.built.Load()
	v := b.View(append(alerts, a.hintsOn(target, alerts, looks)...), looks)
	a.cleanView(&v)
	v.Maintenance, v.Suspended = a.windows.Mean(target)
	if ts, ok := b.setup.Targets[target]; ok {
		if s, err := a.watcher.State(ts.Target.Namespace, ts.Target.Kind, ts.Target.Workload); err == nil {
			v.Rollout = incident.Rollout{Known: true, Done: !s.RolloutInProgress && s.Ready >= s.Desired, Ready: s.Ready, Replicas: s.Desired, LastReady: s.LastReady, Deadline: s.ProgressDeadline, Stalled: s.Stalled, Endpoints: s.Endpoints}
			v.Revision, v.CPU, v.Op = s.Revision, busy(s.Usage), &s.Op
		}
	}
	return v
}

func (a *App) dependencies(ctx context.Context, target string) []remediate.Dependency {
	return policy.Dependencies(ctx, a.local, target, a.clock.Now())
}
