package sim

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// museumFiles are accidents of other systems, each as the scenario that it would
// be here.
//
//go:embed museum/*.yaml
var museumFiles embed.FS

// Exhibit is one accident: what happened, the nearest thing that can happen to
// watchdog, and what a careful operator would demand of it then. That no action is
// harmful, no invariant broken and no curable trouble missed is demanded always.
type Exhibit struct {
	ID, Title  string
	Happened   string
	Source     string
	Here       string
	Invariants []string
	Replicas   int
	Length     time.Duration
	Targets    []exhibitTarget
	Policy     exhibitPolicy
	Faults     Faults
	Happens    []exhibitHappening
	Expect     Expect
	// Pending says why watchdog does not do yet what is demanded.
	Pending string
}

// exhibitTarget stands for Count targets, called name-1, name-2 and so on.
type exhibitTarget struct {
	Target `yaml:",inline"`
	Count  int
}

// exhibitHappening comes to every target that matches the pattern, to one after
// the other if Every is set.
type exhibitHappening struct {
	Happening `yaml:",inline"`
	Every     time.Duration
}

// exhibitPolicy is where a scenario departs from the runbook's.
type exhibitPolicy struct {
	Mode incident.Mode
	// Ladders by rule; an empty one: there is no such rule.
	Ladders map[string][]incident.Action
	// Scale replaces what every scale rung asks for.
	Scale struct {
		By      string
		AtLeast int `yaml:"at_least"`
	}
	Lease   time.Duration
	Suspect time.Duration
}

// Expect is what must come out.
type Expect struct {
	Effects Between            // in total; leases taken back are none
	Actions map[string]Between // by action
	On      map[string]Between // effects by target
	Pages   Between            // incidents for which somebody was called
	Paged   []string           // somebody heard of these, in a page of their own or in one for all
	PagedBy time.Duration      `yaml:"paged_by"` // the latest moment for those
	After   time.Duration      // the earliest moment for an effect
	Within  time.Duration      // mean time from the cause to the action that cures it
	Apart   time.Duration      // between the starts of two actions that disturb pods
	Left    map[string]int     // replicas at the end
	Says    []string           // reasons that must be told on some incident
	// Evidence demands that it is taken before pods are disturbed.
	Evidence bool
	// Size is how many bytes the largest incident may have.
	Size int
}

// Between is a number in a file: 0, 1-3 or 2- (two or more). The zero value is any.
type Between struct {
	set         bool
	least, most int // most < 0: no limit
}

// UnmarshalYAML reads the forms of a span.
func (s *Between) UnmarshalYAML(n *yaml.Node) error {
	low, high, isRange := strings.Cut(n.Value, "-")
	s.set, s.most = true, -1
	if _, err := fmt.Sscan(low, &s.least); err != nil {
		return fmt.Errorf("line %d: %q is no number of things: write 0, 1-3 or 2-", n.Line, n.Value)
	}
	if !isRange {
		s.most = s.least
	} else if high != "" {
		if _, err := fmt.Sscan(high, &s.most); err != nil {
			return fmt.Errorf("line %d: %q is no number of things: write 0, 1-3 or 2-", n.Line, n.Value)
		}
	}
	return nil
}

func (s Between) holds(n int) bool { return !s.set || n >= s.least && (s.most < 0 || n <= s.most) }

func (s Between) String() string {
	switch {
	case s.most < 0:
		return fmt.Sprintf("at least %d", s.least)
	case s.most == s.least:
		return fmt.Sprint(s.least)
	}
	return fmt.Sprintf("%d to %d", s.least, s.most)
}

// Museum returns the exhibits by id.
func Museum() ([]Exhibit, error) {
	files, err := museumFiles.ReadDir("museum")
	if err != nil {
		return nil, err
	}
	var all []Exhibit
	for _, f := range files {
		b, err := museumFiles.ReadFile("museum/" + f.Name())
		if err != nil {
			return nil, err
		}
		x, err := readExhibit(b)
		if err != nil {
			return nil, fmt.Errorf("museum/%s: %w", f.Name(), err)
		}
		all = append(all, x)
	}
	return all, nil
}

func readExhibit(b []byte) (Exhibit, error) {
	x := Exhibit{Replicas: 2, Length: time.Hour}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&x); err != nil {
		return x, err
	}
	if err := d.Decode(&x); !errors.Is(err, io.EOF) {
		return x, fmt.Errorf("one accident is one document")
	}
	return x, x.check()
}

// check finds what would make a scenario say something else than it seems to.
func (x Exhibit) check() error {
	if x.ID == "" || x.Title == "" || x.Happened == "" || x.Source == "" || x.Here == "" || len(x.Invariants) == 0 ||
		len(x.Targets) == 0 || len(x.Happens) == 0 {
		return fmt.Errorf("id, title, happened, source, here, invariants, targets and happens must be given")
	}
	s := x.Scenario(0)
	known := func(pattern string) bool {
		return slices.ContainsFunc(s.Targets, func(t Target) bool { return matches(pattern, t.Name) })
	}
	for _, h := range x.Happens {
		switch {
		case word(h.What) == nil:
			return fmt.Errorf("%q is no happening", h.What)
		case h.Target != "" && !known(h.Target):
			return fmt.Errorf("%s: there is no target %s", h.What, h.Target)
		case h.At > x.Length:
			return fmt.Errorf("%s at %s is after the end", h.What, h.At)
		}
	}
	for _, t := range slices.Concat(slices.DeleteFunc(slices.Clone(x.Expect.Paged),
		func(t string) bool { return t == incident.Self }), sorted(x.Expect.On), sorted(x.Expect.Left)) {
		if !known(t) {
			return fmt.Errorf("expect: there is no target %s", t)
		}
	}
	return nil
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// Scenario is what the simulator plays.
func (x Exhibit) Scenario(seed uint64) *Scenario {
	s := &Scenario{Name: x.ID, Seed: seed, Length: x.Length, Replicas: x.Replicas, Policy: x.Policy.policy(),
		Faults: x.Faults}
	for _, t := range x.Targets {
		s.Targets = append(s.Targets, t.all()...)
	}
	for _, h := range x.Happens {
		if h.Target == "" {
			s.Happens = append(s.Happens, h.Happening)
			continue
		}
		n := time.Duration(0)
		for _, t := range s.Targets {
			if matches(h.Target, t.Name) {
				one := h.Happening
				one.Target, one.At = t.Name, h.At+n*h.Every
				s.Happens = append(s.Happens, one)
				n++
			}
		}
	}
	return s
}

func (t exhibitTarget) all() []Target {
	one := t.Target
	if one.Namespace == "" {
		one.Namespace = "prod"
	}
	if one.Replicas == 0 {
		one.Replicas = 4
	}
	if one.Rollout == 0 {
		one.Rollout = 20 * time.Second
	}
	if t.Count == 0 {
		return []Target{one}
	}
	var all []Target
	for k := range t.Count {
		next := one
		next.Name = fmt.Sprintf("%s-%d", t.Name, k+1)
		all = append(all, next)
	}
	return all
}

// policy is the runbook's ladders, with the limits and guards that ship.
func (x exhibitPolicy) policy() *Policy {
	p := &Policy{Mode: incident.Auto, Core: incident.DefaultPolicy(),
		Settings: remediate.Settings{AvailabilityFloor: 0.5, MaxUnhealthy: 0.3, SuspectWindow: 30 * time.Minute,
			GoodAfter: 10 * time.Minute, HumanChange: 10 * time.Minute, OwnChange: time.Hour,
			StartupGrace: 5 * time.Minute, MaxReplicas: 50, StaleAfter: 15 * time.Second},
		Limits: incident.Limits{PerTarget: incident.Rate{Count: 3, Per: time.Hour},
			PerNamespace: incident.Rate{Count: 5, Per: time.Hour}, Cluster: incident.Rate{Count: 10, Per: time.Hour},
			Concurrent: 2, Cooldown: 5 * time.Minute,
			Quarantine: incident.Rate{Count: 3, Per: 6 * time.Hour}, MinInterval: 10 * time.Second},
	}
	if x.Mode != "" {
		p.Mode = x.Mode
	}
	if x.Suspect > 0 {
		p.Settings.SuspectWindow = x.Suspect
	}
	const clear = 2 * time.Minute
	for _, r := range []struct {
		rule   Rule
		single string
		ladder []incident.Action
	}{
		{threshold("error_rate", "P1", "app", 0.05, true, "ratio", 2*time.Minute, clear),
			"", []incident.Action{"capture", "rollback", "page"}},
		{threshold("response_time", "P1", "app", 0.5, true, "seconds", time.Minute, clear),
			"", []incident.Action{"capture", "scale", "rollback", "page"}},
		{threshold("active_agents", "P1", "app", 2, false, "", 2*time.Minute, clear),
			"", []incident.Action{"capture", "restart", "rollback", "page"}},
		{threshold("memory", "P2", "kubernetes", 0.9, true, "ratio", 2*time.Minute, clear),
			"the kubelet is the only witness", []incident.Action{"capture", "restart", "page"}},
		{threshold("crash_looping", "P1", "kubernetes", 0, true, "", time.Minute, clear),
			"Kubernetes is the only witness", []incident.Action{"capture", "rollback", "page"}},
		{threshold("dependency", "P1", "app", 0, true, "", time.Minute, clear),
			"", []incident.Action{"capture", "page"}},
	} {
		if own, given := x.Ladders[r.rule.Metric]; given {
			r.ladder = own
		}
		if len(r.ladder) == 0 {
			continue
		}
		p.add(r.rule, r.single, r.ladder...)
		x.bend(&p.Rules[len(p.Rules)-1])
	}
	return p
}

func (x exhibitPolicy) bend(r *Rule) {
	for k := range r.Options {
		if x.Scale.By != "" || x.Scale.AtLeast > 0 {
			r.Options[k].By, r.Options[k].AtLeast = x.Scale.By, x.Scale.AtLeast
		}
		if x.Lease > 0 {
			r.Options[k].Lease = x.Lease
		}
	}
}

// Visit is what became of an exhibit in one run.
type Visit struct {
	Result
	Actions map[string]int // by action
	Wrong   []string       // what was demanded and did not come out
}

// Play plays the exhibit once.
func (x Exhibit) Play(seed uint64) Visit {
	s := x.Scenario(seed)
	w := play(s, nil)
	v := Visit{Result: Result{Scenario: s, Score: w.score.Score, Violations: w.oracle.violations},
		Actions: map[string]int{}}
	on := map[string]int{}
	for _, e := range w.oracle.effects {
		if !e.revert() {
			v.Actions[string(e.plan.Action)]++
			on[e.app.name]++
		}
	}
	wrong := func(format string, args ...any) { v.Wrong = append(v.Wrong, fmt.Sprintf(format, args...)) }
	for _, b := range v.Violations {
		wrong("%s is broken after %s: %s", b.Invariant, b.At.Round(time.Second), b.Text)
	}
	if v.Score.Harmful > 0 {
		wrong("%d harmful actions", v.Score.Harmful)
	}
	if v.Score.Missed > 0 {
		wrong("%d failures with neither action nor notification", v.Score.Missed)
	}
	x.Expect.counts(v, on, wrong)
	x.Expect.calls(w, wrong)
	x.Expect.rest(w, wrong)
	return v
}

func (x Expect) counts(v Visit, on map[string]int, wrong func(string, ...any)) {
	if !x.Effects.holds(v.Score.Effects) {
		wrong("%d effects, want %s", v.Score.Effects, x.Effects)
	}
	if !x.Pages.holds(v.Score.Pages) {
		wrong("%d pages, want %s", v.Score.Pages, x.Pages)
	}
	for _, a := range sorted(x.Actions) {
		if want := x.Actions[a]; !want.holds(v.Actions[a]) {
			wrong("%d times %s, want %s", v.Actions[a], a, want)
		}
	}
	for _, pattern := range sorted(x.On) {
		n := 0
		for _, t := range v.Scenario.Targets {
			if matches(pattern, t.Name) {
				n += on[t.Name]
			}
		}
		if want := x.On[pattern]; !want.holds(n) {
			wrong("%d effects on %s, want %s", n, pattern, want)
		}
	}
	if mean := v.Score.Acted / time.Duration(max(1, v.Score.Cured)); x.Within > 0 &&
		(v.Score.Cured == 0 || mean > x.Within) {
		wrong("%d cures, after %s on average, want %s at most", v.Score.Cured, mean.Round(time.Second), x.Within)
	}
}

func (x Expect) calls(w *World, wrong func(string, ...any)) {
	for _, t := range x.Paged {
		i := slices.IndexFunc(w.oracle.calls, func(c call) bool {
			return matches(t, c.target) ||
				c.target == incident.Self
		})
		switch {
		case i < 0:
			wrong("nobody was paged for %s", t)
		case x.PagedBy > 0 && w.oracle.calls[i].at > x.PagedBy:
			wrong("somebody was paged for %s after %s, want %s at the latest", t,
				w.oracle.calls[i].at.Round(time.Second), x.PagedBy)
		}
	}
}

func (x Expect) rest(w *World, wrong func(string, ...any)) {
	var last effect
	for _, e := range w.oracle.effects {
		if at := e.at.Sub(e.app.w.epoch); at < x.After {
			wrong("%s after %s, want nothing before %s", e.plan.Summary, at.Round(time.Second), x.After)
		}
		if e.plan.Class < incident.C3 {
			continue
		}
		if gap := e.at.Sub(last.at); x.Apart > 0 && last.app != nil && last.app != e.app && gap < x.Apart {
			wrong("%s comes %s after %s, want %s between them", e.plan.Summary, gap.Round(time.Second),
				last.plan.Summary, x.Apart)
		}
		if x.Evidence && !slices.ContainsFunc(w.mishaps.taken, func(t evidence) bool {
			return t.target == e.app.name && !t.at.After(e.at) && e.at.Sub(t.at) < 5*time.Minute
		}) {
			wrong("%s without evidence", e.plan.Summary)
		}
		last = e
	}
	for _, t := range sorted(x.Left) {
		if have := w.byName[t].replicas; have != x.Left[t] {
			wrong("%s is left with %d replicas, want %d", t, have, x.Left[t])
		}
	}
	for _, text := range x.Says {
		if !w.reports(text) {
			wrong("no incident says %q", text)
		}
	}
	for _, id := range sorted(w.oracle.last) {
		if b, err := json.Marshal(w.oracle.last[id]); x.Size > 0 && (err != nil || len(b) > x.Size) {
			wrong("incident %s has %d bytes, want %d at most", id, len(b), x.Size)
		}
	}
}

// reports says whether the text is on some incident's timeline.
func (w *World) reports(text string) bool {
	for _, i := range w.oracle.last {
		if slices.ContainsFunc(i.Timeline, func(t incident.Entry) bool { return strings.Contains(t.Text, text) }) {
			return true
		}
	}
	return false
}
