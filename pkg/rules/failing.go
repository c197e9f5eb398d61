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
	// Since is the first evaluation of those in a row that failed, Last the last; the same
	// if there was one.
	Since, Last time.Time
	// Err is the last one's.
	Err error
}

// Failing returns the thresholds and rules whose last evaluation failed, by group and
// name, but for those of a source that is blind: that says why already. Evaluations from
// before the source was seen again do not count: the outage may be why they failed.
func (m *Manager) Failing() []Failure {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Failure
	for _, c := range m.thresholds {
		if f := c.failing.Load(); f != nil && m.counts(c.Source, f.Since) {
			all = append(all, *f)
		}
	}
	for _, s := range m.groups {
		for _, r := range s.rules {
			if r.err != nil && m.counts(s.Source, r.failing) {
				all = append(all, Failure{Group: s.Name, Rule: r.name(), Since: r.failing, Last: r.at, Err: r.err})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group),
			cmp.Compare(a.Rule, b.Rule))
	})
	return all
}

// counts reports whether a failure at a moment is the rule's own: its source is not blind
// and was not since.
func (m *Manager) counts(source string, at time.Time) bool {
	s := m.source(source)
	return !s.blind && !at.Before(s.sighted)
}

// unevaluated logs a rule of a group that could not be evaluated: once, until it can be
// again. rule_group_rule_failures_total counts each time.
func (m *Manager) unevaluated(s *groupState, r *ruleState, err error) {
	level := slog.LevelWarn
	if r.err != nil {
		level = slog.LevelDebug
	}
	m.o.Logger.Log(context.Background(), level, "rule evaluation failed", "group", s.Name, "file", s.File,
		"rule", r.name(), "err", err)
}

// unanswered notes whether a threshold's questions could be answered at a moment. It logs
// that they could not once, and that they are again; rule_evaluation_failures_total counts
// each time.
func (m *Manager) unanswered(c *compiled, err error, at time.Time) {
	was := c.failing.Load()
	switch {
	case err == nil && was != nil:
		c.failing.Store(nil)
		m.o.Logger.Info("rule evaluation recovered", "rule", c.Name, "source", c.Source)
	case err != nil:
		f := &Failure{Group: thresholdGroup, Rule: c.Name, Since: at, Last: at, Err: err}
		m.mu.Lock()
		sighted := m.source(c.Source).sighted
		m.mu.Unlock()
		if was != nil && !was.Since.Before(sighted) {
			f.Since = was.Since
		}
		if was == nil {
			m.o.Logger.Warn("rule evaluation failed", "rule", c.Name, "source", c.Source, "err", err)
		}
		c.failing.Store(f)
	}
}
