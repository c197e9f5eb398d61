package rules

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
)

// TargetFunc says which target labels mean, and whether it is one that is
// watched; others have a name too. It answers from memory, looks at alertname and
// the labels in TargetLabels only, and says the same of the same labels as long
// as neither the configuration nor the cluster changes.
type TargetFunc func(labels.Labels) (target string, watched bool)

// TargetLabels are the labels that say of which target a series is.
var TargetLabels = []string{storage.TargetLabel,
	"namespace", "deployment", "statefulset", "daemonset", "pod", "service",
	"exported_namespace", "exported_deployment", "exported_statefulset", "exported_daemonset", "exported_pod",
	"exported_service"}

var targetLabels = strings.Join(TargetLabels, ", ")

// ruleState is a rule of a group and what became of it. What an
// evaluation leaves is written by the group's evaluation alone, under Manager.mu.
type ruleState struct {
	Rule
	expr   string // a scalar is asked for as a vector
	cond   *promql.Comparison
	needed []string // selectors without which the expression gives nothing
	alive  []string // what must have data for silence to mean something
	reach  time.Duration
	span   time.Duration // how far the expression looks back
	// renames: its own labels may say of which target its alerts are.
	renames bool
	// title is the name under which its alerts are told apart: see showNames.
	title string

	active   map[uint64]Instance
	seeded   map[uint64]Instance // brought back after a restart, and not evaluated since
	ended    map[string]ending   // by target
	alerts   map[string]Alert    // by target: what the engine is shown, the ended ones too
	recorded map[uint64]labels.Labels
	counted  counted
	silence  silence                // as far as it is known
	seenOf   map[string]pageTargets // by question about the newest samples
	err      error
	failing  time.Time // of the first evaluation in a row that failed
	at       time.Time
	took     time.Duration
}

func newRuleState(r Rule) (*ruleState, error) {
	tree, err := promql.NewParser().ParseExpr(r.Expr)
	if err != nil {
		return nil, fmt.Errorf("rule %q: expr %s: %w", r.Alert+r.Record, promql.Brief(r.Expr), err)
	}
	s := &ruleState{Rule: r, title: r.Alert, expr: r.Expr, cond: promql.TopComparison(tree), alerts: map[string]Alert{},
		ended: map[string]ending{}}
	r.Labels.Range(func(l labels.Label) { s.renames = s.renames || slices.Contains(TargetLabels, l.Name) })
	if tree.Type() == parser.ValueTypeScalar {
		s.expr = "vector(" + r.Expr + ")"
	}
	s.reach = promql.LooksBackTo(tree)
	s.needed = slices.Compact(slices.Sorted(slices.Values(promql.Needed(tree))))
	return s, nil
}

// name is the rule's alert or record.
func (r *ruleState) name() string { return r.Alert + r.Record }

// question is one evaluation's way of asking, at one moment.
type question struct {
	ctx    context.Context
	ask    promql.QueryFunc
	at     time.Time // of the evaluation
	offset time.Duration
	target TargetFunc
	limit  time.Duration // the greatest age of a sample that may lead to an action
	expand expander
	source string
	pages  PageFunc // nil: no answers are known ahead
}

func (q *question) query(expr string) ([]promql.Point, error) {
	return q.ask(q.ctx, expr, q.at.Add(-q.offset))
}

// see asks the rule's expression and returns the alerts that it means now.
func (r *ruleState) see(q *question) (map[uint64]Instance, error) {
	points, err := q.query(r.expr)
	if err != nil {
		return nil, err
	}
	now := make(map[uint64]Instance, len(points))
	for _, p := range points {
		a := q.expand.instance(&r.Rule, p)
		id := a.Labels.Hash()
		if _, twice := now[id]; twice {
			return nil, errSameLabels
		}
		a.Target, a.Watched = q.target(a.Labels)
		now[id] = a
	}
	return now, nil
}

// missing returns how to tell what is seen of an alert that the expression gave
// no more: the value under its condition, or else data of its target in each metric
// that the expression cannot do without. It asks only if there is such an alert,
// and each question once.
func (r *ruleState) missing(q *question) func(Instance) sight {
	m := &missing{r: r, q: q, seen: map[string]targetsSeen{}, up: map[string]bool{}}
	return m.sight
}

type missing struct {
	r       *ruleState
	q       *question
	values  map[uint64]float64 // of what the condition compares, by series
	targets map[string]bool    // that have such a value
	asked   bool
	err     error
	seen    map[string]targetsSeen // by selector
	up      map[string]bool        // by selector of up
}

// targetsSeen are the targets that a selector has data of.
type targetsSeen struct {
	targets map[string]bool
	// vague: there is data, and none of it says of which watched target it is.
	vague bool
}

func (m *missing) sight(a Instance) sight {
	if m.r.cond != nil && !m.asked {
		m.asked = true
		m.compare()
	}
	if m.err == nil {
		if v, ok := m.values[a.Series.Hash()]; ok {
			return sight{verdict: OK, value: v, known: true}
		}
		if m.targets[a.Target] {
			// The series ended, as those of a replaced pod do; others of the target go on.
			return sight{verdict: OK}
		}
	}
	for _, sel := range m.r.alive {
		if m.err != nil {
			break
		}
		if s := m.data(sel); m.err == nil && !s.vague && !s.targets[a.Target] && (a.Watched || len(s.targets) == 0) &&
			!m.silent(sel, a) && m.err == nil {
			return sight{verdict: NoData, reason: fmt.Sprintf("no data for %s: recovery cannot be confirmed",
				promql.Brief(sel))}
		}
	}
	if m.err != nil {
		return sight{verdict: Error, reason: m.err.Error()}
	}
	return sight{verdict: OK}
}

// compare asks for what the condition compares.
func (m *missing) compare() {
	points, err := m.q.query(m.r.cond.Value)
	m.err, m.values, m.targets = err, make(map[uint64]float64, len(points)), map[string]bool{}
	for _, p := range points {
		m.values[p.Labels.Hash()] = p.Value
		t, _ := m.r.targetOf(m.q, p.Labels)
		m.targets[t] = true
	}
}

// data asks of which targets a selector has data.
func (m *missing) data(sel string) targetsSeen {
	s, ok := m.seen[sel]
	if ok {
		return s
	}
	points, err := m.q.query("group by (" + targetLabels + ") (" + sel + ")")
	m.err = err
	s.targets, s.vague = map[string]bool{}, len(points) > 0
	for _, p := range points {
		t, watched := m.r.targetOf(m.q, p.Labels)
		s.targets[t] = true
		s.vague = s.vague && !watched
	}
	m.seen[sel] = s
	return s
}

// targetOf says of which target a series is, with the rule's own labels. What is
// watched by the series' labels alone needs no others.
func (r *ruleState) targetOf(q *question, series labels.Labels) (string, bool) {
	if !r.renames {
		if t, watched := q.target(series); watched {
			return t, true
		}
	}
	return q.target(r.own(series))
}

// own adds the rule's fixed labels to a series', as far as they decide on the target.
func (r *ruleState) own(series labels.Labels) labels.Labels {
	lb := labels.NewBuilder(series)
	lb.Del(model.MetricNameLabel)
	r.Labels.Range(func(l labels.Label) {
		if !strings.Contains(l.Value, "{{") {
			lb.Set(l.Name, l.Value)
		}
	})
	lb.Set(model.AlertNameLabel, r.Alert)
	return lb.Labels()
}

// fresh gives alerts in breach whose newest sample is too old the verdict STALE:
// Prometheus shows a series for five minutes after its last sample.
func (r *ruleState) fresh(q *question, now map[uint64]Instance) {
	if len(now) == 0 {
		return
	}
	wanted := map[string]bool{}
	for _, a := range now {
		wanted[a.Target] = true
	}
	for _, sel := range r.needed {
		newest, any, err := r.newest(q, sel, wanted)
		for id, a := range now {
			if a.Verdict != Breach {
				continue
			}
			at, ok := newest[a.Target]
			if !ok {
				at = any
			}
			switch age := float64(q.at.Add(-q.offset).UnixMilli())/1000 - at; {
			case err != nil:
				a.Verdict, a.Reason = Error, err.Error()
			case math.IsInf(age, 0):
				a.Verdict, a.Reason = Stale, "no sample of "+promql.Brief(sel)
			case age > q.limit.Seconds():
				a.Verdict, a.Reason = Stale, fmt.Sprintf("newest sample of %s is %s old, limit %s", promql.Brief(sel),
					ago(age), short(q.limit))
			case age < -storage.FutureLimit.Seconds():
				a.Verdict, a.Reason = Error, fmt.Sprintf("newest sample of %s is %s ahead of the clock",
					promql.Brief(sel), ago(-age))
			}
			now[id] = a
		}
	}
}

// newest returns when the newest samples of a selector are from, of the targets that are
// wanted and of any.
func (r *ruleState) newest(q *question, sel string, wanted map[string]bool) (newest map[string]float64, any float64,
	err error) {
	newest, any = make(map[string]float64, len(wanted)), math.Inf(-1)
	add := func(target string, at float64) {
		any = max(any, at)
		if old, ok := newest[target]; wanted[target] && (!ok || at > old) {
			newest[target] = at
		}
	}
	expr := "max by (" + targetLabels + ") (timestamp(" + sel + "))"
	if page, k := q.page(expr); page != nil {
		for i, t := range r.targetsOn(page, q, expr) {
			if v := page.Rows[i].Values[k]; !promql.IsNone(v) {
				add(t, v)
			}
		}
		return newest, any, nil
	}
	points, err := q.query(expr)
	for _, p := range points {
		t, _ := r.targetOf(q, p.Labels)
		add(t, p.Value)
	}
	return newest, any, err
}

// adopt returns the alerts as they were before this evaluation, those brought
// back after a restart among them. Of the latter only the target is known: they
// go on as the ones that the expression gives on this target.
func (r *ruleState) adopt(now map[uint64]Instance) map[uint64]Instance {
	active := make(map[uint64]Instance, len(r.active)+len(r.seeded))
	maps.Copy(active, r.active)
	maps.Copy(active, r.seeded)
	r.seeded = nil
	waiting := map[string]uint64{}
	for id, a := range active {
		if a.Series.IsEmpty() && a.State == Firing {
			waiting[a.Target] = id
		}
	}
	found := map[string]bool{}
	for id, a := range now {
		from, ok := waiting[a.Target]
		if !ok || id == from {
			continue
		}
		if _, known := active[id]; !known {
			old := active[from]
			a.State, a.ActiveAt, a.FiredAt = Firing, old.ActiveAt, old.FiredAt
			active[id] = a
		}
		found[a.Target] = true
	}
	for target := range found {
		delete(active, waiting[target])
	}
	return active
}

// endedFor is how long an alert is shown after its end, so that what was done
// about it can be judged; as long as Prometheus goes on sending it.
const endedFor = 15 * time.Minute

// ending is an alert that ended.
type ending struct {
	Instance
	at time.Time
}

// endings returns the alerts that ended lately, those of this evaluation among
// them; a target that has an alert again has none.
func (r *ruleState) endings(next map[uint64]Instance, ended []Instance, at time.Time) map[string]ending {
	all := maps.Clone(r.ended)
	for _, a := range ended {
		all[a.Target] = ending{a, at}
	}
	for _, id := range slices.Sorted(maps.Keys(r.active)) {
		a := r.active[id]
		if _, ok := all[a.Target]; !ok {
			a.State = Inactive // its labels mean another target now, or it ended together with others
			all[a.Target] = ending{a, at}
		}
	}
	for _, a := range next {
		delete(all, a.Target)
	}
	maps.DeleteFunc(all, func(_ string, e ending) bool { return at.Sub(e.at) > endedFor })
	return all
}

// shown turns instances and endings into one alert per target.
func (r *ruleState) shown(source string, next map[uint64]Instance, ended map[string]ending, gone func(Instance) sight,
	at time.Time) map[string]Alert {
	all := map[string]Alert{}
	for target, instances := range byTargetOf(next) {
		all[target] = r.alert(source, instances, at)
	}
	for target, e := range ended {
		s := gone(e.Instance)
		e.Verdict, e.Reason = s.verdict, s.reason
		if s.known {
			e.Value = s.value
		} else if r.cond != nil && s.verdict == OK {
			e.Value = r.cond.Bound // it is not worse than that; more is not known
		}
		all[target] = r.alert(source, []Instance{e.Instance}, at)
	}
	return all
}

// commit takes an evaluation over and returns the targets with news.
func (r *ruleState) commit(next map[uint64]Instance, ended map[string]ending, shown map[string]Alert) (told []string) {
	for _, a := range r.seeded {
		shown[a.Target] = r.alerts[a.Target] // brought back in the meantime
	}
	for target, a := range shown {
		if old := r.alerts[target]; old.State != a.State || old.Verdict != a.Verdict || a.State == Firing {
			told = append(told, target)
		}
	}
	r.active, r.ended, r.alerts = next, ended, shown
	return told
}

// alert sums up the instances of one target.
func (r *ruleState) alert(source string, all []Instance, at time.Time) Alert {
	w := worst(all, r.cond)
	a := Alert{
		Rule: r.title, Target: w.Target, State: w.State, Verdict: w.Verdict, SourceKind: sourceKind(source),
		ActiveAt: w.ActiveAt, FiredAt: w.FiredAt, EvaluatedAt: at, LastDataAt: at, Labels: w.Labels.Map(),
		Annotations: w.Annotations.Map(), Span: r.span, Lookback: r.reach + defaultStaleness,
	}
	firing := 0
	for _, i := range all {
		if i.State == w.State && i.ActiveAt.Before(a.ActiveAt) {
			a.ActiveAt = i.ActiveAt
		}
		if i.State == Firing {
			firing++
			if !labels.Equal(i.Labels, w.Labels) {
				a.Others = append(a.Others, i.Labels)
			}
		}
	}
	switch {
	case r.cond != nil && (r.cond.Above || r.cond.Below):
		a.Value, a.Bound, a.Above = w.Value, r.cond.Bound, r.cond.Above
	default:
		// The expression gives something or nothing; how much says nothing of better or worse.
		a.Bound, a.Above = 0.5, true
		if w.Verdict == Breach {
			a.Value = 1
		}
	}
	a.Reason = r.reason(w, firing)
	return a
}

// reason says in one line where the alert is.
func (r *ruleState) reason(w Instance, firing int) string {
	if w.Verdict.Unknown() {
		return w.Reason
	}
	text := w.Annotations.Get("summary")
	if text == "" {
		text = w.Annotations.Get("description")
	}
	if text == "" {
		text = promql.Brief(r.Expr)
	}
	switch {
	case w.Verdict == OK && r.cond != nil && w.Value != r.cond.Bound:
		return fmt.Sprintf("%s is %s: %s is no longer true", promql.Brief(r.cond.Value), number(w.Value),
			promql.Brief(r.Expr))
	case w.Verdict == OK:
		return promql.Brief(r.Expr) + " returns no result any more"
	case firing > 1:
		return fmt.Sprintf("%s (value %s; %d alerts of this name)", text, number(w.Value), firing)
	}
	return fmt.Sprintf("%s (value %s)", text, number(w.Value))
}

// sourceKind is what kind of witness a rule of the source is.
func sourceKind(source string) string {
	if source == Prometheus {
		return "prometheus"
	}
	return "app"
}
