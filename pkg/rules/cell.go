package rules

import (
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// cell is one alert: a rule on a target. A fleet has ten thousands of them, of which few are
// ever active; what only those have is apart.
type cell struct {
	rule   *compiled
	target string
	idle   idle
	active *State // of an alert that is or was active; nil: idle is all
	// seen: the last round had data; lost: the data went away when the breaker opened.
	seen bool
	lost bool
	rest resting
	// samples is how far apart the samples of a server's series are; nil: not known, or of no server.
	samples *spacing
	// restored is when a restart brought the alert back; nil: none did.
	restored *time.Time
}

// idle is the state of an alert that was never active.
type idle struct {
	verdict     Verdict
	value       float64
	labels      labels.Labels
	unknown     string
	quiet       bool
	silent      bool
	evaluatedAt time.Time
	lastDataAt  time.Time
	well        history
}

// state is the alert's state.
func (c *cell) state() State {
	if c.active != nil {
		return *c.active
	}
	x := &c.idle
	return State{State: Inactive, Verdict: x.verdict, Value: x.value, Labels: x.labels, Unknown: x.unknown,
		Quiet: x.quiet, Silent: x.silent, EvaluatedAt: x.evaluatedAt, LastDataAt: x.lastDataAt, well: x.well}
}

// is says whether the alert is pending, fires, or is inactive.
func (c *cell) is() AlertState {
	if c.active != nil {
		return c.active.State
	}
	return Inactive
}

func (c *cell) set(s State) {
	if s.everActive() {
		kept := s // a copy, so that the state of an idle one stays on the stack
		c.idle, c.active = idle{}, &kept
		return
	}
	c.idle, c.active = idle{s.Verdict, s.Value, s.Labels, s.Unknown, s.Quiet, s.Silent, s.EvaluatedAt, s.LastDataAt,
		s.well}, nil
}

// everActive reports whether a state has more than what idle has.
func (s *State) everActive() bool {
	return s.State != Inactive || !s.ActiveAt.IsZero() || !s.FiredAt.IsZero() || !s.ClearSince.IsZero() ||
		s.Held != 0 || s.ClearHeld != 0 || s.Usual != 0 || s.Noise != 0 || s.Rising != nil || !s.risingAt.IsZero()
}
