package rules

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// key names an alert.
type key struct{ rule, target string }

func (m *Manager) compileThresholds(rules []Threshold) ([]*compiled, error) {
	var errs []error
	names := map[string]bool{}
	next := make([]*compiled, 0, len(rules))
	for _, r := range rules {
		c, err := prepare(r)
		switch {
		case err != nil:
			errs = append(errs, err)
			continue
		case names[c.Name]:
			errs = append(errs, fmt.Errorf("rule %q: duplicate name", c.Name))
		case m.source(c.Source) == nil:
			errs = append(errs, fmt.Errorf("rule %q: source %s is not configured", c.Name, c.Source))
		}
		names[c.Name] = true
		c.place(next)
		next = append(next, c)
	}
	return next, errors.Join(errs...)
}

// carryThresholds takes the states of the present thresholds into the next ones.
func (m *Manager) carryThresholds(next []*compiled) (removed []Alert) {
	names := map[string]*compiled{}
	for _, c := range next {
		names[c.Name] = c
	}
	for _, old := range m.thresholds {
		c := names[old.Name]
		switch {
		case c == nil:
			m.metrics.forget(old.Name)
		case c.asksAs(old):
			c.failing.Store(old.failing.Load())
		}
		for _, cell := range old.cells {
			if !c.inherit(cell) && cell.is() == Firing {
				removed = append(removed, cell.alert())
			}
		}
	}
	return removed
}

// inherit takes over the state of a cell of the rule's former self. It reports
// false when the rule no longer judges that target.
func (c *compiled) inherit(old *cell) bool {
	if c == nil {
		return false
	}
	i, ok := c.index[old.target]
	if !ok {
		return false
	}
	switch {
	case judgesAlike(c.Threshold, old.rule.Threshold):
		c.cells[i].idle, c.cells[i].active = old.idle, old.active
		c.cells[i].seen, c.cells[i].lost, c.cells[i].samples = old.seen, old.lost, old.samples
	case old.is() == Firing:
		c.cells[i].set(awaiting(old.state(), "the rule has changed and was not evaluated yet"))
	}
	return true
}

// awaiting is a firing state of which nothing is known now.
func awaiting(s State, why string) State {
	return State{
		State: Firing, Verdict: NoData, Unknown: why, Value: s.Value, Labels: s.Labels,
		ActiveAt: s.ActiveAt, FiredAt: s.FiredAt, EvaluatedAt: s.EvaluatedAt, Held: s.Held,
	}
}

// useThresholds makes next the thresholds in force.
func (m *Manager) useThresholds(next []*compiled) {
	m.thresholds = next
	m.byTarget, m.active = map[string][]*cell{}, map[*cell]struct{}{}
	for _, s := range m.sources {
		s.due = map[*cell]time.Time{}
		s.arrivals.watch(next)
	}
	for _, c := range next {
		c.series = m.metrics.of(c.Threshold)
		c.series.pending.Set(0)
		c.series.firing.Set(0)
		for _, cell := range c.cells {
			m.byTarget[cell.target] = append(m.byTarget[cell.target], cell)
			m.moved(cell, Inactive)
			m.seedThreshold(cell)
		}
	}
}

// seedThreshold gives a cell the alert that was brought back for it.
func (m *Manager) seedThreshold(c *cell) {
	a, ok := m.restored[key{c.rule.Name, c.target}]
	if !ok {
		return
	}
	delete(m.restored, key{c.rule.Name, c.target})
	if c.is() == Firing {
		return
	}
	from, now := c.is(), m.o.Now()
	c.restored = &now
	c.set(awaiting(State{Value: a.Value, ActiveAt: a.ActiveAt, FiredAt: a.FiredAt},
		"firing before the restart, not evaluated since"))
	m.moved(c, from)
}

func (m *Manager) source(name string) *source {
	for _, s := range m.sources {
		if s.name == name {
			return s
		}
	}
	return nil
}

// of returns the thresholds in force of one source.
func (m *Manager) of(source string) []*compiled {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.thresholds), func(c *compiled) bool { return c.Source != source })
}
