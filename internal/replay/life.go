package replay

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/internal/sim"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/policy"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/rules"
)

// Options say what is lived through again.
type Options struct {
	Config *config.Config
	Begin  time.Time
	// Local answers rules of source local, Remote those of source prometheus.
	Local, Remote promql.QueryFunc
	// Pages, if set, knows answers of both ahead.
	Pages rules.PageFunc
	// Append takes what recording rules write. Nil: it is dropped.
	Append func([]*model.Sample)
	// Interval between evaluations. Default: the configuration's.
	Interval time.Duration
	// Lockstep evaluates every group of rules at each interval, as promtool does.
	Lockstep bool
	// Workloads are what the cluster holds, by target. Default: three replicas that
	// nobody has touched for a day.
	Workloads map[string]Workload
	// Happens are what people and releases do.
	Happens []sim.Happening

	// EveryPass leaves out no pass of the engine that would find nothing to do, for tests.
	EveryPass bool

	Judged   func(at time.Time, targets []string, m *rules.Manager)
	Notified func(at time.Time, i incident.Incident)
	Did      func(at time.Time, opID string, p incident.Plan)
}

// Workload is what the cluster holds of a target when the replay begins.
type Workload struct {
	Replicas    int
	Owner       string // the tool that owns it, as its labels say
	Annotations map[string]string
}

// New builds the policy of a configuration and the world it is given.
func New(o Options) (*sim.Life, error) {
	compiled, err := policy.New(o.Config)
	if err != nil {
		return nil, err
	}
	interval := o.Interval
	if interval == 0 {
		interval = time.Duration(o.Config.EvaluationInterval)
	}
	target := remembered(compiled.Target(nil).Target) // of the past only names say whose a pod was
	past := &sim.Past{
		Begin: o.Begin, Local: o.Local, Remote: o.Remote, Pages: o.Pages, Append: o.Append,
		Groups: slices.Concat(compiled.Groups, compiled.SLOs), Target: target,
		Severity: func(l map[string]string) string { return string(o.Config.SeverityOf(l)) }, Lockstep: o.Lockstep,
		EveryPass: o.EveryPass,
		Judged:    o.Judged, Notified: o.Notified, Did: o.Did,
	}
	past.Looks = looks(o.Config, o.Local, o.Remote, target)
	var manager *rules.Manager // of the past, once it is played
	compiled = compiled.With(policy.Live{AlertsOf: func(target string) []rules.Alert {
		if manager == nil {
			return nil
		}
		return manager.AlertsOf(target)
	}})
	own := &sim.Own{
		Setup: func() *engine.Setup {
			s := compiled.Setup()
			s.Other = policy.Other
			return s
		},
		View: compiled.View, Dependencies: policy.Dependencies, Firing: policy.Firing, Rules: compiled.Rules,
		Interval: interval, Alone: true, Past: past,
		Seeing: func(m *rules.Manager) { manager = m },
	}
	setup := compiled.Setup()
	p := &sim.Policy{Mode: o.Config.Mode, Settings: setup.Settings, Limits: setup.Limits, Core: setup.Policy, Own: own}
	for _, r := range compiled.Rules {
		k := slices.IndexFunc(o.Config.Thresholds, func(x config.Threshold) bool { return x.Name == r.Name })
		p.Rules = append(p.Rules, sim.Rule{Threshold: r, Metric: o.Config.Thresholds[k].Metric,
			Ladder: compiled.Ladder(r.Name), SingleSource: o.Config.Thresholds[k].SingleSource})
	}
	s := &sim.Scenario{Name: o.Config.File, Seed: 1, Policy: p, Happens: o.Happens}
	for _, t := range o.Config.Targets {
		kind, _, _ := strings.Cut(t.Workload, "/")
		w := o.Workloads[t.Name]
		if w.Replicas == 0 {
			w.Replicas = 3
		}
		s.Targets = append(s.Targets, sim.Target{Name: t.Name, Namespace: t.Namespace, Kind: kind, Replicas: w.Replicas,
			Owner: w.Owner, Annotations: w.Annotations, Rollout: 30 * time.Second})
	}
	return sim.Relive(s), nil
}

// remembered remembers which target labels mean: nothing of it changes in a past.
func remembered(target rules.TargetFunc) rules.TargetFunc {
	type meaning struct {
		labels  labels.Labels
		target  string
		watched bool
	}
	var mu sync.Mutex
	known := map[uint64]meaning{}
	return func(l labels.Labels) (string, bool) {
		mu.Lock()
		defer mu.Unlock()
		h := l.Hash()
		x, ok := known[h]
		if !ok || !labels.Equal(x.labels, l) {
			x.labels = l
			x.target, x.watched = target(l)
			known[h] = x
		}
		return x.target, x.watched
	}
}

// seen are the metrics that say what probes saw: watchdog's own, which is damped,
// and the one that it shares with the blackbox exporter.
const seen = `{__name__=~"watchdog_probe_healthy|probe_success"}`

// looks says what probes saw of a target, by what they left in the samples.
func looks(c *config.Config, local, remote promql.QueryFunc, target rules.TargetFunc) func(string,
	time.Time) []probes.Status {
	kinds := map[string]string{} // by target and probe
	for _, t := range c.Targets {
		for _, p := range t.Probes {
			l := p.Look()
			kinds[t.Name+"/"+l.Name] = p.Kind()
		}
		kinds[t.Name+"/"+probes.KindKubernetes] = probes.KindKubernetes
	}
	var at time.Time
	byTarget := map[string][]probes.Status{}
	return func(name string, now time.Time) []probes.Status {
		if now.Equal(at) {
			return byTarget[name]
		}
		at = now
		clear(byTarget)
		for _, ask := range []promql.QueryFunc{local, remote} {
			if ask == nil {
				continue
			}
			// A question that fails leaves the guards without a witness.
			points, _ := ask(context.Background(), seen, now)
			for _, p := range points {
				if t, watched := target(p.Labels); watched {
					byTarget[t] = witness(byTarget[t], t, p, kinds, now)
				}
			}
		}
		return byTarget[name]
	}
}

// witness adds what one series says to what is known of its target's probes.
func witness(all []probes.Status, target string, p promql.Point, kinds map[string]string,
	at time.Time) []probes.Status {
	name := cmp.Or(p.Labels.Get("probe"), p.Labels.Get("instance"), "probe")
	damped := p.Labels.Get(model.MetricNameLabel) == "watchdog_probe_healthy"
	k := slices.IndexFunc(all, func(s probes.Status) bool { return s.Probe == name })
	if k < 0 {
		k = len(all)
		all = append(all, probes.Status{Target: target, Probe: name, Kind: cmp.Or(kinds[target+"/"+name], "http"),
			At: at})
	}
	state := probes.OK
	if p.Value != 1 {
		state = probes.Bad
	}
	s := &all[k]
	if s.Damped == probes.Unknown || damped {
		s.Damped, s.Detail = state, fmt.Sprintf("%s %g", p.Labels.Get(model.MetricNameLabel), p.Value)
	}
	if s.State == probes.Unknown || !damped {
		s.State = state
	}
	return all
}
