package rules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
)

// groupState is a group in force. Only one evaluation of it runs at a time.
type groupState struct {
	Group
	rules   []*ruleState
	next    time.Time // of the next evaluation
	at      time.Time // of the last one
	took    time.Duration
	running bool
	hurried bool  // to be evaluated at once
	fault   error // of the source, in the last evaluation
	// loaded is when it came into force, done the last evaluation that ended in time.
	loaded, done time.Time
}

// key of a group, as Prometheus writes it in metrics.
func (g *Group) key() string {
	if g.Manifest != "" {
		return g.File + ";" + g.Manifest + ";" + g.Name
	}
	return g.File + ";" + g.Name
}

// carryGroups takes the alerts of the present groups into the next ones. ended are the
// marks of series that are recorded no more.
func (m *Manager) carryGroups(next []*groupState) (removed []Alert, ended []*model.Sample) {
	for _, old := range m.groups {
		var heir *groupState
		if i := slices.IndexFunc(next, func(n *groupState) bool { return n.key() == old.key() }); i >= 0 {
			heir = next[i]
			heir.goOn(old)
		} else {
			m.groupMetrics.forget(old.key())
		}
		for _, r := range old.rules {
			m.uncount(r)
			if heir.inherit(old, r) {
				continue
			}
			for _, a := range r.alerts {
				if a.State == Firing {
					removed = append(removed, a)
				}
			}
			ended = append(ended, storage.StaleMarkers(r.recorded, m.o.Now())...)
		}
		heir.hurry()
	}
	return removed, ended
}

// goOn takes up the turns of the group's former self; of one that asked another source
// nothing is known.
func (g *groupState) goOn(old *groupState) {
	if g.Source != old.Source {
		return
	}
	g.at, g.next, g.done, g.loaded, g.fault = old.at, old.next, old.done, old.loaded, old.fault
	g.hurried = old.hurried
}

// hurry has the group evaluated at once if it has a rule that was not yet: a corrected
// rule does not wait for the next turn, which may be an hour away.
func (g *groupState) hurry() {
	if g == nil || g.at.IsZero() {
		return
	}
	for _, r := range g.rules {
		g.hurried = g.hurried || r.at.IsZero() && g.evaluates(r)
	}
}

// evaluates reports whether a rule of the group is watchdog's to evaluate: what a server
// records is its own work.
func (g *groupState) evaluates(r *ruleState) bool { return r.Record == "" || g.Source != Prometheus }

// asksAlike reports whether a rule's last evaluation in one group says how it goes in another.
func asksAlike(a, b *Group) bool {
	return a.Source == b.Source && a.QueryOffset == b.QueryOffset && a.Limit == b.Limit
}

// useGroups makes next the groups in force.
func (m *Manager) useGroups(next []*groupState) {
	m.groups = next
	for _, n := range next {
		if n.loaded.IsZero() {
			n.loaded = m.o.Now()
		}
		for _, r := range n.rules {
			m.seedRule(r)
			m.count(r)
		}
	}
	m.showBlind()
}

func (m *Manager) compileGroups(groups []Group) ([]*groupState, error) {
	var errs []error
	var next []*groupState
	for _, x := range groups {
		if m.asker(x.Source) == nil {
			errs = append(errs, fmt.Errorf("%s: group %q: source %s is not configured", x.File, x.Name, x.Source))
			continue
		}
		n := &groupState{Group: x}
		n.Interval = cmp.Or(n.Interval, m.o.Interval)
		for _, r := range x.Rules {
			s, err := newRuleState(r)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s:%d: group %q: %w", x.File, r.Line, x.Name, err))
				continue
			}
			n.rules = append(n.rules, s)
		}
		next = append(next, n)
	}
	for _, source := range []string{Local, Prometheus} {
		trace(next, source)
		spans(next, source)
	}
	showNames(next)
	return next, errors.Join(errs...)
}

// showNames tells rules of one name and different severities apart: the first keeps
// the name, another severity stands behind it. Each has a ladder and a severity of its
// own; as one alert the milder would hide the worse, or its ladder be taken for it.
func showNames(groups []*groupState) {
	first := map[string]string{}
	for _, s := range groups {
		for _, r := range s.rules {
			severity := r.Labels.Get("severity")
			if known, named := first[r.Alert]; !named {
				first[r.Alert] = severity
			} else if severity != known {
				r.title = ShownAs(r.Alert, severity)
			}
		}
	}
}

// ShownAs is the name of an alert that is told apart from others of its name by its severity.
func ShownAs(alert, severity string) string {
	return fmt.Sprintf("%s (%s)", alert, cmp.Or(severity, "no severity"))
}

// trace replaces, in what the rules of a source need, recorded series by what
// they are recorded from: that one of them is missing or fresh says nothing of
// the data behind it.
func trace(groups []*groupState, source string) {
	recorded := map[string][]string{}
	var rules []*ruleState
	for _, s := range groups {
		if s.Source != source {
			continue
		}
		for _, r := range s.rules {
			rules = append(rules, r)
			if r.Record != "" {
				recorded[r.Record] = append(recorded[r.Record], r.needed...)
			}
		}
	}
	for _, r := range rules {
		r.needed = sources(r.needed, recorded, map[string]bool{})
		r.alive = nil
		for _, sel := range r.needed {
			r.alive = append(r.alive, alive(sel))
		}
		slices.Sort(r.alive)
		r.alive = slices.Compact(r.alive)
	}
}

// sources follows recorded series to what they are made of; seen holds the names
// being followed, so that a circle ends.
func sources(selectors []string, recorded map[string][]string, seen map[string]bool) []string {
	var all []string
	for _, sel := range selectors {
		name := promql.MetricName(sel)
		from, ok := recorded[name]
		if !ok || seen[name] {
			all = append(all, sel)
			continue
		}
		seen[name] = true
		all = append(all, sources(from, recorded, seen)...)
		delete(seen, name)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// inherit lets the rule's successor go on where it was; false if there is none.
func (g *groupState) inherit(from *groupState, old *ruleState) bool {
	if g == nil {
		return false
	}
	for _, r := range g.rules {
		if r.name() == old.name() && labels.Equal(r.Labels, old.Labels) && r.active == nil && r.recorded == nil {
			r.active, r.seeded, r.recorded = maps.Clone(old.active), maps.Clone(old.seeded), maps.Clone(old.recorded)
			r.alerts, r.ended = maps.Clone(old.alerts), maps.Clone(old.ended)
			for target, a := range r.alerts {
				a.Rule = r.title
				r.alerts[target] = a
			}
			if r.Expr == old.Expr && asksAlike(&g.Group, &from.Group) {
				r.err, r.failing, r.at, r.took = old.err, old.failing, old.at, old.took
			}
			return true
		}
	}
	return false
}

func (m *Manager) asker(source string) promql.QueryFunc {
	if source == Prometheus {
		return m.o.Remote
	}
	return m.o.Local
}

// eval evaluates one group at the given moment and returns the targets with news.
func (m *Manager) eval(ctx context.Context, s *groupState, at time.Time) []string {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, max(s.Interval, time.Second))
	defer cancel()
	found := news{}
	var fault error
	failures := 0
	m.mu.Lock()
	m.kept.evaluated(false)
	m.mu.Unlock()
	for _, r := range s.rules {
		if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil
		}
		if !s.evaluates(r) || m.nothing(r, s, at) {
			continue
		}
		begun := time.Now()
		q := m.question(ctx, &s.Group, r, at)
		var told []string
		var err error
		if r.Record != "" {
			err = m.record(r, s, q)
		} else {
			told, err = m.alerting(r, s, q)
		}
		if err != nil {
			failures++
			m.unevaluated(s, r, err)
			if errors.Is(err, promql.ErrSource) && fault == nil {
				fault = err
			}
		}
		for _, t := range told {
			found[t] = struct{}{}
		}
		m.mu.Lock()
		if err != nil && (r.err == nil || r.failing.Before(m.source(s.Source).sighted)) {
			r.failing = at
		}
		r.err, r.at, r.took = err, at, time.Since(begun)
		m.mu.Unlock()
	}
	m.mu.Lock()
	s.at, s.took, s.fault = at, time.Since(start), fault
	if ctx.Err() == nil {
		s.done = at
	}
	m.showBlind()
	m.mu.Unlock()
	m.groupMetrics.evaluated(s, at, failures)
	return found.list()
}

func (m *Manager) question(ctx context.Context, s *Group, r *ruleState, at time.Time) *question {
	ask := tolerant(m.asker(s.Source))
	return &question{
		ctx: ctx, ask: ask, at: at, offset: s.QueryOffset, target: m.o.Target,
		limit:  cmp.Or(s.Staleness, m.o.Staleness, stalenessOf(s.Source)),
		source: s.Source, pages: m.o.Pages,
		expand: expander{ctx: ctx, rule: r.Alert, at: at, ask: ask, url: m.url, external: m.o.ExternalLabels},
	}
}

// alerting evaluates an alerting rule. A question that fails changes nothing but
// the verdict.
func (m *Manager) alerting(r *ruleState, s *groupState, q *question) ([]string, error) {
	now, err := r.see(q)
	if err != nil {
		return m.failed(r, q.at, err), err
	}
	r.fresh(q, now)
	m.mu.Lock()
	active := r.adopt(now)
	m.mu.Unlock()
	// What may ask the source is done without the lock: nobody else writes these.
	gone := r.missing(q)
	if m.o.AsPrometheus {
		gone = func(Instance) sight { return sight{verdict: OK} }
	}
	next, ended, err := advance(&r.Rule, s.Limit, active, now, gone, q.at)
	if err != nil {
		m.mu.Lock()
		r.active = nil // as in Prometheus: what is too much is nothing
		m.mu.Unlock()
		return m.failed(r, q.at, err), err
	}
	late := r.endings(next, ended, q.at)
	shown := r.shown(s.Source, next, late, gone, q.at)
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Contains(m.groups, s) {
		return nil, nil // replaced while it was asked
	}
	for target, a := range shown {
		a.Severity = m.o.Severity(a.Labels)
		shown[target] = a
	}
	told := r.commit(next, late, shown)
	m.count(r)
	return told, nil
}

func (m *Manager) failed(r *ruleState, at time.Time, err error) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return r.unseen(err, at)
}

// unseen marks the rule's alerts as not seen.
func (r *ruleState) unseen(err error, at time.Time) (told []string) {
	for target, a := range r.alerts {
		a.Verdict, a.Reason, a.EvaluatedAt = Error, err.Error(), at
		r.alerts[target] = a
		told = append(told, target)
	}
	return told
}

// record evaluates a recording rule and writes its series. A series that is no
// longer given is marked as ended.
func (m *Manager) record(r *ruleState, s *groupState, q *question) error {
	points, err := q.query(r.expr)
	if err != nil {
		return err
	}
	now := make(map[uint64]labels.Labels, len(points))
	samples := make([]*model.Sample, 0, len(points))
	for _, p := range points {
		if p.Histogram {
			return fmt.Errorf("%s gives a histogram; the embedded store holds numbers only", promql.Brief(r.Expr))
		}
		l := record(&r.Rule, p.Labels)
		id := l.Hash()
		if _, twice := now[id]; twice {
			return errors.New("vector contains metrics with the same labelset after applying rule labels")
		}
		now[id] = l
		samples = append(samples, storage.Sample(l, p.Value, q.at.Add(-q.offset)))
	}
	if s.Limit > 0 && len(now) > s.Limit {
		return fmt.Errorf("exceeded limit of %d with %d series", s.Limit, len(now))
	}
	m.mu.Lock()
	if !slices.Contains(m.groups, s) {
		m.mu.Unlock()
		return nil
	}
	gone := maps.Clone(r.recorded)
	r.recorded = now
	m.mu.Unlock()
	maps.DeleteFunc(gone, func(id uint64, _ labels.Labels) bool { _, ok := now[id]; return ok })
	m.o.Append(append(samples, storage.StaleMarkers(gone, q.at.Add(-q.offset))...))
	return nil
}

// seedRule gives a rule the alerts that were brought back for it.
func (m *Manager) seedRule(r *ruleState) {
	for k, a := range m.restored {
		if r.Alert == "" || r.title != k.rule {
			continue
		}
		delete(m.restored, k)
		if r.alerts[k.target].State == Firing {
			continue
		}
		placeholder := Instance{
			Labels: labels.FromMap(map[string]string{model.AlertNameLabel: r.Alert, storage.TargetLabel: k.target}),
			Target: k.target, Watched: true, State: Firing, Value: a.Value,
			ActiveAt: a.ActiveAt, FiredAt: a.FiredAt, Verdict: NoData,
			Reason: "firing before the restart, not evaluated since",
		}
		if r.seeded == nil {
			r.seeded = map[uint64]Instance{}
		}
		r.seeded[placeholder.Labels.Hash()] = placeholder
		shown := r.alert("", []Instance{placeholder}, time.Time{})
		shown.LastDataAt = time.Time{}
		r.alerts[k.target] = shown
	}
}

// worstByName keeps one alert of each name and target: of several rules the one that
// fires speaks.
func worstByName(all []Alert) []Alert {
	slices.SortStableFunc(all, func(a, b Alert) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Rule, b.Rule), cmp.Compare(order(a), order(b)),
			cmp.Compare(a.Severity, b.Severity))
	})
	var first []Alert
	for _, a := range all {
		n := len(first) - 1
		if n < 0 || first[n].Target != a.Target || first[n].Rule != a.Rule {
			first = append(first, a)
			continue
		}
		if a.State == Firing {
			first[n].Others = slices.Concat(first[n].Others, a.Others, []labels.Labels{labels.FromMap(a.Labels)})
		}
	}
	return first
}

func order(a Alert) int {
	switch a.State {
	case Firing:
		return 0
	case Pending:
		return 1
	}
	return 2
}

// lookAt returns the target's alert as this look sees it, in the state it has.
func (r *ruleState) lookAt(q *question, source, target string) (Alert, error) {
	was := r.alerts[target]
	now, err := r.see(q)
	if err != nil {
		return was, err
	}
	r.fresh(q, now)
	var seen []Instance
	for _, a := range now {
		if a.Target == target {
			a.State, a.ActiveAt, a.FiredAt = was.State, was.ActiveAt, was.FiredAt
			seen = append(seen, a)
		}
	}
	if len(seen) == 0 {
		gone := r.missing(q)
		for _, a := range r.active {
			if a.Target == target {
				seen = append(seen, a)
			}
		}
		if e, ok := r.ended[target]; ok && len(seen) == 0 {
			seen = append(seen, e.Instance)
		}
		for i := range seen {
			s := gone(seen[i])
			seen[i].Verdict, seen[i].Reason = s.verdict, s.reason
			if s.known {
				seen[i].Value = s.value
			}
		}
	}
	if len(seen) == 0 {
		return was, nil
	}
	a := r.alert(source, seen, q.at)
	a.State, a.ActiveAt, a.FiredAt = was.State, was.ActiveAt, was.FiredAt
	return a, nil
}

// slot is a group's share of its interval, so that groups do not all run at once.
func (g *Group) slot(interval time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(g.key()))
	return time.Duration(h.Sum64() % uint64(interval))
}
