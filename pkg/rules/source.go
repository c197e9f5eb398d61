package rules

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"watchdog.io/watchdog/pkg/promql"
)

// concurrency is how many rules of one source are evaluated at once.
const concurrency = 2

// worthAnother is from how many targets another goroutine pays for itself when the embedded
// engine answers: for fewer the growth of its stack takes longer than the evaluation.
const worthAnother = 500

// source is one way of asking, with its own rounds, so that one that hangs does
// not hold up the other.
type source struct {
	name string
	ask  promql.QueryFunc
	// kick asks for a round now; wake says that there are arrivals.
	kick, wake chan struct{}
	// places are taken by the groups that are evaluated now.
	places chan struct{}

	arrivals arrivals // since the last evaluation

	// Below is guarded by Manager.mu.
	due     map[*cell]time.Time // when a pending alert's `for` will be complete
	breaker breaker
	judged  time.Time // when the last round ended
	blind   bool      // what Blind says of it
	sighted time.Time // when that ended last
}

func newSource(name string, ask promql.QueryFunc) *source {
	return &source{
		name: name, ask: ask,
		kick: make(chan struct{}, 1), wake: make(chan struct{}, 1), places: make(chan struct{}, groupConcurrency),
		arrivals: arrivals{targets: map[string]struct{}{}, active: map[string]int{}}, due: map[*cell]time.Time{},
	}
}

// poke makes a channel of size one ready, if it is not.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// news collects the targets to tell of.
type news map[string]struct{}

func (n news) list() []string {
	l := make([]string, 0, len(n))
	for t := range n {
		l = append(l, t)
	}
	slices.Sort(l)
	return l
}

// EvalThresholds evaluates every threshold once, at this moment, and returns the targets
// whose alerts changed or fire. It is what Run does at each interval.
func (m *Manager) EvalThresholds(ctx context.Context) []string {
	all := news{}
	for _, s := range m.sources {
		maps.Copy(all, m.round(ctx, s))
	}
	return all.list()
}

// round evaluates every rule of the source once and returns the targets with news.
func (m *Manager) round(ctx context.Context, s *source) news {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, m.o.Interval)
	defer cancel()
	found, err := m.evaluate(ctx, memoize(s.ask), m.of(s.name), nil, m.o.Now())
	if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		m.selfCheck(s, err)
	}
	m.metrics.rounds.WithLabelValues(s.name).Observe(time.Since(start).Seconds())
	return found
}

// evaluate asks the rules' questions and moves their alerts on; targets nil
// means all. The error joins the failures that concern the source itself.
func (m *Manager) evaluate(ctx context.Context, ask promql.QueryFunc, rules []*compiled, targets []string,
	at time.Time) (news, error) {
	if m.o.Pages != nil {
		m.mu.Lock()
		if targets != nil {
			m.unplan()
		}
		m.kept.evaluated(true)
		m.mu.Unlock()
	}
	var g errgroup.Group
	r := &round{found: news{}, busy: map[string]struct{}{}}
	g.SetLimit(concurrency)
	if targets != nil {
		ctx = promql.ForTargets(ctx, targets)
	}
	// What nobody can see shows once the others have been looked at.
	last := slices.DeleteFunc(slices.Clone(rules), func(c *compiled) bool { return !c.Unseen })
	for k, c := range slices.Concat(slices.DeleteFunc(slices.Clone(rules), func(c *compiled) bool { return c.Unseen }),
		last) {
		index := c.scope(targets)
		if len(index) == 0 {
			continue
		}
		if k >= len(rules)-len(last) {
			_ = g.Wait()
		}
		if targets == nil && m.judgePaged(ctx, ask, c, at, r) {
			continue
		}
		one := func() error {
			seen, err := c.ask(ctx, ask, index, at)
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil
			}
			// An answer about some targets says nothing of a question about all.
			if targets == nil || err != nil {
				m.unanswered(c, err, at)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			if errors.Is(err, promql.ErrSource) && r.fault == nil {
				r.fault = err
			}
			m.apply(c, index, seen, at, r.found)
			return nil
		}
		if c.Source == Local && len(index) < worthAnother {
			_ = one() // returns no error
			continue
		}
		g.Go(one)
	}
	_ = g.Wait() // the functions return no errors
	return r.found, r.fault
}

// scope returns the rule's targets among the given ones, each with a position.
func (c *compiled) scope(targets []string) map[string]int {
	if targets == nil || len(targets) > promql.MaxTargets {
		return c.index
	}
	index := make(map[string]int, len(targets))
	for _, t := range targets {
		if _, ok := c.index[t]; ok {
			index[t] = len(index)
		}
	}
	return index
}

// ask observes the targets in index. If ctx limits the questions to some targets, those are
// the ones of index, and the limit holds where it gives the same answers.
func (c *compiled) ask(ctx context.Context, ask promql.QueryFunc, index map[string]int,
	at time.Time) ([]Observation, error) {
	start := time.Now()
	if !c.narrowable {
		ctx = promql.ForAll(ctx)
	}
	seen, err := c.observe(ctx, ask, index, at)
	c.series.evaluations.Inc()
	if err != nil {
		c.series.failures.Inc()
	}
	c.series.duration.Observe(time.Since(start).Seconds())
	return seen, err
}

// apply moves the alerts of one rule on.
func (m *Manager) apply(c *compiled, index map[string]int, seen []Observation, at time.Time, found news) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Contains(m.thresholds, c) {
		return // replaced while it was asked
	}
	s := m.source(c.Source)
	if c.Unseen {
		seen = m.withUnseen(c, index, seen)
	}
	for target, i := range index {
		cell := c.cells[c.index[target]]
		prev := cell.state()
		cell.saw(seen[i], at)
		if seen[i].Unknown == NoData && cell.fresh(at) {
			continue
		}
		next := Eval(&c.Threshold, prev, seen[i], at)
		cell.set(next)
		s.plan(cell, next, m.o.Interval)
		m.moved(cell, prev.State)
		if changed(prev, next) {
			found[target] = struct{}{}
			m.tell(cell, prev, next)
		} else if next.State == Firing {
			found[target] = struct{}{}
		}
	}
}

// moved notes that an alert went from one state to the one that it has now.
func (m *Manager) moved(c *cell, from AlertState) {
	c.rule.series.move(from, c.is())
	was, is := from.active(), c.is().active()
	switch {
	case was == is:
		return
	case is:
		m.active[c] = struct{}{}
	default:
		delete(m.active, c)
	}
	m.source(c.rule.Source).arrivals.moved(c.target, is)
}

// fresh reports whether the alert was brought back after a restart so shortly ago
// that no look at its target need have come in: to see nothing says nothing yet.
func (c *cell) fresh(at time.Time) bool {
	return c.restored != nil && c.is() == Firing && c.active.EvaluatedAt.IsZero() &&
		at.Sub(*c.restored) < c.rule.Staleness
}

// plan notes when a pending alert's `for` will be complete, if that is before
// the next round, so that it fires then and not at the round.
func (s *source) plan(c *cell, now State, interval time.Duration) {
	left := c.rule.For - now.Held
	if now.State == Pending && now.Verdict == Breach && left <= min(interval, c.rule.Staleness) {
		s.due[c] = now.EvaluatedAt.Add(left)
		return
	}
	delete(s.due, c)
}

// tell logs a step of one alert; one aside is no news for the log.
func (m *Manager) tell(c *cell, prev, next State) {
	if prev.State == next.State {
		m.o.Logger.Debug("verdict changed", "rule", c.rule.Name, "target", c.target, "verdict", next.Verdict,
			"reason", c.rule.Reason(next))
		return
	}
	level := slog.LevelInfo
	if c.rule.Aside {
		level = slog.LevelDebug
	}
	m.o.Logger.Log(context.Background(), level, "alert "+string(next.State), "rule", c.rule.Name, "target", c.target,
		"was", prev.State, "reason", c.rule.Reason(next))
}

// memoize answers the same question of one round once, as rules share floors
// and selectors.
func memoize(ask promql.QueryFunc) promql.QueryFunc {
	type question struct {
		expr    string
		limited bool
	}
	type answer struct {
		once   sync.Once
		points []promql.Point
		err    error
	}
	var mu sync.Mutex
	known := map[question]*answer{}
	return func(ctx context.Context, expr string, at time.Time) ([]promql.Point, error) {
		q := question{expr, promql.IsLimited(ctx)}
		mu.Lock()
		a := known[q]
		if a == nil {
			a = &answer{}
			known[q] = a
		}
		mu.Unlock()
		a.once.Do(func() { a.points, a.err = ask(ctx, expr, at) })
		return a.points, a.err
	}
}
