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
	"watchdog.io/watchdog/pkg/hints"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/probes"
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
	seen engine.World
}

// remote asks the configured Prometheus-compatible server.
func (a *App) remote(ctx context.Context, expr string, at time.Time) ([]rules.Point, error) {
	b := a.built.Load()
	if b == nil || b.remote == nil {
		return nil, fmt.Errorf("%w: no prometheus: block in the configuration", rules.ErrSource)
	}
	return b.remote(ctx, expr, at)
}

func (a *App) world() engine.World {
	w := &a.whole
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.at) > worldAge {
		w.seen = engine.World{}
		if b := a.built.Load(); b != nil {
			bad := slices.Concat(a.judge.Unhealthy(), a.groups.Unhealthy())
			w.seen.Watched, w.seen.Unhealthy = trouble(slices.Collect(maps.Keys(b.setup.Targets)), bad, a.windows.expected)
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

// trouble counts the targets, and those of them that are bad, but for those whose
// trouble is expected.
func trouble(targets, bad []string, expected func(string) bool) (watched, unhealthy int) {
	sick := map[string]bool{}
	for _, t := range bad {
		sick[t] = true
	}
	for _, t := range targets {
		if expected(t) {
			continue
		}
		if watched++; sick[t] {
			unhealthy++
		}
	}
	return watched, unhealthy
}

// view is what the engine sees of a target.
func (a *App) view(target string) engine.View {
	return a.assemble(target, slices.Concat(a.judge.AlertsOf(target), a.groups.AlertsOf(target)), a.looks.StatesOf(target))
}

// target says which target an alert's labels mean.
func (a *App) target(l labels.Labels) (string, bool) { return a.built.Load().targetOf.Target(l) }

// severity says how urgent an alert of a rule file is.
func (a *App) severity(l map[string]string) string { return string(a.built.Load().cfg.SeverityOf(l)) }

// Other is the setup of what alerts are about that concern no target: people are
// told, and nothing is ever done.
func Other(name string) (engine.TargetSetup, bool) {
	t, ok := hints.Unwatched(name)
	return engine.TargetSetup{Target: t, Mode: incident.Observe, ModeWhy: "no target of the configuration is meant"}, ok
}

// fresh looks and judges at this moment (INV-12).
func (a *App) fresh(ctx context.Context, target string) (engine.View, error) {
	ctx, cancel := context.WithTimeout(ctx, freshTimeout)
	defer cancel()
	if _, err := a.looks.LookNow(ctx, target); err != nil {
		return engine.View{}, fmt.Errorf("look again at %s before acting: %w", target, err)
	}
	alerts, err := a.groups.EvalNow(ctx, target)
	if err == nil && (len(alerts) == 0 || len(a.judge.AlertsOf(target)) > 0) {
		var own []rules.Alert
		own, err = a.judge.EvalNow(ctx, target)
		alerts = append(own, alerts...)
	}
	if err != nil {
		return engine.View{}, fmt.Errorf("judge %s again before acting: %w", target, err)
	}
	return a.assemble(target, alerts, a.looks.StatesOf(target)), nil
}

// freshTimeout bounds the last look before an act.
const freshTimeout = 8 * time.Second

func (a *App) assemble(target string, alerts []rules.Alert, looks []probes.Status) engine.View {
	b := a.built.Load()
	v := b.View(append(alerts, a.hintsOn(target, alerts, looks)...), looks)
	a.cleanView(&v)
	v.Maintenance, v.Suspended = a.windows.mean(target)
	if ts, ok := b.setup.Targets[target]; ok {
		if s, err := a.watcher.State(ts.Target.Namespace, ts.Target.Kind, ts.Target.Workload); err == nil {
			v.Rollout = incident.Rollout{Known: true, Done: !s.RolloutInProgress && s.Ready >= s.Desired, Ready: s.Ready, Replicas: s.Desired, LastReady: s.LastReady, Deadline: s.ProgressDeadline, Stalled: s.Stalled, Endpoints: s.Endpoints}
			v.Revision, v.CPU, v.Op = s.Revision, busy(s.Usage), &s.Op
		}
	}
	return v
}

// signals says what each kind of source makes of the target (INV-11): what
// watchdog's own probes see, what the application says of its users' traffic,
// what Kubernetes reports, and what Prometheus measured.
func signals(alerts []rules.Alert, looks []probes.Status) []remediate.Signal {
	var all []remediate.Signal
	for _, kind := range []string{"probe", "kubernetes"} {
		s := remediate.Signal{Source: kind}
		for _, l := range looks {
			if sourceOf(l.Kind) != kind || l.Damped == probes.Unknown {
				continue
			}
			s.Known = true
			if l.At.After(s.At) {
				s.At = l.At
			}
			if l.Damped == probes.Bad && !s.Bad {
				s.Bad, s.Detail = true, l.Probe+": "+l.Detail
			}
		}
		all = append(all, judged(s, alerts))
	}
	for _, kind := range []string{"app", "prometheus"} {
		all = append(all, judged(remediate.Signal{Source: kind}, alerts))
	}
	return all
}

// witnessed is how far a rule may look back to say what is bad now.
const witnessed = 10 * time.Minute

// judged adds what rules make of the source: one that is in breach says bad, also
// where the look itself finds nothing wrong (memory near its limit).
func judged(s remediate.Signal, alerts []rules.Alert) remediate.Signal {
	looks := s.Source == "probe" || s.Source == "kubernetes"
	for _, x := range alerts {
		if x.SourceKind != s.Source || incident.Verdict(x.Verdict).Unknown() || looks && (x.Verdict != rules.Breach || x.Lookback > witnessed) {
			continue
		}
		s.Known = true
		if x.EvaluatedAt.After(s.At) {
			s.At = x.EvaluatedAt
		}
		if x.Verdict == rules.Breach && !s.Bad {
			s.Bad, s.Detail = true, x.Rule+": "+x.Reason
		}
	}
	return s
}

// sourceOf maps a probe's kind to its kind of source. sla and agents are read by
// a probe, but what they say is the application's word: rules judge it.
func sourceOf(kind string) string {
	switch kind {
	case "kubernetes":
		return "kubernetes"
	case "sla", "agents":
		return ""
	}
	return "probe"
}

func (a *App) dependencies(ctx context.Context, target string) []remediate.Dependency {
	return Dependencies(ctx, a.local, target, a.clock.Now())
}

// Dependencies asks the samples for the health document's checks of the target.
func Dependencies(ctx context.Context, ask rules.QueryFunc, target string, at time.Time) []remediate.Dependency {
	points, err := ask(ctx, fmt.Sprintf("watchdog_dependency_up{target=%q,check!=\"agents\"}", target), at)
	if err != nil {
		return nil
	}
	var all []remediate.Dependency
	for _, p := range points {
		all = append(all, remediate.Dependency{Check: p.Labels.Get("check"), Up: p.Value == 1, Known: true})
	}
	return all
}
