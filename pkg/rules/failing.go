package rules

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"
)

// Failure is a rule whose evaluations fail.
type Failure struct {
	Group, Rule string
	// Interval is that of its evaluations, Since the first of those in a row that failed.
	Interval time.Duration
	Since    time.Time
	// Err is the last one's.
	Err error
}

// Failing returns the thresholds and rules whose last evaluation failed, by group and
// name, but for those of a source that is blind: that says why already.
func (m *Manager) Failing() []Failure {
	m.mu.Lock()
	defer m.mu.Unlock()
	blind := map[string]bool{}
	for _, s := range m.sources {
		blind[s.name] = s.breaker.open || m.unanswering(s.name) != nil
	}
	var all []Failure
	for _, c := range m.thresholds {
		if f := c.failing.Load(); f != nil && !blind[c.Source] {
			all = append(all, *f)
		}
	}
	for _, s := range m.groups {
		for _, r := range s.rules {
			if r.err != nil && !blind[s.Source] {
				all = append(all, Failure{Group: s.Name, Rule: r.name(), Interval: s.Interval, Since: r.failing,
					Err: r.err})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group),
			cmp.Compare(a.Rule, b.Rule))
	})
	return all
}

// unevaluated logs a rule of a group that could not be evaluated: once, until it can be
// again. rule_group_rule_failures_total counts each time.
func (m *Manager) unevaluated(s *groupState, r *ruleState, err error) {
	level := slog.LevelWarn
	if r.err != nil {
		level = slog.LevelDebug
	}
	m.o.Logger.Log(context.Background(), level, "rule not evaluated", "group", s.Name, "file", s.File, "rule", r.name(),
		"err", err)
}

// unanswered notes whether a threshold's questions could be answered at a moment. It logs
// that they could not once, and that they are again; rule_evaluation_failures_total counts
// each time.
func (m *Manager) unanswered(c *compiled, err error, at time.Time) {
	was := c.failing.Load()
	switch {
	case err == nil && was != nil:
		c.failing.Store(nil)
		m.o.Logger.Info("rule evaluated again", "rule", c.Name, "source", c.Source)
	case err != nil:
		f := &Failure{Group: thresholdGroup, Rule: c.Name, Interval: m.o.Interval, Since: at, Err: err}
		if was != nil {
			f.Since = was.Since
		} else {
			m.o.Logger.Warn("rule not evaluated", "rule", c.Name, "source", c.Source, "err", err)
		}
		c.failing.Store(f)
	}
}
