package rules

import (
	"fmt"
	"slices"
)

// goodRounds is how many rounds without fault close the breaker.
const goodRounds = 2

// breaker says whether a source can be trusted (INV-13).
type breaker struct {
	open   bool
	reason string
	good   int
	dark   int // alerts without data when it opened
}

// selfCheck compares what a round showed with the round before. An alert whose
// data went away counts, unless another rule says that its target is in
// trouble: an application that is down explains its own silence. Too little
// traffic is no loss of sight.
func (m *Manager) selfCheck(s *source, fault error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.judged = m.o.Now()
	had, dark := 0, 0
	var lost []*cell
	for _, c := range m.thresholds {
		if c.Source != s.name || c.Aside {
			continue
		}
		cells := c.cells
		if c.plan != nil {
			// Those that rest saw and see what they did.
			had, cells = had+c.plan.well, c.plan.busy
		}
		for _, cell := range cells {
			state := cell.state()
			data := !state.Verdict.Unknown() || state.Quiet
			late := cell.late(s.judged)
			gone := !data && !late && !m.troubled(cell)
			if cell.seen && (data || gone) {
				had++
			}
			if cell.seen && gone {
				lost = append(lost, cell)
			}
			cell.lost = cell.lost && !data && !late
			if cell.lost && gone {
				dark++
			}
			cell.seen = data || cell.seen && late
		}
	}
	was := s.breaker.open
	s.breaker.step(fault, had, lost, dark)
	if was && !s.breaker.open {
		m.restoreSight(s)
	}
	m.report(s, was)
}

// troubled reports whether some rule says BREACH of the cell's target.
func (m *Manager) troubled(c *cell) bool {
	return slices.ContainsFunc(m.byTarget[c.target], func(o *cell) bool { return o.state().Verdict == Breach })
}

// step moves the breaker on by one round.
func (b *breaker) step(fault error, had int, lost []*cell, dark int) {
	trip := 2*len(lost) > had
	switch {
	case trip:
		for _, c := range lost {
			c.lost = true
		}
		b.reason = fmt.Sprintf("%d of %d alerts lost their data in one round, for instance %s on %s", len(lost), had,
			lost[0].rule.Name, lost[0].target)
		b.dark, b.open, b.good = dark+len(lost), true, 0
	case fault != nil:
		b.reason = fault.Error()
		b.open, b.good = true, 0
	case b.open && b.dark > 0 && 2*dark > b.dark:
		b.good = 0
	case b.open:
		if b.good++; b.good >= goodRounds {
			*b = breaker{}
		}
	}
}

// restoreSight forgets what the closed breaker held against single alerts.
func (m *Manager) restoreSight(s *source) {
	for _, c := range m.thresholds {
		if c.Source == s.name {
			for _, cell := range c.cells {
				cell.lost = false
			}
		}
	}
}

// report logs and shows what became of a breaker.
func (m *Manager) report(s *source, was bool) {
	m.showBlind()
	switch {
	case s.breaker.open && !was:
		m.o.Logger.Warn("monitoring is blind", "source", s.name, "reason", s.breaker.reason)
	case was && !s.breaker.open:
		m.o.Logger.Info("monitoring recovered", "source", s.name)
	}
}

// showBlind notes of each source what Blind says of it, and sets its metric.
func (m *Manager) showBlind() {
	for _, s := range m.sources {
		was := s.blind
		s.blind = s.breaker.open || m.unanswering(s.name) != nil
		if was && !s.blind {
			s.sighted = m.o.Now()
		}
		v := 0.0
		if s.blind {
			v = 1
		}
		m.metrics.blind.WithLabelValues(s.name).Set(v)
	}
}
