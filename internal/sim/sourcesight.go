package sim

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/rules"
	"watchdog.io/watchdog/pkg/storage"
)

// sourced are eyes that also ask a Prometheus: the rules' own Manager, and the client that
// reads its answers.
type sourced struct {
	*sight
	s      *sources
	store  *storage.Store // of the probes that may be unanswerable
	rules  *rules.Manager
	next   time.Time
	judged map[string][]incident.Alert
}

// sourceEvery is how often the rules over sources are evaluated.
const sourceEvery = 15 * time.Second

// waitingRule is the alert of a rule file, as kube-state-metrics' users have it.
const waitingRule = "ContainerWaiting"

// sourceRules are thresholds over what exporters say.
func sourceRules(targets []string) []rules.Threshold {
	remote := func(name, expr string, above bool, bound, clear float64) rules.Threshold {
		return rules.Threshold{Name: name, Expr: expr, Severity: "P2", Source: rules.Prometheus,
			SourceKind: "prometheus", Above: above, Bound: bound, Clear: clear, For: 2 * time.Minute,
			ClearFor: 2 * time.Minute, Targets: targets}
	}
	all := []rules.Threshold{
		remote("disk", `max by (target) (disk_used_ratio{job="levels"})`, true, 0.9, 0.8),
		remote("workers", `sum by (target) (worker_up{job="levels"})`, false, 2, 2),
		remote("stuck", `sum by (target) (job_stuck{job="objects"})`, true, 0, 0),
	}
	if row, ok := rules.LookupBuiltin("unseen"); ok {
		if r, err := row.Apply(rules.Threshold{Name: "unseen", Severity: "P2", Bound: 0, Clear: 0, For: unseenAfter,
			ClearFor: 2 * time.Minute, Targets: targets, Staleness: 45 * time.Second}); err == nil {
			all = append(all, r)
		}
	}
	return all
}

// unseenAfter is how long nothing is known of something before it is told.
const unseenAfter = 15 * time.Minute

// sourceGroup is a group of a rule file.
func sourceGroup() rules.Group {
	return rules.Group{Name: "objects", File: "rules.yaml", Source: rules.Prometheus, Interval: sourceEvery,
		Rules: []rules.Rule{
			{Alert: waitingRule,
				Expr: `max_over_time(container_waiting{reason="CrashLoopBackOff", job="objects"}[5m]) >= 1`,
				For:  2 * time.Minute, Labels: labels.FromStrings("severity", "P2")},
		}}
}

func newSourced(w *World, r *replica) *sourced {
	e := &sourced{sight: newSight(w, r), s: w.sources, judged: map[string][]incident.Alert{}}
	var names []string
	for _, a := range w.apps {
		names = append(names, a.name)
	}
	e.store = storage.New(storage.Options{Now: r.now, Retention: 15 * time.Minute})
	remote, err := promql.NewRemote(promql.RemoteOptions{URL: "http://prometheus.example", Transport: w.sources})
	if err != nil {
		panic(err) // it is fixed
	}
	e.rules = newRules(rules.Options{
		Local: promql.NewLocal(e.store, promql.LocalOptions{}), Remote: remote, Interval: sourceEvery, Now: r.now,
		Severity: func(map[string]string) string { return "P2" },
		Target:   func(l labels.Labels) (string, bool) { t := l.Get("target"); return t, slices.Contains(names, t) },
	}, rules.Config{Thresholds: sourceRules(names), Groups: []rules.Group{sourceGroup()}})
	return e
}

func (e *sourced) restore(open []incident.Incident) {
	e.sight.restore(open)
	var firing []rules.Alert
	for _, i := range open {
		for _, x := range i.Alerts {
			if x.Firing {
				firing = append(firing, rules.Alert{Rule: x.Rule, Target: i.Target.Name, State: rules.Firing,
					Value: x.Value, ActiveAt: x.ActiveAt, FiredAt: x.ActiveAt})
			}
		}
	}
	e.rules.Restore(firing)
	clear(e.judged)
}

func (e *sourced) round() []string {
	woken := e.sight.round()
	now := e.r.now()
	if now.Before(e.next) && e.next.Sub(now) <= sourceEvery {
		return woken
	}
	e.next = now.Add(sourceEvery)
	for _, a := range e.w.apps {
		e.store.Append(e.look(a, now))
	}
	ctx := context.Background()
	woken = append(append(woken, e.rules.EvalThresholds(ctx)...), e.rules.EvalGroups(ctx, now)...)
	clear(e.judged)
	e.w.oracle.unseen()
	return unique(woken)
}

// look is one look of the probe that may be unanswerable.
func (e *sourced) look(a *app, at time.Time) []*model.Sample {
	seen := probes.Status{Target: a.name, Probe: "front", Kind: "http", State: probes.OK, Damped: probes.OK, At: at}
	if e.s.hidden(a.name) != nil {
		seen.State, seen.Detail = probes.Unknown, "status 404 Not Found: check the probe's url"
	}
	all := probes.Entry{Target: a.name, Name: "front", Kind: "http"}.Samples(seen, nil)
	for _, sm := range all {
		sm.Timestamp = model.TimeFromUnixNano(at.UnixNano())
	}
	return all
}

func (e *sourced) view(target string) engine.Snapshot { return e.with(target, e.sight.view(target)) }

func (e *sourced) fresh(target string) engine.Snapshot { return e.with(target, e.sight.fresh(target)) }

// with adds what the sources say.
func (e *sourced) with(target string, v engine.Snapshot) engine.Snapshot {
	if e.w.byName[target] == nil {
		return v
	}
	mine, ok := e.judged[target]
	if !ok {
		for _, x := range e.rules.AlertsOf(target) {
			e.w.oracle.aged(x, e.r.now())
			mine = append(mine, incident.Alert{Rule: x.Rule, Severity: incident.P2, Firing: x.State == rules.Firing,
				Verdict: incident.Verdict(x.Verdict), Reason: x.Reason, Value: x.Value, Bound: x.Bound,
				Above: x.Above, Unit: x.Unit, Source: x.SourceKind, ActiveAt: x.ActiveAt, EvaluatedAt: x.EvaluatedAt,
				Ladder: []incident.Rung{{Action: "page", Class: incident.C1}}})
		}
		e.judged[target] = mine
	}
	v.Alerts = append(slices.Clone(v.Alerts), mine...)
	return v
}

func (e *sourced) world() engine.FleetHealth {
	w := e.sight.world()
	if w.Blind == "" {
		if blind, why := e.rules.Blind(); blind {
			w.Blind = sourceBlind + why
		}
	}
	return w
}

// sourceBlind marks blindness that the sources brought.
const sourceBlind = "sources: "
