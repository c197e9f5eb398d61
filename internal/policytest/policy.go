package policytest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"watchdog.io/watchdog/internal/replay"
	"watchdog.io/watchdog/internal/sim"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/promql"
)

// played is what watchdog did so far.
type played struct {
	life      *sim.Life
	incidents map[string]incident.Incident // as last told or stored
	order     []string
	ops       []done
	pages     []ExpPage
	paged     map[string]bool
}

type done struct {
	id   string
	plan incident.Plan
}

// policy plays the test's series to the configuration's policy.
func (f *File) policy(t *Test) failures {
	var all failures
	p := &played{incidents: map[string]incident.Incident{}, paged: map[string]bool{}}
	if err := f.begin(t, p); err != nil {
		return failures{err.Error()}
	}
	tests := slices.Clone(t.Watchdog)
	slices.SortStableFunc(tests, func(a, b PolicyTest) int { return cmp.Compare(a.EvalTime, b.EvalTime) })
	for _, x := range tests {
		p.life.Until(t.begin().Add(time.Duration(x.EvalTime)))
		for _, i := range p.life.Incidents() {
			p.note(i)
		}
		p.compare(&all, x)
	}
	for _, v := range p.life.Violations() {
		all = append(all, fmt.Sprintf("watchdog broke a promise of its own, which is a bug: %s: %s", v.Invariant,
			v.Text))
	}
	return all
}

func (f *File) begin(t *Test, p *played) error {
	in, err := load(t.InputSeries, t.begin(), time.Duration(t.Interval), newParser())
	if err != nil {
		return err
	}
	engine := promql.NewLocal(in, promql.LocalOptions{})
	o := replay.Options{
		Config: f.config, Begin: t.begin(), Local: engine, Remote: engine, Append: in.write,
		Interval: time.Duration(f.EvaluationInterval), Lockstep: true,
		Workloads: map[string]replay.Workload{},
		Did:       func(_ time.Time, id string, plan incident.Plan) { p.ops = append(p.ops, done{id, plan}) },
		Notified:  func(_ time.Time, i incident.Incident) { p.note(i) },
	}
	for _, w := range t.Workloads {
		o.Workloads[w.Target] = replay.Workload{Replicas: w.Replicas, Owner: w.Owner, Annotations: w.Annotations}
	}
	for _, e := range t.Events {
		o.Happens = append(o.Happens, sim.Happening{At: time.Duration(e.At), What: events[e.What], Target: e.Target,
			For: time.Duration(e.For), Times: float64(e.By)})
	}
	p.life, err = replay.New(o)
	return err
}

// note keeps the newest of an incident, and who was paged for it.
func (p *played) note(i incident.Incident) {
	if _, known := p.incidents[i.ID]; !known {
		p.order = append(p.order, i.ID)
		slices.Sort(p.order)
	}
	p.incidents[i.ID] = i
	if i.Paged && !p.paged[i.ID] {
		p.paged[i.ID] = true
		p.pages = append(p.pages, ExpPage{Target: i.Target.Name, Severity: i.Severity, Reason: Pattern(i.PageReason)})
	}
}

func (p *played) compare(all *failures, x PolicyTest) {
	if x.ExpIncidents != nil {
		var got []ExpIncident
		for _, id := range p.order {
			got = append(got, shown(p.incidents[id]))
		}
		list(all, x, "incidents", *x.ExpIncidents, got, ExpIncident.fits)
	}
	if x.ExpOps != nil {
		var got []ExpOp
		for _, d := range p.ops {
			got = append(got, p.op(d))
		}
		list(all, x, "ops", *x.ExpOps, got, ExpOp.fits)
	}
	if x.ExpPages != nil {
		list(all, x, "pages", *x.ExpPages, p.pages, ExpPage.fits)
	}
	for _, g := range x.ExpGuards {
		p.guard(all, x, g)
	}
}

// list compares lists of the same kind, in order; what was got is printed as it
// could be written into the file.
func list[T any](all *failures, x PolicyTest, what string, want, got []T, fits func(want, got T) bool) {
	if slices.EqualFunc(want, got, fits) {
		return
	}
	text := " none"
	if len(got) > 0 {
		b, err := yaml.Marshal(got)
		text = "\n" + strings.TrimSuffix(string(b), "\n")
		if err != nil {
			text = err.Error()
		}
	}
	all.add(x.EvalTime, "exp_%s: want %d, and got:%s", what, len(want), text)
}

func shown(i incident.Incident) ExpIncident {
	var firing []string
	for _, a := range i.Alerts {
		if a.Firing {
			firing = append(firing, a.Rule)
		}
	}
	paged := i.Paged
	return ExpIncident{Target: i.Target.Name, Phase: i.Phase, Severity: i.Severity, Rules: firing, Paged: &paged}
}

func (e ExpIncident) fits(got ExpIncident) bool {
	return e.Target == got.Target && either(e.Phase, got.Phase) && either(e.Severity, got.Severity) &&
		(e.Paged == nil || *e.Paged == *got.Paged) &&
		(e.Rules == nil || slices.Equal(slices.Sorted(slices.Values(e.Rules)), slices.Sorted(slices.Values(got.Rules))))
}

// either: what is not said is not looked at.
func either[T ~string](want, got T) bool { return want == "" || want == got }

// op is an action with the verdict on it, as far as there is one.
func (p *played) op(d done) ExpOp {
	out := ExpOp{Target: d.plan.Target.Name, Action: d.plan.Action, Summary: Pattern(d.plan.Summary)}
	for _, i := range p.incidents {
		if i.Op != nil && i.Op.ID == d.id {
			out.Rule = i.Op.Rule
		}
		for _, a := range i.Attempts {
			if a.OpID == d.id {
				out.Rule, out.Verdict = a.Rule, a.Verdict
			}
		}
	}
	return out
}

func (e ExpOp) fits(got ExpOp) bool {
	return e.Target == got.Target && either(e.Action, got.Action) && e.Summary.fits(got.Summary) &&
		either(e.Rule, got.Rule) && either(e.Verdict, got.Verdict)
}

func (e ExpPage) fits(got ExpPage) bool {
	return e.Target == got.Target && either(e.Severity, got.Severity) && e.Reason.fits(got.Reason)
}

// guard looks for what a guard said of the last plan for a target.
func (p *played) guard(all *failures, x PolicyTest, want ExpGuard) {
	var last *incident.Incident
	for _, id := range p.order {
		if i := p.incidents[id]; i.Target.Name == want.Target {
			last = &i
		}
	}
	if last == nil || len(last.Answers) == 0 {
		all.add(x.EvalTime, "exp_guards: nothing was planned for %s yet, so no guard was evaluated", want.Target)
		return
	}
	var names []string
	for _, a := range last.Answers {
		names = append(names, a.Guard)
		if a.Guard != want.Guard {
			continue
		}
		hold := cmp.Or(a.Hold, "pass")
		if !either(want.Hold, hold) || !want.Reason.fits(Pattern(a.Reason)) {
			all.add(x.EvalTime, "exp_guards: %s on %q: want %s, and got:\n- {target: %s, guard: %s, hold: %s, "+
				"reason: %q}", want.Guard, last.Considered,
				strings.TrimSpace(string(want.Hold)+" "+string(want.Reason)), want.Target, a.Guard, hold, a.Reason)
		}
		return
	}
	all.add(x.EvalTime, "exp_guards: %s was not asked about %q; asked were %s", want.Guard, last.Considered,
		strings.Join(names, ", "))
}
