package rules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"

	"watchdog.io/watchdog/pkg/promql"
)

// Options are the edges of a Manager.
type Options struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Local answers what has source Local, Remote what has source Prometheus. A threshold
	// or group whose source is nil does not load.
	Local  promql.QueryFunc
	Remote promql.QueryFunc
	// Pages, if set, knows answers ahead: of a past that is lived through again.
	Pages PageFunc
	// Append takes the series that recording rules of Local groups write.
	Append func([]*model.Sample)
	// Target says which target the labels of a rule's alert mean.
	Target TargetFunc
	// Await, if set, is called by Run before groups are evaluated for the first time. It
	// returns when Target can answer. Thresholds name their targets and do not wait.
	Await func(context.Context)
	// Severity says how urgent an alert of a rule is by its labels; nil: nothing is known.
	// Of alerts of one name and target the most urgent that fires is shown.
	Severity func(labels map[string]string) string
	// Interval between two rounds over the thresholds, and of groups that have none of
	// their own. Default 15s, Prometheus' is 1m.
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
	// Now is the clock of the evaluations. Default time.Now. Run waits by the real clock:
	// who sets another one calls EvalThresholds, EvalGroups or EvalDue.
	Now func() time.Time
}

// Config is what a Manager evaluates.
type Config struct {
	// File is where the thresholds come from.
	File       string
	Thresholds []Threshold
	// Groups are those of rule files and of objectives.
	Groups []Group
}

// Manager evaluates thresholds and the groups of rule files and objectives, and holds
// their alerts. Thresholds are a built-in group with a state machine of their own (Eval),
// evaluated per source, so that one that hangs does not hold up the other. It is safe for
// concurrent use.
type Manager struct {
	o            Options
	url          *url.URL
	metrics      *metrics
	groupMetrics *groupMetrics
	sources      []*source
	changed      chan struct{} // it may be another group's turn

	mu         sync.Mutex
	file       string // of the thresholds
	thresholds []*compiled
	byTarget   map[string][]*cell
	active     map[*cell]struct{} // those that are pending or fire
	groups     []*groupState
	restored   map[key]Alert
	kept       kept
}

// NewManager returns a Manager without rules.
func NewManager(o Options) (*Manager, error) {
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
	if o.Interval <= 0 {
		o.Interval = 15 * time.Second
	}
	u, err := url.Parse(o.ExternalURL)
	if err != nil {
		return nil, fmt.Errorf("external URL %q: %w", o.ExternalURL, err)
	}
	m := &Manager{
		o: o, url: u, metrics: newMetrics(o.Registerer), groupMetrics: newGroupMetrics(o.Registerer),
		changed:  make(chan struct{}, 1),
		byTarget: map[string][]*cell{}, active: map[*cell]struct{}{}, restored: map[key]Alert{},
	}
	for name, ask := range map[string]promql.QueryFunc{Local: o.Local, Prometheus: o.Remote} {
		if ask != nil {
			m.sources = append(m.sources, newSource(name, ask))
		}
	}
	slices.SortFunc(m.sources, func(a, b *source) int { return cmp.Compare(a.name, b.name) })
	return m, nil
}

// Compiled is a Config that can be applied.
type Compiled struct {
	file       string
	thresholds []*compiled
	groups     []*groupState
}

// Compile prepares a configuration, or says everything that is wrong with it. Nothing
// changes until it is applied.
func (m *Manager) Compile(c Config) (*Compiled, error) {
	thresholds, err := m.compileThresholds(c.Thresholds)
	groups, odd := m.compileGroups(c.Groups)
	if err := errors.Join(err, odd); err != nil {
		return nil, err
	}
	return &Compiled{file: c.File, thresholds: thresholds, groups: groups}, nil
}

// Apply puts a compiled configuration in force, once; it cannot fail.
//
// The alert of an unchanged rule goes on as it was: of a threshold that is alike but for
// its targets, of a rule that has the same group, name and labels as before. An alert of a
// threshold that fires goes on firing even if the threshold changed, until the new one
// clears it: a reload is not a recovery. Alerts that fire and whose rule or target is gone
// are returned: their end is to be recorded as "rule removed", not as recovery.
func (m *Manager) Apply(next *Compiled) (removed []Alert) {
	m.mu.Lock()
	m.unplan()
	m.kept = kept{}
	removed = m.carryThresholds(next.thresholds)
	more, ended := m.carryGroups(next.groups)
	removed = append(removed, more...)
	m.file = next.file
	m.useThresholds(next.thresholds)
	m.useGroups(next.groups)
	m.mu.Unlock()
	m.o.Append(ended)
	for _, s := range m.sources {
		poke(s.kick)
	}
	poke(m.changed)
	return removed
}

// Update compiles and applies; with an error nothing changes.
func (m *Manager) Update(c Config) (removed []Alert, err error) {
	next, err := m.Compile(c)
	if err != nil {
		return nil, err
	}
	return m.Apply(next), nil
}

// Run evaluates until ctx ends: all thresholds at once and then at each multiple of
// the interval; those of source Local also as soon as a target got new samples
// (Appended) and at the moment at which a pending alert's `for` is complete; and each
// group at once and then at its turns. After each evaluation that has news, notify is
// called with the targets whose alerts changed or fire. It must not block, and may be
// called concurrently.
func (m *Manager) Run(ctx context.Context, notify func(targets []string)) {
	var running sync.WaitGroup
	for _, s := range m.sources {
		running.Go(func() { m.loop(ctx, s, notify) })
	}
	running.Go(func() {
		if m.o.Await != nil {
			m.o.Await(ctx)
		}
		m.runGroups(ctx, notify)
	})
	running.Wait()
}

// Restore brings back alerts that fired before a restart: they fire again at
// once, with verdict NO_DATA until there is data, so that a restart is neither a
// recovery nor a new alert. It may be called before or after the first Apply;
// alerts of unknown rules wait for an Apply that brings them.
func (m *Manager) Restore(alerts []Alert) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unplan()
	m.kept = kept{}
	for _, a := range alerts {
		if a.State == Firing {
			m.restored[key{a.Rule, a.Target}] = a
		}
	}
	for _, c := range m.thresholds {
		for _, cell := range c.cells {
			m.seedThreshold(cell)
		}
	}
	for _, s := range m.groups {
		for _, r := range s.rules {
			m.seedRule(r)
			m.count(r)
		}
	}
}

// Alerts returns the alerts of all targets: those of every threshold but those aside,
// inactive ones too, by target and rule; then those of rules, by target and name.
func (m *Manager) Alerts() []Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Alert
	for _, cells := range m.byTarget {
		for _, c := range cells {
			if !c.rule.Aside {
				all = append(all, c.alert())
			}
		}
	}
	return append(inOrder(all), worstByName(m.ofRules())...)
}

// Active returns those of Alerts that are pending or fire, in the same order. It takes as
// long as there are such alerts, however many targets are well.
func (m *Manager) Active() []Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Alert
	for c := range m.active {
		if !c.rule.Aside {
			all = append(all, c.alert())
		}
	}
	ofRules := slices.DeleteFunc(worstByName(m.ofRules()), func(a Alert) bool { return !a.State.active() })
	return append(inOrder(all), ofRules...)
}

func inOrder(all []Alert) []Alert {
	slices.SortFunc(all, func(a, b Alert) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Rule, b.Rule))
	})
	return all
}

// ofRules are the alerts of the rules of groups.
func (m *Manager) ofRules() (all []Alert) {
	for _, s := range m.groups {
		for _, r := range s.rules {
			all = slices.AppendSeq(all, maps.Values(r.alerts))
		}
	}
	return all
}

// AlertsOf returns the alerts of one target: those of thresholds, inactive ones too, in
// their order; then those of rules, one per name, the worst, those that ended shortly ago
// too.
func (m *Manager) AlertsOf(target string) []Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.o.Pages != nil {
		return m.kept.of(target, m.thresholdsOf, m.rulesOf)
	}
	return append(m.thresholdsOf(target), m.rulesOf(target)...)
}

func (m *Manager) thresholdsOf(target string) []Alert {
	all := make([]Alert, 0, len(m.byTarget[target]))
	for _, c := range m.byTarget[target] {
		all = append(all, c.alert())
	}
	return all
}

func (m *Manager) rulesOf(target string) []Alert {
	var ofRules []Alert
	for _, s := range m.groups {
		for _, r := range s.rules {
			if a, ok := r.alerts[target]; ok {
				ofRules = append(ofRules, a)
			}
		}
	}
	return worstByName(ofRules)
}

// Unhealthy returns the targets on which some alert fires on what it sees, sorted.
func (m *Manager) Unhealthy() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := news{}
	for c := range m.active {
		if c.is() == Firing && c.state().Verdict == Breach && !c.rule.Aside {
			found[c.target] = struct{}{}
		}
	}
	for _, s := range m.groups {
		for _, r := range s.rules {
			for t, a := range r.alerts {
				if a.State == Firing && a.Verdict == Breach {
					found[t] = struct{}{}
				}
			}
		}
	}
	return found.list()
}

// Blind reports whether what the rules say cannot be trusted now, and why: more
// than half of what the thresholds of a source showed in the round before is gone without
// the targets themselves being in trouble, a remote source failed them, or a source
// answered none of its groups at their last evaluation. Of thresholds it opens within one
// round and closes after two good ones.
func (m *Manager) Blind() (bool, string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sources {
		if s.breaker.open {
			return true, s.name + ": " + s.breaker.reason
		}
	}
	for _, s := range m.sources {
		if fault := m.unanswering(s.name); fault != nil {
			return true, s.name + ": " + fault.Error()
		}
	}
	return false, ""
}

// unanswering returns the error of a source that answered none of its groups at their
// last evaluation; nil: it answered some.
func (m *Manager) unanswering(source string) (fault error) {
	for _, s := range m.groups {
		if s.Source == source && !s.at.IsZero() {
			if s.fault == nil {
				return nil
			}
			fault = s.fault
		}
	}
	return fault
}

// Evaluation says when a group was last evaluated.
type Evaluation struct {
	Group    string
	Interval time.Duration
	// At is when the last evaluation ended in time, or when the group came into force, if
	// that is later. Zero: not yet.
	At time.Time
}

// thresholdGroup is the name of the built-in group.
const thresholdGroup = "thresholds"

// LastEvaluation is that of the group that is furthest behind, in its own intervals.
// An evaluation that was cut off at the end of its interval does not count.
func (m *Manager) LastEvaluation() Evaluation {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.o.Now()
	last := Evaluation{Group: thresholdGroup, Interval: m.o.Interval}
	for k, s := range m.sources {
		if k == 0 || s.judged.Before(last.At) {
			last.At = s.judged
		}
	}
	behind := func(e Evaluation) float64 { return float64(now.Sub(e.At)) / float64(e.Interval) }
	for _, g := range m.groups {
		at := g.done
		if g.loaded.After(at) {
			at = g.loaded
		}
		if e := (Evaluation{Group: g.Name, Interval: g.Interval, At: at}); behind(e) > behind(last) {
			last = e
		}
	}
	return last
}

// EvalNow judges one target afresh at this instant, for a look right before
// acting on it. The alerts have the verdict, value and reason of this look and
// the state of their last evaluation: looking does not bring an alert closer to firing
// or clearing. A question that fails is verdict ERROR in its alert; the error
// is for a target of which no rule says anything and for a context that ended.
func (m *Manager) EvalNow(ctx context.Context, target string) ([]Alert, error) {
	thresholds, err := m.thresholdsNow(ctx, target)
	if err != nil {
		return nil, err
	}
	alerts, err := m.rulesNow(ctx, target)
	if err != nil {
		return nil, err
	}
	if alerts = append(thresholds, alerts...); len(alerts) == 0 {
		return nil, fmt.Errorf("evaluate target %q: no rule names it", target)
	}
	return alerts, nil
}

// thresholdsNow judges one target by the thresholds at this instant.
func (m *Manager) thresholdsNow(ctx context.Context, target string) ([]Alert, error) {
	m.mu.Lock()
	cells := slices.Clone(m.byTarget[target])
	states := make([]State, len(cells))
	for i, c := range cells {
		c.settle()
		states[i] = c.state()
	}
	m.mu.Unlock()
	at := m.o.Now()
	alerts, alone := make([]Alert, len(cells)), promql.ForTargets(ctx, []string{target})
	var g errgroup.Group
	g.SetLimit(2 * concurrency)
	for i, c := range cells {
		g.Go(func() error {
			// The error is in the observation.
			seen, _ := c.rule.ask(alone, m.source(c.rule.Source).ask, map[string]int{target: 0}, at)
			s := look(&c.rule.Threshold, states[i], seen[0], at)
			alerts[i] = c.rule.alert(target, s, c.rule.labels(target, s))
			return nil
		})
	}
	_ = g.Wait() // the functions return no errors
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("evaluate target %q", target), err)
	}
	return alerts, nil
}

// rulesNow asks at this instant about every alert of a rule that the target has.
func (m *Manager) rulesNow(ctx context.Context, target string) ([]Alert, error) {
	type one struct {
		group *Group
		rule  *ruleState
		copy  ruleState
	}
	var ask []one
	m.mu.Lock()
	for _, s := range m.groups {
		for _, r := range s.rules {
			if _, ok := r.alerts[target]; ok {
				c := *r
				c.active, c.seeded, c.ended, c.alerts = maps.Clone(r.active), maps.Clone(r.seeded), maps.Clone(r.ended),
					maps.Clone(r.alerts)
				ask = append(ask, one{&s.Group, r, c})
			}
		}
	}
	m.mu.Unlock()
	at := m.o.Now()
	var all []Alert
	for i := range ask {
		a, err := ask[i].copy.lookAt(m.question(ctx, ask[i].group, ask[i].rule, at), ask[i].group.Source, target)
		if ctx.Err() != nil {
			return nil, errors.Join(fmt.Errorf("evaluate target %q", target), ctx.Err())
		}
		if err != nil {
			a.Verdict, a.Reason, a.EvaluatedAt = Error, err.Error(), at
		}
		a.Severity = m.o.Severity(a.Labels)
		all = append(all, a)
	}
	return worstByName(all), nil
}
