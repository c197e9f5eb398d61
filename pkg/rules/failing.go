package rules

import (
	"context"
	"log/slog"
)

// unevaluated logs a rule of a group that could not be evaluated: once, until it can be
// again. rule_group_rule_failures_total counts each time.
func (m *Manager) unevaluated(s *groupState, r *ruleState, err error) {
	level := slog.LevelWarn
	if r.err != nil {
		level = slog.LevelDebug
	}
	m.o.Logger.Log(context.Background(), level, "rule not evaluated", "group", s.Name, "file", s.File, "rule", r.name(), "err", err)
}

// unanswered logs a threshold whose questions could not be answered, once, and that they
// are again. rule_evaluation_failures_total counts each time.
func (m *Manager) unanswered(c *compiled, err error) {
	switch was := c.failing.Swap(err != nil); {
	case err != nil && !was:
		m.o.Logger.Warn("rule not evaluated", "rule", c.Name, "source", c.Source, "err", err)
	case err == nil && was:
		m.o.Logger.Info("rule evaluated again", "rule", c.Name, "source", c.Source)
	}
}
