package sim

import (
	"time"

	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

// interval is how often probes look and rules are evaluated.
const interval = 5 * time.Second

// sight is what one replica sees: the state of every rule on every target. The
// rules' own Eval moves it.
type sight struct {
	w      *World
	r      *replica
	states map[string][]rules.State   // by target, in the order of the rules
	past   map[seriesOf]*series       // if monitoring lags
	views  map[string]engine.Snapshot // what view made of them since the last evaluation
	// blind says why nothing that is seen can be trusted; calm counts the good
	// rounds since.
	blind string
	calm  int
}

// eyes are how a replica looks at the world and judges it.
type eyes interface {
	first() time.Duration // until the first round
	every() time.Duration // until the next one
	restore(open []incident.Incident)
	round() []string // the targets for which something changed
	view(target string) engine.Snapshot
	fresh(target string) engine.Snapshot
	world() engine.FleetHealth
}

// eyesOf gives a replica the eyes of its policy: those of the rules' whole engine
// for a configuration of somebody's own, else a short cut to Eval.
func (w *World) eyesOf(r *replica) eyes {
	switch own := w.scenario.Policy.Own; {
	case own != nil && own.Past != nil:
		return newHindsight(w, r)
	case own != nil:
		return newLens(w, r)
	case w.sources != nil:
		return newSourced(w, r)
	}
	return newSight(w, r)
}

func (s *sight) first() time.Duration { return s.w.span(s.every()) }

func (s *sight) every() time.Duration { return interval }

func newSight(w *World, r *replica) *sight {
	return &sight{w: w, r: r, states: map[string][]rules.State{}, views: map[string]engine.Snapshot{},
		past: map[seriesOf]*series{}}
}

// restore is the cold start: what fired keeps firing until it was seen.
func (s *sight) restore(open []incident.Incident) {
	for _, i := range open {
		for _, x := range i.Alerts {
			k := s.w.scenario.Policy.rule(x.Rule)
			if !x.Firing || k < 0 || s.w.byName[i.Target.Workload] == nil {
				continue
			}
			st := s.of(i.Target.Name)
			if st[k].State != rules.Firing {
				delete(s.views, i.Target.Name)
				st[k] = rules.State{State: rules.Firing, Verdict: rules.NoData,
					Unknown: "firing before the restart, not evaluated since", Value: x.Value,
					ActiveAt: x.ActiveAt, FiredAt: x.ActiveAt}
			}
		}
	}
}

func (s *sight) of(target string) []rules.State {
	if s.states[target] == nil {
		s.states[target] = make([]rules.State, len(s.w.scenario.Policy.Rules))
	}
	return s.states[target]
}

// observe is what a rule's questions give now; a glance looks even if no look is due.
func (s *sight) observe(a *app, r *Rule, glance bool) rules.Observation {
	now := s.w.clock.now
	switch m := s.w.monitor(a, now); {
	case m == "blind":
		return rules.Observation{Unknown: rules.NoData, Reason: "no sample"}
	case m == "stale":
		return rules.Observation{Unknown: rules.Stale, Reason: "the newest sample is too old"}
	case m == "error":
		return rules.Observation{Unknown: rules.Error, Reason: "HTTP 503"}
	case m == "nan":
		return rules.Observation{Value: nan}
	case now.Before(a.lying) && r.SourceKind == "app":
		return rules.Observation{Value: r.Bound + 1}
	}
	return rules.Observation{Value: s.lagged(a, r, now, glance)}
}

// round evaluates every rule and returns the targets for which something changed.
func (s *sight) round() []string {
	var woken []string
	gone, seen := 0, 0
	for _, a := range s.w.apps {
		states := s.of(a.name)
		changed := false
		for k := range s.w.scenario.Policy.Rules {
			r := &s.w.scenario.Policy.Rules[k]
			was, got := states[k], s.observe(a, r, false)
			states[k] = rules.Eval(&r.Threshold, was, got, s.r.now())
			if got.Value != got.Value && !states[k].Verdict.Unknown() {
				s.w.oracle.violate("INV-15", "%s of %s is NaN, and the verdict is %s", r.Name, a.name,
					states[k].Verdict)
			}
			changed = changed || was.State != states[k].State || was.Verdict != states[k].Verdict
			if was.Verdict == rules.OK || was.Verdict == rules.Breach {
				seen++
				if states[k].Verdict.Unknown() {
					gone++
				}
			}
		}
		delete(s.views, a.name)
		if changed {
			woken = append(woken, a.name)
		}
	}
	s.breaker(gone, seen)
	return woken
}

// breaker is the rules' own: most of what was seen in the round before is gone.
func (s *sight) breaker(gone, seen int) {
	switch {
	case seen >= 3 && gone*2 > seen:
		s.blind, s.calm = "most series are gone", 0
	case s.blind != "" && gone == 0 && seen > 0:
		if s.calm++; s.calm >= 2 {
			s.blind = ""
		}
	}
}

// view is what the engine is shown of a target.
func (s *sight) view(target string) engine.Snapshot {
	a := s.w.byName[target]
	if a == nil {
		return s.w.external.seen(s.r, target, engine.Snapshot{})
	}
	v, ok := s.views[target]
	if !ok {
		v = s.judged(a)
		s.views[target] = v
	}
	v.Rollout, v.CPU = a.rollout(), a.cpu()
	v.Revision = a.revisions[len(a.revisions)-1].UID
	return s.w.external.seen(s.r, target, v)
}

// judged is the part of a view that only an evaluation changes.
func (s *sight) judged(a *app) engine.Snapshot {
	v := engine.Snapshot{Alerts: make([]incident.Alert, 0, len(s.w.scenario.Policy.Rules))}
	states := s.of(a.name)
	app := remediate.Signal{Source: "app"}
	for k := range s.w.scenario.Policy.Rules {
		r := &s.w.scenario.Policy.Rules[k]
		st := states[k]
		v.Alerts = append(v.Alerts, incident.Alert{
			Rule: r.Name, Severity: incident.Severity(r.Severity), Firing: st.State == rules.Firing,
			Verdict: incident.Verdict(st.Verdict), Reason: reason(&r.Threshold, st), Value: st.Value,
			Bound: r.Bound,
			Above: r.Above, Unit: r.Unit, Usual: st.Usual, Noise: st.Noise, Recent: st.Rising, Source: r.SourceKind,
			ActiveAt: st.ActiveAt, EvaluatedAt: st.EvaluatedAt, Lookback: r.Window + r.Staleness, Ladder: r.Ladder,
		})
		if r.SourceKind == "app" && (st.Verdict == rules.OK || st.Verdict == rules.Breach) {
			app.Known, app.At = true, st.EvaluatedAt
			app.Bad = app.Bad || st.Verdict == rules.Breach
		}
	}
	v.Signals = append(s.outside(a), app)
	return v
}

// reason spares the text of what is well.
func reason(r *rules.Threshold, s rules.State) string {
	if s.State == rules.Inactive && s.Verdict == rules.OK {
		return "well"
	}
	return r.Reason(s)
}

// outside is what probes and Kubernetes say; they do not ask the application's numbers.
func (s *sight) outside(a *app) []remediate.Signal {
	now := s.w.clock.now
	probe := remediate.Signal{Source: "probe", Known: s.w.monitor(a, now) == "", At: s.r.now()}
	probe.Bad = a.value("error_rate") > 0.05 || a.value("response_time") > 0.5 || a.value("health") > 0
	kube := remediate.Signal{Source: "kubernetes", Known: true, At: s.r.now(), Bad: a.cannotStart() > 0 || a.on(Leak) ||
		a.on(Overload) || now.Before(s.w.mishaps.unknown)}
	return append(make([]remediate.Signal, 0, 3), probe, kube) // and what the application says
}

// fresh looks again at one target at this moment.
func (s *sight) fresh(target string) engine.Snapshot {
	a := s.w.byName[target]
	if a == nil {
		return engine.Snapshot{}
	}
	states := s.of(target)
	for k := range s.w.scenario.Policy.Rules {
		r := &s.w.scenario.Policy.Rules[k]
		states[k] = rules.Eval(&r.Threshold, states[k], s.observe(a, r, true), s.r.now())
	}
	delete(s.views, target)
	v := s.view(target)
	s.w.oracle.looked(s.r, target, v, s.blind)
	return v
}

// world counts what fires.
func (s *sight) world() engine.FleetHealth {
	n := 0
	for _, a := range s.w.apps {
		for _, st := range s.of(a.name) {
			if st.State == rules.Firing && st.Verdict == rules.Breach {
				n++
				break
			}
		}
	}
	if float64(n) > believed(s.w.scenario.Policy, len(s.w.apps)) && s.r.engine != nil {
		s.r.storm = s.w.clock.now
	}
	return engine.FleetHealth{Watched: len(s.w.apps), Unhealthy: n, Blind: s.blind}
}

// monitor is how the monitoring of a target fails at a moment; empty: it does not.
func (w *World) monitor(a *app, now time.Time) string {
	for _, o := range w.outages {
		if (o.target == "" || o.target == a.name) && !now.Before(o.from) && now.Before(o.until) {
			return o.how
		}
	}
	return ""
}

// outage is a time in which monitoring fails.
type outage struct {
	target      string // empty: all
	how         string // blind, stale, error, nan
	from, until time.Time
}
