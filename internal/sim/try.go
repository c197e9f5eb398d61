package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

// Trial is a policy of somebody's own and the targets it is tried on: the first
// is the one that fails.
type Trial struct {
	Policy  *Policy
	Targets []Target
	Seed    uint64
	// Story, if set, keeps what happened, line by line.
	Story bool
}

// Grade sums up a verdict.
type Grade string

// The grades, best first.
const (
	Good     Grade = "good"
	Needless Grade = "needless"
	Missed   Grade = "missed"
	Harmful  Grade = "harmful"
)

// Outcome is what became of one failure. Durations count from when it began.
type Outcome struct {
	Failure string `json:"failure"`
	Target  string `json:"target"`
	About   string `json:"about"`
	Expect  string `json:"expect"`
	// Rule is the one that fired first.
	Rule       string `json:"rule,omitempty"`
	FiredAfter Span   `json:"firedAfter,omitempty"`
	// Actions were taken; Would is the one that a mode kept from being taken.
	Actions []Action `json:"actions,omitempty"`
	Would   string   `json:"would,omitempty"`
	Mode    string   `json:"mode,omitempty"`
	// Paged says that a person must act.
	Paged      bool     `json:"paged"`
	PagedAfter Span     `json:"pagedAfter,omitempty"`
	PageReason string   `json:"pageReason,omitempty"`
	Was        string   `json:"was"` // "bad", or "well" if nothing ever was wrong
	Well       bool     `json:"well"`
	WellAfter  Span     `json:"wellAfter,omitempty"`
	Grade      Grade    `json:"grade"`
	Verdict    string   `json:"verdict"`
	Why        string   `json:"why,omitempty"`
	Story      []string `json:"story,omitempty"`
	// Cured says that an action ended it, whatever else the grade holds against the policy.
	Cured bool `json:"cured,omitempty"`

	metrics []string
	ladder  string // the rule whose ladder asked for a person, if that is all there is to say
	lonely  bool   // one kind of witness alone saw it, when the last plan was made
}

// Action is one thing that was done.
type Action struct {
	After   Span               `json:"after"`
	Action  incident.Action    `json:"action"`
	What    string             `json:"what"` // in the past tense
	Verdict incident.OpVerdict `json:"verdict,omitempty"`
	Rule    string             `json:"rule"`
	Useful  bool               `json:"useful"`
}

// Span is a duration that reads 2m40s, also in JSON and YAML.
type Span time.Duration

// String rounds to the second.
func (s Span) String() string { return time.Duration(s).Round(time.Second).String() }

// MarshalText is String.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*s = Span(d)
	return err
}

// Findings are everything that a trial brought to light.
type Findings struct {
	Outcomes []Outcome `json:"outcomes"`
	Hints    []string  `json:"hints,omitempty"`
}

// Count is how many outcomes have the grade.
func (f Findings) Count(g Grade) int {
	n := 0
	for _, o := range f.Outcomes {
		if o.Grade == g {
			n++
		}
	}
	return n
}

// Try plays the failures on some workers. What it returns does not depend on
// their number. progress is told how many are done.
func (t Trial) Try(failures []Failure, workers int, progress func(done int)) Findings {
	// When the policy fires at a failing release decides when things get in its way.
	first := t.play(Catalogue()[0], 0)
	seen := usual(t.Policy.Settings.GoodAfter) + 3*time.Minute
	if first.Rule != "" {
		seen = usual(t.Policy.Settings.GoodAfter) + time.Duration(first.FiredAfter)
	}
	f := Findings{Outcomes: make([]Outcome, len(failures))}
	next := make(chan int, len(failures))
	for k := range failures {
		next <- k
	}
	close(next)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range workers {
		wg.Go(func() {
			for k := range next {
				f.Outcomes[k] = t.play(failures[k], seen).Outcome
				mu.Lock()
				done++
				progress(done)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	f.Hints = t.hints(f.Outcomes, first.silent)
	return f
}

// played is one failure with what only advice needs.
type played struct {
	Outcome
	silent map[string]string // rules that saw nothing before anything happened, and why
}

// notice is the most that a rule saw of the failing target.
type notice struct {
	held   time.Duration // how long a breach was seen
	silent string        // why it saw nothing before the failure
	fired  bool
}

// watched keeps what the rules made of the first target.
func (w *World) watched(l *lens) {
	if w.noticed == nil {
		return
	}
	began := !w.clock.now.Before(w.began)
	for _, a := range l.rules.AlertsOf(w.apps[0].name) {
		n := w.noticed[a.Rule]
		if n == nil {
			n = &notice{}
			w.noticed[a.Rule] = n
		}
		switch {
		case !began && incident.Verdict(a.Verdict).Unknown():
			n.silent = a.Reason
		case !began:
			n.silent = ""
		case a.State == rules.Firing:
			n.fired = true
		case a.State == rules.Pending:
			n.held = max(n.held, w.clock.now.Sub(a.ActiveAt))
		}
	}
}

// play lets one failure happen and waits for what becomes of it.
func (t Trial) play(f Failure, seen time.Duration) played {
	from := usual(t.Policy.Settings.GoodAfter)
	if f.at > 0 {
		from = f.at
	}
	s := &Scenario{Name: f.Name, Seed: t.Seed, Replicas: max(1, f.replicas), Targets: slices.Clone(t.Targets),
		Policy: t.Policy}
	if f.spec != nil {
		f.spec(&s.Targets[0])
	}
	s.Happens = f.happens(s.Targets[0].Name, from, seen)
	out := Outcome{Failure: f.Name, Target: s.Targets[0].Name, About: f.About, Expect: f.Expect, metrics: f.Metrics}
	var trace func(time.Duration, string)
	if t.Story {
		trace = func(at time.Duration, text string) {
			out.Story = append(out.Story, fmt.Sprintf("%10s  %s", Span(at-from), text))
		}
	}
	w := newWorld(s, trace)
	w.noticed, w.began = map[string]*notice{}, w.epoch.Add(from)
	w.night = map[string]time.Time{w.apps[0].name: w.epoch.Add(from + f.night)}
	if f.night == 0 {
		w.night = nil
	}
	w.clock.run(w.epoch.Add(from))
	last := w.began
	for _, h := range s.Happens {
		last = later(last, w.epoch.Add(h.At))
	}
	until := later(w.began.Add(patience(t.Policy)), last.Add(f.night))
	for w.clock.now.Before(until) && !w.settledSince(last) {
		w.clock.run(w.clock.now.Add(time.Minute))
	}
	w.reckon(&out, f)
	silent := map[string]string{}
	for rule, n := range w.noticed {
		if n.silent != "" {
			silent[rule] = n.silent
		}
	}
	return played{out, silent}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// rest is how long nothing must be wrong and nothing open before a play may end,
// counted from the last happening too.
const rest = 10 * time.Minute

// settledSince reports whether nothing more is to be expected: everybody is well and no
// incident is open, or every open incident is a person's.
func (w *World) settledSince(last time.Time) bool {
	now, a := w.clock.now, w.apps[0]
	if now.Sub(last) < rest {
		return false
	}
	open, theirs := false, true
	for _, s := range w.incidents {
		i := s.value.(incident.Incident)
		if i.Target.Name != a.name || i.Phase == incident.Resolved {
			continue
		}
		open = true
		theirs = theirs && i.Phase == incident.Escalated && now.Sub(i.UpdatedAt) > rest
	}
	if open {
		// A cause that ends by itself is waited for.
		return theirs && (a.sick() == "" || len(a.until) == 0)
	}
	return a.sick() == "" && now.Sub(a.well) > rest && now.Sub(last) > w.scenario.Policy.slow()+rest
}

// slow is the longest that a rule takes from the beginning of trouble to firing.
func (p *Policy) slow() time.Duration {
	var d time.Duration
	if p.Own == nil {
		return d
	}
	for _, r := range p.Rules {
		d = max(d, r.For+r.Window)
	}
	return d
}

// reckon draws up what became of a failure.
func (w *World) reckon(o *Outcome, f Failure) {
	a := w.apps[0]
	since := func(at time.Time) Span { return Span(at.Sub(w.began)) }
	verdicts := map[string]incident.OpVerdict{}
	var last string
	for _, id := range slices.Sorted(maps.Keys(w.incidents)) {
		i := w.incidents[id].value.(incident.Incident)
		if i.Target.Name != a.name {
			continue
		}
		for _, t := range i.Attempts {
			verdicts[t.OpID] = t.Verdict
		}
		worst, _ := remediate.Worst(i.Answers)
		o.lonely = o.lonely || worst.Guard == remediate.CorroborationGuard
		if would, mode := w.advised(i); would != "" {
			o.Would, o.Mode = would, mode
		}
		for _, e := range i.Timeline {
			switch e.Kind {
			case incident.KindFiring:
				if o.Rule == "" {
					o.Rule, o.FiredAfter = e.Rule, since(e.At)
				}
			case incident.KindPaged:
				if !o.Paged {
					o.Paged, o.PagedAfter, o.PageReason, o.Why = true, since(e.At), e.Text, plain(e.Text)
					o.ladder = w.oracle.because[i.ID].ladder
				}
			case incident.KindHeld, incident.KindFrozen, incident.KindSkipped:
				last = plain(e.Text)
			}
		}
	}
	switch {
	case o.Why == "":
		o.Why = last
	case o.ladder != "" && last != "":
		o.Why += "; before that: " + last
	}
	var useless []string
	useful, strong := false, false
	for _, e := range w.oracle.effects {
		if e.app != a || e.revert() {
			continue
		}
		action, _ := remediate.ActionOf(e.plan.Action)
		x := Action{After: since(e.at), Action: e.plan.Action, What: action.Did(e.plan), Verdict: verdicts[e.op],
			Rule: w.oracle.reserved[e.op].Rule,
			Useful: helps(e.plan.Action, e.cause) || e.plan.Action == incident.ActionScale &&
				a.load > busy*float64(e.before)}
		o.Actions = append(o.Actions, x)
		useful = useful || x.Useful
		strong = strong || e.plan.Class >= incident.C3
		if !x.Useful {
			useless = append(useless, x.What)
		}
	}
	o.Was = "bad"
	if a.sick() == "" {
		o.Well = true
		if o.WellAfter = since(a.well); a.well.Before(w.began) {
			o.Was, o.WellAfter = "well", 0
		}
	}
	if useful {
		o.Would, o.Mode = "", "" // another rule did what this one only said
	}
	w.grade(o, f, useful, strong, useless)
}

// busy is the share of their capacity above which more replicas are no waste.
const busy = 0.8

// plain leaves the plan out of what a guard said of it: the table has no room for both.
func plain(text string) string {
	if rest, ok := strings.CutPrefix(text, "not done: "); ok {
		for _, guard := range []string{": hold: ", ": other owner: ", ": corroboration: ", ": human change: ",
			": cooldown: ", ": blind: ", ": max unhealthy: ", ": rollout: ", ": mode: "} {
			if k := strings.Index(rest, guard); k >= 0 {
				return rest[k+2:]
			}
		}
	}
	return strings.TrimPrefix(text, "plan: ")
}

// advised is what a mode kept from being done, and whose mode it is.
func (w *World) advised(i incident.Incident) (would, mode string) {
	hold, _, _ := remediate.Held(i.Answers)
	alert, known := i.Alert(i.ConsideredRule)
	if hold != incident.Advise || !known || slices.ContainsFunc(i.Answers,
		func(a incident.Answer) bool { return a.Hold == incident.Wait }) {
		return "", "" // mode auto would not have done it either
	}
	action, _ := remediate.ActionOf(i.ConsideredAction)
	p := w.scenario.Policy
	of := p.rung
	if p.Own != nil {
		of = p.Own.Setup().Rung
	}
	rung := of(i.Target.Name, alert, slices.IndexFunc(alert.Ladder,
		func(r incident.Rung) bool { return r.Action == i.ConsideredAction }))
	return "would " + action.Verb, string(rung.Mode) + ": " + rung.ModeWhy
}

// helps reports whether an action can end one of the causes.
func helps(action incident.Action, causes string) bool {
	for _, c := range strings.Split(causes, ", ") {
		if slices.Contains(cures[c], action) {
			return true
		}
	}
	return false
}

// grade compares what became of a failure with what is expected.
func (w *World) grade(o *Outcome, f Failure, useful, strong bool, useless []string) {
	set := func(g Grade, format string, args ...any) { o.Grade, o.Verdict = g, fmt.Sprintf(format, args...) }
	notified := o.Paged || o.Would != ""
	cured := func(g Grade, verdict string) { o.Cured, o.Grade, o.Verdict = true, g, verdict }
	switch {
	case len(w.oracle.violations) > 0:
		v := w.oracle.violations[0]
		set(Harmful, "harmful: %s", v.Invariant)
		o.Why = v.Text
	case w.score.Harmful > 0, strong && f.want >= mustNotAct && w.scenario.Policy.Mode == incident.Auto:
		set(Harmful, "harmful: %s", strings.Join(useless, ", "))
	case len(useless) > 0 && !useful:
		set(Needless, "needless: %s", strings.Join(useless, ", "))
	case f.want == mustRest && o.Paged:
		set(Needless, "needless: a person was paged")
	case f.want >= mustNotAct && o.Would != "":
		set(Needless, "needless: %s", o.Would)
	case f.want >= mustNotAct && o.Paged:
		set(Good, "notified")
	case f.want >= mustNotAct:
		set(Good, "nothing to do, nothing done")
	case useful && o.Well && f.want == mustCure && o.Paged && o.PagedAfter > o.WellAfter:
		cured(Needless, "cured, then a needless page")
	case useful && o.Well && f.want == mustCure:
		cured(Good, "cured")
		if len(useless) > 0 {
			o.Verdict += ", after needlessly " + strings.Join(useless, ", ")
		}
		o.Why = ""
	case o.Rule == "":
		set(Missed, "missed: %s", w.unseen())
	case notified:
		set(Good, "notified")
	case useful && o.Well:
		cured(Good, "cured")
	default:
		set(Missed, "missed: %s fired, nothing followed", o.Rule)
	}
}

// unseen says why no rule fired.
func (w *World) unseen() string {
	best := ""
	for rule, n := range w.noticed {
		if n.held > 0 && (best == "" || rule < best) {
			best = rule
		}
	}
	if best != "" {
		return best + " saw it, not for long enough"
	}
	return "no rule saw it"
}
