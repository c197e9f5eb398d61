package rules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
)

// GroupsOptions are the edges of Groups.
type GroupsOptions struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Local and Remote answer groups of the two sources. A group whose source is
	// nil does not load.
	Local  promql.QueryFunc
	Remote promql.QueryFunc
	// Append takes the series that recording rules of Local groups write.
	Append func([]*model.Sample)
	// Target says which target an alert's labels mean.
	Target TargetFunc
	// Severity says how urgent an alert is by its labels; nil: nothing is known. Of
	// alerts of one name and target the most urgent that fires is shown.
	Severity func(labels map[string]string) string
	// Interval of groups that have none. Default 15s, Prometheus' is 1m.
	Interval time.Duration
	// Staleness is the greatest age of a sample that may lead to an action, of groups that
	// have none of their own. Default: by their source.
	Staleness time.Duration
	// ExternalURL is what $externalURL in templates means, ExternalLabels what
	// $externalLabels does.
	ExternalURL    string
	ExternalLabels map[string]string
	// AsPrometheus takes silence for recovery, as Prometheus does: for tests of rules.
	AsPrometheus bool
	Now          func() time.Time
}

// Groups evaluates the groups of Prometheus rule files and holds their alerts.
// It is to rule files what Judge is to thresholds. It is safe for concurrent use.
type Groups struct {
	o       GroupsOptions
	url     *url.URL
	metrics *groupMetrics
	changed chan struct{}

	mu       sync.Mutex
	groups   []*groupState
	restored map[key]Alert
}

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
}

// key of a group, as Prometheus writes it in metrics.
func (g *Group) key() string {
	if g.Manifest != "" {
		return g.File + ";" + g.Manifest + ";" + g.Name
	}
	return g.File + ";" + g.Name
}

// NewGroups returns Groups without rules.
func NewGroups(o GroupsOptions) (*Groups, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Append == nil {
		o.Append = func([]*model.Sample) {}
	}
	if o.Severity == nil {
		o.Severity = func(map[string]string) string { return "" }
	}
	o.Interval = cmp.Or(o.Interval, 15*time.Second)
	u, err := url.Parse(o.ExternalURL)
	if err != nil {
		return nil, fmt.Errorf("external URL %q: %w", o.ExternalURL, err)
	}
	return &Groups{o: o, url: u, metrics: newGroupMetrics(o.Registerer), changed: make(chan struct{}, 1), restored: map[key]Alert{}}, nil
}

// Set replaces the groups; with an error nothing changes. The alerts of a rule
// go on that has the same group, name and labels as before. Alerts that fire and
// whose rule is gone are returned.
func (g *Groups) Set(groups []Group) (removed []Alert, err error) {
	swap, err := g.Prepare(groups)
	if err != nil {
		return nil, err
	}
	return swap(), nil
}

// Prepare does all of Set that can fail; swap does the rest.
func (g *Groups) Prepare(groups []Group) (swap func() (removed []Alert), err error) {
	next, err := g.compile(groups)
	if err != nil {
		return nil, err
	}
	return func() []Alert { return g.swap(next) }, nil
}

func (g *Groups) swap(next []*groupState) (removed []Alert) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var stale []*model.Sample
	for _, old := range g.groups {
		var heir *groupState
		if i := slices.IndexFunc(next, func(n *groupState) bool { return n.key() == old.key() }); i >= 0 {
			heir = next[i]
			heir.at, heir.next = old.at, old.next
		} else {
			g.metrics.forget(old.key())
		}
		for _, r := range old.rules {
			if heir.inherit(r) {
				continue
			}
			for _, a := range r.alerts {
				if a.State == Firing {
					removed = append(removed, a)
				}
			}
			stale = append(stale, storage.StaleMarkers(r.recorded, g.o.Now())...)
		}
	}
	g.groups = next
	g.o.Append(stale)
	for _, n := range next {
		for _, r := range n.rules {
			g.seed(r)
		}
	}
	poke(g.changed)
	return removed
}

func (g *Groups) compile(groups []Group) ([]*groupState, error) {
	var errs []error
	var next []*groupState
	for _, x := range groups {
		if g.asker(x.Source) == nil {
			errs = append(errs, fmt.Errorf("%s: group %q: source %s is not configured", x.File, x.Name, x.Source))
			continue
		}
		n := &groupState{Group: x}
		n.Interval = cmp.Or(n.Interval, g.o.Interval)
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
func (g *groupState) inherit(old *ruleState) bool {
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
			r.err, r.at, r.took = old.err, old.at, old.took
			return true
		}
	}
	return false
}

func (g *Groups) asker(source string) promql.QueryFunc {
	if source == Prometheus {
		return g.o.Remote
	}
	return g.o.Local
}

// eval evaluates one group at the given moment and returns the targets with news.
func (g *Groups) eval(ctx context.Context, s *groupState, at time.Time) []string {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, max(s.Interval, time.Second))
	defer cancel()
	found := news{}
	var fault error
	failures := 0
	for _, r := range s.rules {
		if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil
		}
		if r.Record != "" && s.Source == Prometheus {
			continue
		}
		begun := time.Now()
		q := g.question(ctx, &s.Group, r, at)
		var told []string
		var err error
		if r.Record != "" {
			err = g.record(r, s, q)
		} else {
			told, err = g.alerting(r, s, q)
		}
		if err != nil {
			failures++
			g.unevaluated(s, r, err)
			if errors.Is(err, promql.ErrSource) && fault == nil {
				fault = err
			}
		}
		for _, t := range told {
			found[t] = struct{}{}
		}
		g.mu.Lock()
		r.err, r.at, r.took = err, at, time.Since(begun)
		g.mu.Unlock()
	}
	g.mu.Lock()
	s.at, s.took, s.fault = at, time.Since(start), fault
	g.mu.Unlock()
	g.metrics.evaluated(s, at, failures)
	return found.list()
}

func (g *Groups) question(ctx context.Context, s *Group, r *ruleState, at time.Time) *question {
	ask := tolerant(g.asker(s.Source))
	return &question{
		ctx: ctx, ask: ask, at: at, offset: s.QueryOffset, target: g.o.Target, limit: cmp.Or(s.Staleness, g.o.Staleness, stalenessOf(s.Source)),
		expand: expander{ctx: ctx, rule: r.Alert, at: at, ask: ask, url: g.url, external: g.o.ExternalLabels},
	}
}

// alerting evaluates an alerting rule. A question that fails changes nothing but
// the verdict.
func (g *Groups) alerting(r *ruleState, s *groupState, q *question) ([]string, error) {
	now, err := r.see(q)
	if err != nil {
		return g.failed(r, q.at, err), err
	}
	r.fresh(q, now)
	g.mu.Lock()
	active := r.adopt(now)
	g.mu.Unlock()
	// What may ask the source is done without the lock: nobody else writes these.
	gone := r.missing(q)
	if g.o.AsPrometheus {
		gone = func(Instance) sight { return sight{verdict: OK} }
	}
	next, ended, err := advance(&r.GroupRule, s.Limit, active, now, gone, q.at)
	if err != nil {
		g.mu.Lock()
		r.active = nil // as in Prometheus: what is too much is nothing
		g.mu.Unlock()
		return g.failed(r, q.at, err), err
	}
	late := r.endings(next, ended, q.at)
	shown := r.shown(s.Source, next, late, gone, q.at)
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Contains(g.groups, s) {
		return nil, nil // replaced while it was asked
	}
	for target, a := range shown {
		a.Severity = g.o.Severity(a.Labels)
		shown[target] = a
	}
	return r.commit(next, late, shown), nil
}

func (g *Groups) failed(r *ruleState, at time.Time, err error) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
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
func (g *Groups) record(r *ruleState, s *groupState, q *question) error {
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
		l := record(&r.GroupRule, p.Labels)
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
	g.mu.Lock()
	if !slices.Contains(g.groups, s) {
		g.mu.Unlock()
		return nil
	}
	gone := maps.Clone(r.recorded)
	r.recorded = now
	g.mu.Unlock()
	maps.DeleteFunc(gone, func(id uint64, _ labels.Labels) bool { _, ok := now[id]; return ok })
	g.o.Append(append(samples, storage.StaleMarkers(gone, q.at.Add(-q.offset))...))
	return nil
}

// Restore brings back alerts that fired before a restart, as Judge.Restore does:
// they fire at once, and until their data is seen again with verdict NO_DATA.
func (g *Groups) Restore(alerts []Alert) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, a := range alerts {
		if a.State == Firing {
			g.restored[key{a.Rule, a.Target}] = a
		}
	}
	for _, s := range g.groups {
		for _, r := range s.rules {
			g.seed(r)
		}
	}
}

// seed gives a rule the alerts that were brought back for it.
func (g *Groups) seed(r *ruleState) {
	for k, a := range g.restored {
		if r.Alert == "" || r.title != k.rule {
			continue
		}
		delete(g.restored, k)
		if r.alerts[k.target].State == Firing {
			continue
		}
		placeholder := Instance{
			Labels: labels.FromMap(map[string]string{model.AlertNameLabel: r.Alert, storage.TargetLabel: k.target}), Target: k.target, Watched: true, State: Firing, Value: a.Value,
			ActiveAt: a.ActiveAt, FiredAt: a.FiredAt, Verdict: NoData, Reason: "it fired before the restart and was not evaluated yet",
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

// AlertsOf returns the alerts of one target, those that ended shortly ago too:
// one per name, the worst.
func (g *Groups) AlertsOf(target string) []Alert {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []Alert
	for _, s := range g.groups {
		for _, r := range s.rules {
			if a, ok := r.alerts[target]; ok {
				all = append(all, a)
			}
		}
	}
	return worstByName(all)
}

// worstByName keeps one alert of each name and target: of several rules the one that
// fires speaks.
func worstByName(all []Alert) []Alert {
	slices.SortStableFunc(all, func(a, b Alert) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Rule, b.Rule), cmp.Compare(order(a), order(b)), cmp.Compare(a.Severity, b.Severity))
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

// Alerts returns the alerts of all targets, by target and name.
func (g *Groups) Alerts() []Alert {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []Alert
	for _, s := range g.groups {
		for _, r := range s.rules {
			all = slices.AppendSeq(all, maps.Values(r.alerts))
		}
	}
	return worstByName(all)
}

// Unhealthy returns the targets on which some alert fires in breach.
func (g *Groups) Unhealthy() []string {
	found := news{}
	for _, a := range g.Alerts() {
		if a.State == Firing && a.Verdict == Breach {
			found[a.Target] = struct{}{}
		}
	}
	return found.list()
}

// Blind says that a source answered no group of it at its last evaluation, and why.
func (g *Groups) Blind() (bool, string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, source := range []string{Local, Prometheus} {
		asked, failed := 0, error(nil)
		for _, s := range g.groups {
			if s.Source == source && !s.at.IsZero() {
				if asked++; s.fault == nil {
					failed, asked = nil, -1
					break
				}
				failed = s.fault
			}
		}
		if asked > 0 && failed != nil {
			return true, source + ": " + failed.Error()
		}
	}
	return false, ""
}

// EvalNow asks at this instant about every alert that the target has, for a look
// right before acting on it. Nothing moves on: the alerts have the state of their
// last evaluation, and the verdict and value of this look.
func (g *Groups) EvalNow(ctx context.Context, target string) ([]Alert, error) {
	type one struct {
		group *Group
		rule  *ruleState
		copy  ruleState
	}
	var ask []one
	g.mu.Lock()
	for _, s := range g.groups {
		for _, r := range s.rules {
			if _, ok := r.alerts[target]; ok {
				c := *r
				c.active, c.seeded, c.ended, c.alerts = maps.Clone(r.active), maps.Clone(r.seeded), maps.Clone(r.ended), maps.Clone(r.alerts)
				ask = append(ask, one{&s.Group, r, c})
			}
		}
	}
	g.mu.Unlock()
	at := g.o.Now()
	var all []Alert
	for i := range ask {
		a, err := ask[i].copy.lookAt(g.question(ctx, ask[i].group, ask[i].rule, at), ask[i].group.Source, target)
		if ctx.Err() != nil {
			return nil, errors.Join(fmt.Errorf("judge target %q", target), ctx.Err())
		}
		if err != nil {
			a.Verdict, a.Reason, a.EvaluatedAt = Error, err.Error(), at
		}
		a.Severity = g.o.Severity(a.Labels)
		all = append(all, a)
	}
	return worstByName(all), nil
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
