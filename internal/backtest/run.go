package backtest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"watchdog.io/watchdog/internal/history"
	"watchdog.io/watchdog/internal/replay"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/policy"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/rules"
)

// Options say what is replayed.
type Options struct {
	Config     *config.Config
	Source     *history.Source
	Begin, End time.Time
	// Progress is told how much is done, now and then. May be nil.
	Progress func(done, of time.Duration)
}

// Run plays the history between Begin and End to the policy.
func Run(ctx context.Context, o Options) (*Report, error) {
	compiled, err := policy.New(o.Config)
	if err != nil {
		return nil, err
	}
	every := time.Duration(o.Config.EvaluationInterval)
	begin, end := o.Begin.UTC().Truncate(every), o.End.UTC()
	if !end.After(begin) {
		return nil, fmt.Errorf("the end %s is not after the beginning %s", end.Format(time.RFC3339),
			begin.Format(time.RFC3339))
	}
	groups := slices.Concat(compiled.Groups, compiled.SLOs)
	past := o.Source.Relive(groups, policy.Retention(compiled.Rules, groups), end)
	defer past.Wait()
	k := newKeeper(o.Config, compiled, begin)
	life, err := replay.New(replay.Options{
		Config: o.Config, Begin: begin, Local: k.counted(past.Local), Remote: k.counted(past.Remote),
		Pages: past.Pages, Append: past.Append,
		Judged: k.judged, Notified: k.notified, Did: k.did,
	})
	if err != nil {
		return nil, err
	}
	const stride = time.Hour
	for at := begin; at.Before(end); {
		at = at.Add(stride)
		if at.After(end) {
			at = end
		}
		life.Until(at)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if o.Progress != nil {
			o.Progress(at.Sub(begin), end.Sub(begin))
		}
	}
	for _, i := range life.Incidents() {
		k.notified(end, i)
	}
	if v := life.Violations(); len(v) > 0 {
		return nil, fmt.Errorf("watchdog broke a promise of its own, which is a bug: %s after %s: %s", v[0].Invariant,
			v[0].At, v[0].Text)
	}
	switch {
	case k.seen.Load() || len(k.policy.Rules)+len(groups) == 0:
	case k.failures > 0:
		return nil, fmt.Errorf("no question could be answered, one of them: %s", k.failed)
	default:
		// Bounds would hold on nothing at all.
		return nil, fmt.Errorf("the history has nothing that the rules ask for between %s and %s%s",
			begin.Format(time.RFC3339), end.Format(time.RFC3339), o.Source.Extent())
	}
	return k.report(o.Source.Name, end), nil
}

// keeper keeps count while the past is lived through again.
type keeper struct {
	config *config.Config
	policy *policy.Policy
	begin  time.Time
	first  bool // the first evaluation was seen

	rules     map[string]*Rule
	alerts    map[string]map[string]*alert // by target and rule
	incidents map[string]*Incident
	planned   map[string]map[string]bool // by incident: plan and guard that were counted
	guards    map[held]*Guard
	actions   []Action
	ops       map[string]int // into actions
	pages     []Page
	mu        sync.Mutex // of what questions count: they are asked two at once
	failures  int
	failed    string
	seen      atomic.Bool // some question had an answer
}

// alert is what is known of one rule on one target.
type alert struct {
	state   rules.AlertState
	unknown bool
	since   time.Time // of unknown
	fired   time.Time
}

type held struct {
	guard string
	hold  incident.Hold
}

func newKeeper(c *config.Config, p *policy.Policy, begin time.Time) *keeper {
	return &keeper{
		config: c, policy: p, begin: begin, rules: map[string]*Rule{}, alerts: map[string]map[string]*alert{},
		incidents: map[string]*Incident{},
		planned:   map[string]map[string]bool{}, guards: map[held]*Guard{}, ops: map[string]int{},
	}
}

// counted counts the questions that the source could not answer.
func (k *keeper) counted(ask promql.QueryFunc) promql.QueryFunc {
	return func(ctx context.Context, expr string, at time.Time) ([]promql.Point, error) {
		points, err := ask(ctx, expr, at)
		if err != nil && !promql.Warned(err) {
			k.mu.Lock()
			k.failures++
			if text := err.Error(); k.failed == "" || text < k.failed {
				k.failed = text // one of them, the same each time
			}
			k.mu.Unlock()
		}
		if len(points) > 0 {
			k.seen.Store(true)
		}
		return points, err
	}
}

// judged follows the alerts of the targets with news.
func (k *keeper) judged(at time.Time, targets []string, m *rules.Manager) {
	if !k.first {
		k.first = true
		for _, t := range k.config.Targets {
			targets = append(targets, t.Name)
		}
		slices.Sort(targets)
		targets = slices.Compact(targets)
	}
	for _, t := range targets {
		now := m.AlertsOf(t)
		if k.alerts[t] == nil {
			k.alerts[t] = map[string]*alert{}
		}
		for _, a := range now {
			k.follow(at, a)
		}
		for name, old := range k.alerts[t] {
			if !slices.ContainsFunc(now, func(a rules.Alert) bool { return a.Rule == name }) {
				k.end(name, old, at)
				delete(k.alerts[t], name)
			}
		}
	}
}

func (k *keeper) follow(at time.Time, a rules.Alert) {
	r := k.rule(a.Rule)
	old := k.alerts[a.Target][a.Rule]
	if old == nil {
		old = &alert{state: rules.Inactive}
		k.alerts[a.Target][a.Rule] = old
	}
	unknown := incident.Verdict(a.Verdict).Unknown()
	switch {
	case unknown && !old.unknown:
		old.since = at
	case !unknown && old.unknown:
		r.Unknown += Span(at.Sub(old.since))
	}
	old.unknown = unknown
	switch {
	case a.State == rules.Firing && old.state != rules.Firing:
		old.fired = at
		r.Firings++
		r.targets[a.Target] = true
	case a.State != rules.Firing && old.state == rules.Firing:
		r.Firing += Span(at.Sub(old.fired))
	}
	old.state = a.State
}

// end closes what is open of an alert.
func (k *keeper) end(rule string, a *alert, at time.Time) {
	r := k.rule(rule)
	if a.unknown {
		r.Unknown += Span(at.Sub(a.since))
	}
	if a.state == rules.Firing {
		r.Firing += Span(at.Sub(a.fired))
	}
	a.unknown, a.state = false, rules.Inactive
}

func (k *keeper) rule(name string) *Rule {
	if k.rules[name] == nil {
		k.rules[name] = &Rule{Rule: name, targets: map[string]bool{}}
	}
	return k.rules[name]
}

// notified follows an incident: every guard's answers, and the page.
func (k *keeper) notified(at time.Time, i incident.Incident) {
	in := k.incidents[i.ID]
	if in == nil {
		in = &Incident{ID: fmt.Sprintf("%d", len(k.incidents)+1), Target: i.Target.Name, Opened: i.OpenedAt.UTC()}
		k.incidents[i.ID] = in
		k.planned[i.ID] = map[string]bool{}
	}
	in.Severity, in.Phase = i.Severity, i.Phase
	if !i.ResolvedAt.IsZero() {
		in.Resolved = i.ResolvedAt.UTC()
	}
	for _, a := range i.Alerts {
		if !slices.Contains(in.Rules, a.Rule) {
			in.Rules = append(in.Rules, a.Rule)
		}
	}
	for _, a := range i.Answers {
		key := i.Considered + "\x00" + a.Guard + "\x00" + string(a.Hold)
		if a.Hold == "" || k.planned[i.ID][key] {
			continue
		}
		k.planned[i.ID][key] = true
		h := held{a.Guard, a.Hold}
		if k.guards[h] == nil {
			k.guards[h] = &Guard{Guard: a.Guard, Hold: a.Hold, Example: a.Reason}
		}
		k.guards[h].Count++
		if a.Hold == incident.Advise {
			k.actions = append(k.actions, Action{At: at.UTC(), Incident: in.ID, Target: i.Target.Name,
				Action: i.ConsideredAction, Summary: cmp.Or(i.Considered, a.Reason), Would: true})
		}
	}
	for _, t := range i.Attempts {
		if n, ok := k.ops[t.OpID]; ok {
			k.actions[n].Verdict, k.actions[n].Rule, k.actions[n].Incident = t.Verdict, t.Rule, in.ID
		}
	}
	if i.Paged && in.Paged.IsZero() {
		in.Paged = at.UTC()
		k.pages = append(k.pages, Page{At: at.UTC(), Incident: in.ID, Target: i.Target.Name, Severity: i.Severity,
			Reason: i.PageReason})
	}
}

func (k *keeper) did(at time.Time, id string, p incident.Plan) {
	k.ops[id] = len(k.actions)
	k.actions = append(k.actions, Action{At: at.UTC(), Target: p.Target.Name, Action: p.Action, Summary: p.Summary,
		namespace: p.Target.Namespace})
}

// report draws up what was counted.
func (k *keeper) report(source string, end time.Time) *Report {
	for _, t := range slices.Sorted(maps.Keys(k.alerts)) {
		for _, name := range slices.Sorted(maps.Keys(k.alerts[t])) {
			k.end(name, k.alerts[t][name], end)
		}
	}
	r := &Report{Config: k.config.File, Mode: k.config.Mode, Source: source, Begin: k.begin, End: end,
		Targets: len(k.config.Targets), Failures: k.failures, Failed: k.failed,
		Rules: []Rule{}, Incidents: []Incident{}, Actions: k.actions, Guards: []Guard{}, Pages: k.pages}
	if r.Actions == nil {
		r.Actions = []Action{}
	}
	if r.Pages == nil {
		r.Pages = []Page{}
	}
	for _, x := range k.policy.Rules {
		k.rule(x.Name)
	}
	for _, g := range slices.Concat(k.policy.Groups, k.policy.SLOs) {
		for _, n := range g.AlertNames() {
			k.rule(n)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(k.rules)) {
		x := k.rules[name]
		x.Targets = len(x.targets)
		r.Rules = append(r.Rules, *x)
	}
	for _, i := range k.incidents {
		slices.Sort(i.Rules)
		r.Incidents = append(r.Incidents, *i)
	}
	slices.SortFunc(r.Incidents, func(a, b Incident) int {
		return cmp.Or(a.Opened.Compare(b.Opened), cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	for _, g := range k.guards {
		r.Guards = append(r.Guards, *g)
	}
	slices.SortFunc(r.Guards, func(a, b Guard) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Guard, b.Guard), cmp.Compare(a.Hold, b.Hold))
	})
	r.Budget = k.budget()
	return r
}

// budget finds the most that was used of each limit.
func (k *keeper) budget() []Budget {
	b := k.config.Budget
	peak := func(name string, rate config.Rate, of func(Action) string) Budget {
		out := Budget{Limit: name, Of: rate.Count, Per: Span(rate.Per)}
		recent := map[string][]time.Time{}
		for _, a := range k.actions {
			if a.Would || a.Action == incident.ActionRevert {
				continue
			}
			who := of(a)
			recent[who] = append(slices.DeleteFunc(recent[who],
				func(t time.Time) bool { return a.At.Sub(t) >= time.Duration(rate.Per) }), a.At)
			if n := len(recent[who]); n > out.Peak {
				out.Peak, out.At, out.Who = n, a.At, who
			}
		}
		return out
	}
	return []Budget{
		peak("per_target", b.PerTarget, func(a Action) string { return a.Target }),
		peak("per_namespace", b.PerNamespace, func(a Action) string { return a.namespace }),
		peak("cluster", b.Cluster, func(Action) string { return "" }),
	}
}
