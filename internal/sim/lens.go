package sim

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/internal/history"
	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/rules"
	"watchdog.io/watchdog/pkg/storage"
)

// lens are the eyes of a policy of somebody's own: probes leave samples in a
// store, and the rules' Manager asks them in PromQL, on the world's clock.
type lens struct {
	w     *World
	r     *replica
	own   *Own
	store *storage.Store
	ask   promql.QueryFunc
	rules *rules.Manager
	looks map[string][]*sampler // by target
	views map[string]engine.Snapshot
}

// sampler is one probe of one target and its last look.
type sampler struct {
	probes.Entry
	next    time.Time
	stamped time.Time
	damper  *probes.Damper
	last    probes.Status
}

func newLens(w *World, r *replica) *lens {
	own := w.scenario.Policy.Own
	l := &lens{w: w, r: r, own: own, looks: map[string][]*sampler{}, views: map[string]engine.Snapshot{}}
	l.store = storage.New(storage.Options{Now: r.now, Retention: own.Retention})
	l.ask = history.Instant(l.store, promql.NewLocal(l.store, promql.LocalOptions{}))
	l.rules = newRules(rules.Options{Local: l.ask, Interval: own.Interval, Now: r.now},
		rules.Config{Thresholds: own.Rules})
	for _, a := range w.apps {
		for _, p := range own.Probes[a.name] {
			l.add(probes.Entry{Target: a.name, Name: p.Name, Kind: p.Kind, Interval: p.Interval, Damping: p.Damping,
				Probe: func(_ context.Context, at time.Time) (probes.Result, error) { return a.answer(p, at), nil }})
		}
		look, err := probes.NewKubernetes(a.spec.Namespace, a.target().Kind+"/"+a.name,
			func(string, string, string) (probes.Workload, error) { return a.watched(), nil })
		if err != nil {
			panic(err)
		}
		l.add(probes.Entry{Target: a.name, Name: probes.KindKubernetes, Kind: probes.KindKubernetes,
			Interval: 15 * time.Second, Probe: look})
	}
	return l
}

// newRules returns a manager of rules that were checked when their policy was built.
func newRules(o rules.Options, c rules.Config) *rules.Manager {
	m, err := rules.NewManager(o)
	if err == nil {
		_, err = m.Update(c)
	}
	if err != nil {
		panic(err)
	}
	return m
}

func (l *lens) add(e probes.Entry) {
	l.looks[e.Target] = append(l.looks[e.Target], &sampler{Entry: e, damper: probes.NewDamper(e.Damping),
		last: probes.Status{Target: e.Target, Probe: e.Name, Kind: e.Kind, Detail: "not probed yet"}})
}

func (l *lens) local() promql.QueryFunc { return l.ask }

func (l *lens) first() time.Duration { return l.w.span(l.every()) }

// every is the time between rounds: production judges at each interval and
// whenever a probe brought samples.
func (l *lens) every() time.Duration {
	d := l.own.Interval
	for _, all := range l.looks {
		for _, p := range all {
			d = min(d, p.Interval)
		}
	}
	return max(d, time.Second)
}

func (l *lens) round() []string {
	var samples []*model.Sample
	for _, a := range l.w.apps {
		for _, p := range l.looks[a.name] {
			if now := l.r.now(); !now.Before(p.next) {
				p.next = now.Add(p.Interval)
				samples = append(samples, l.look(a, p, true)...)
			}
		}
	}
	l.store.Append(samples)
	clear(l.views)
	news := l.rules.EvalThresholds(context.Background())
	l.w.watched(l)
	return news
}

// look makes one look; one that does not count is a second glance before an act.
func (l *lens) look(a *app, p *sampler, counts bool) []*model.Sample {
	at := l.r.now()
	got, err := probes.Result{}, error(nil)
	monitor := l.w.monitor(a, l.w.clock.now)
	if monitor == "" || monitor == "nan" {
		got, err = p.Probe(context.Background(), at)
	} else {
		got.Detail = "could not look"
	}
	if err != nil {
		got = probes.Result{Detail: err.Error()}
	}
	p.last.State, p.last.Detail, p.last.Facts, p.last.At = got.State, got.Detail, got.Facts, at
	p.last.Duration = a.took(p.Kind)
	if counts {
		p.damper.Add(got.State)
	}
	p.last.Damped = p.damper.State()
	samples := p.Samples(p.last, got.Samples)
	if !at.After(p.stamped) {
		at = p.stamped.Add(time.Millisecond)
	}
	p.stamped = at
	for _, s := range samples {
		s.Timestamp = model.TimeFromUnixNano(at.UnixNano())
		if monitor == "nan" && p.Kind == "sla" {
			s.Value = model.SampleValue(nan)
		}
	}
	return samples
}

func (l *lens) statuses(target string) []probes.Status {
	var all []probes.Status
	for _, p := range l.looks[target] {
		all = append(all, p.last)
	}
	return all
}

func (l *lens) view(target string) engine.Snapshot {
	a := l.w.byName[target]
	if a == nil {
		return engine.Snapshot{}
	}
	v, ok := l.views[target]
	if !ok {
		v = l.own.View(l.rules.AlertsOf(target), l.statuses(target))
		l.views[target] = v
	}
	return a.rolled(v)
}

// rolled adds what only the cluster knows.
func (a *app) rolled(v engine.Snapshot) engine.Snapshot {
	v.Rollout, v.CPU = a.rollout(), a.cpu()
	newest := a.revisions[len(a.revisions)-1]
	v.Revision, v.RevisionNumber = newest.UID, newest.Number
	return v
}

func (l *lens) fresh(target string) engine.Snapshot {
	a := l.w.byName[target]
	if a == nil {
		return engine.Snapshot{}
	}
	for _, p := range l.looks[target] {
		l.store.Append(l.look(a, p, false))
	}
	delete(l.views, target)
	// its only error is a target without rules, which has no incident
	alerts, _ := l.rules.EvalNow(context.Background(), target)
	v := a.rolled(l.own.View(alerts, l.statuses(target)))
	_, blind := l.rules.Blind()
	l.w.oracle.looked(l.r, target, v, blind)
	return v
}

func (l *lens) world() engine.FleetHealth {
	w := engine.FleetHealth{Watched: len(l.w.apps), Unhealthy: len(l.rules.Unhealthy())}
	if blind, why := l.rules.Blind(); blind {
		w.Blind = why
	}
	return w
}

func (l *lens) restore(open []incident.Incident) { l.rules.Restore(l.own.Firing(open)) }

// Numbers of a simulated application.
const (
	traffic  = 20.0 // requests per second
	window   = time.Minute
	degraded = 0.05 // share of errors above which the health document says so
)

// felt is what users feel: the share of requests that fail, and the 95th percentile.
func (a *app) felt() (errors float64, latency time.Duration) {
	r := a.releases[a.templates[a.running].release]
	over := math.Max(0, a.load/math.Max(0.1, float64(a.ready))-0.9)
	errors = math.Max(r.errors, math.Min(1, math.Max(0, over-0.5)))
	latency = 80*time.Millisecond + r.latency + time.Duration(over*2*float64(time.Second))
	switch {
	case a.on(Dependency):
		errors, latency = math.Max(errors, 0.4), latency+time.Second
	case a.on(Glitch), a.on(External):
		errors, latency = math.Max(errors, 0.3), latency+time.Second
	}
	return errors, latency
}

// gone reports whether nobody answers.
func (a *app) gone() bool { return a.on(Switched) || a.replicas > 0 && a.ready == 0 || a.on(Glitch) }

func (a *app) took(kind string) time.Duration {
	if kind != "http" {
		return 10 * time.Millisecond
	}
	_, d := a.felt()
	return d
}

func state(bad bool, why string) probes.Result {
	if bad {
		return probes.Result{State: probes.Bad, Detail: why}
	}
	return probes.Result{State: probes.OK}
}

func (a *app) health(at time.Time) []*model.Sample {
	return []*model.Sample{
		sample(at, "watchdog_health_timestamp_skew_seconds", 0),
		sample(at, "watchdog_health_uptime_seconds", a.w.clock.now.Sub(a.came[a.running]).Seconds()),
		sample(at, "watchdog_health_restarts_total", float64(len(a.came)-1)),
		sample(at, "watchdog_dependency_up", truth(!a.on(Dependency)), "check", "database"),
		sample(at, "watchdog_dependency_up", truth(!a.on(Agents)), "check", "agents"),
	}
}

func (a *app) sla(at time.Time, errors float64, latency time.Duration) []*model.Sample {
	rate := traffic
	switch {
	case a.w.clock.now.Before(a.lying):
		errors, latency = 0.5, 3*time.Second
	case a.w.clock.now.Before(a.w.night[a.name]):
		rate, errors = 2/window.Seconds(), 0.5
	}
	return []*model.Sample{
		sample(at, "watchdog_sla_uptime_ratio", 1-errors),
		sample(at, "watchdog_sla_requests", rate*window.Seconds()),
		sample(at, "watchdog_sla_window_seconds", window.Seconds()),
		sample(at, "watchdog_sla_error_ratio", errors),
		sample(at, "watchdog_sla_response_time_seconds", latency.Seconds()/4, "quantile", "0.5"),
		sample(at, "watchdog_sla_response_time_seconds", latency.Seconds(), "quantile", "0.95"),
		sample(at, "watchdog_sla_response_time_seconds", latency.Seconds()*1.2, "quantile", "0.99"),
	}
}

// watched is what the informers hold of the workload.
func (a *app) watched() probes.Workload {
	w := probes.Workload{Desired: a.replicas, Ready: a.ready, Updated: a.replicas,
		Unavailable: max(0, a.replicas-a.ready), RolloutInProgress: !a.rolling.IsZero(),
		EndpointsReady: a.ready, HasEndpoints: true, Usage: a.usage()}
	if !a.on(CrashLoop) {
		w.Stalled = a.stalled()
	}
	if w.RolloutInProgress {
		w.Updated = 1
	}
	if a.replicas == 0 {
		w.ScaledBy = a.managers[0].Name
	}
	switch n := a.cannotStart(); {
	case a.on(CrashLoop):
		w.Waiting, w.NewestWaiting, w.Restarts = map[string]int{"CrashLoopBackOff": 1}, 1, 4
	case n > 0:
		w.Waiting, w.NewestWaiting = map[string]int{"ImagePullBackOff": n}, n
	}
	return w
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func sample(at time.Time, name string, value float64, labels ...string) *model.Sample {
	m := model.Metric{model.MetricNameLabel: model.LabelValue(name)}
	for i := 0; i+1 < len(labels); i += 2 {
		m[model.LabelName(labels[i])] = model.LabelValue(labels[i+1])
	}
	return &model.Sample{Metric: m, Value: model.SampleValue(value), Timestamp: model.TimeFromUnixNano(at.UnixNano())}
}
