package rules

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// patience is how many times `for` (or `clear_for`) an unfinished count
// survives without data before it is given up.
const patience = 4

// Observation is what the questions of one evaluation gave for one target.
type Observation struct {
	// Unknown is the verdict when there is nothing to judge; empty: judge Value.
	Unknown Verdict
	// Reason explains Unknown.
	Reason string
	// Quiet says that the source is seen, but there is too little traffic.
	Quiet bool
	// Silent says that there is no series, and that what writes such series is up and
	// read: they are there only while something is bad.
	Silent bool
	// Newest is when the newest sample was taken; zero: not known.
	Newest time.Time
	Value  float64
	Labels labels.Labels
}

// State is one alert between evaluations. The zero value is an alert never
// evaluated.
type State struct {
	State   AlertState
	Verdict Verdict
	// Value is the last one judged; it is kept while the verdict is unknown.
	Value  float64
	Labels labels.Labels
	// Unknown explains an unknown verdict; Quiet is Observation.Quiet.
	Unknown string
	Quiet   bool
	// Silent: the verdict is OK because the series is written no more; Value is then the
	// clear bound, as it is not worse than that.
	Silent bool
	// ActiveAt is the first breach, FiredAt when the alert began to fire,
	// ClearSince the first value on the clear side while it fires.
	ActiveAt   time.Time
	FiredAt    time.Time
	ClearSince time.Time
	// Held and ClearHeld are how long the breach or the clear side was seen:
	// the sum of the times between evaluations that both saw it.
	Held      time.Duration
	ClearHeld time.Duration
	// EvaluatedAt is the last evaluation, LastDataAt the last with a judged value.
	EvaluatedAt time.Time
	LastDataAt  time.Time
	// Usual and Noise are the median and the spread of the values before the alert
	// fired; zeros if too little was seen.
	Usual, Noise float64
	well         history
	// Rising are values in breach until the alert fired, oldest first and spread over
	// that time: by them an effect is told from what would have come anyway.
	Rising   []float64
	risingAt time.Time // of the last one
}

// keepRising is how many values are kept of a breach that becomes an alert.
const keepRising = 8

// Eval moves one alert on. It is pure: the same arguments give the same result,
// live, in replay and in a backtest. An unknown observation changes nothing but
// the verdict; only when data stays away for four times For (or ClearFor) an
// unfinished count is given up. It never fires and never clears an alert.
func Eval(r *Threshold, prev State, o Observation, at time.Time) State {
	next := look(r, prev, o, at)
	if next.Verdict.Unknown() {
		return wait(r, next, at)
	}
	if next.State == Firing {
		return calm(r, prev, next, at)
	}
	return rise(r, prev, next, at)
}

// look is what the observation alone says; the state does not move.
func look(r *Threshold, s State, o Observation, at time.Time) State {
	if s.State == "" {
		s.State = Inactive
	}
	if o.Unknown == "" && !finite(o.Value) {
		o = Observation{Unknown: Error, Reason: fmt.Sprintf("the value is %v", o.Value)}
	}
	s.EvaluatedAt, s.Silent = at, false
	if o.Silent && (s.State != Inactive || !s.LastDataAt.IsZero()) {
		s.Value, s.LastDataAt, s.Verdict, s.Unknown, s.Quiet, s.Silent = r.Clear, at, OK, "", false, true
		return s
	}
	s.Verdict, s.Unknown, s.Quiet = o.Unknown, o.Reason, o.Quiet
	if o.Unknown != "" {
		return s
	}
	s.Value, s.Labels, s.LastDataAt = o.Value, o.Labels, at
	s.Verdict, s.Quiet = OK, false
	if r.breached(o.Value) {
		s.Verdict = Breach
	}
	return s
}

// wait is an evaluation without data.
func wait(r *Threshold, s State, at time.Time) State {
	blind := at.Sub(s.LastDataAt)
	if s.State == Pending && blind > patience*r.For {
		s = inactive(s)
	}
	if s.State == Firing && blind > patience*r.ClearFor {
		s.ClearSince, s.ClearHeld = time.Time{}, 0
	}
	return s
}

// rise counts towards firing.
func rise(r *Threshold, prev, next State, at time.Time) State {
	if next.Verdict != Breach {
		if !next.Silent {
			next.well.add(next.Value, at)
		}
		return inactive(next)
	}
	if next.State != Pending || at.Sub(prev.risingAt) >= r.For/keepRising {
		next.Rising = append(slices.Clone(prev.Rising[max(0, len(prev.Rising)-keepRising+1):]), next.Value)
		next.risingAt = at
	}
	if next.State != Pending {
		next.State, next.ActiveAt, next.Held = Pending, at, 0
	} else if prev.Verdict == Breach {
		next.Held += seen(r, prev, at)
	}
	if next.Held >= r.For {
		next.State, next.FiredAt = Firing, at
		next.Usual, next.Noise = next.well.band()
	}
	return next
}

// calm counts towards the end of a firing alert.
func calm(r *Threshold, prev, next State, at time.Time) State {
	switch {
	case next.Verdict == Breach:
		if prev.Verdict == Breach {
			next.Held += seen(r, prev, at)
		}
		next.ClearSince, next.ClearHeld = time.Time{}, 0
		return next
	case !r.cleared(next.Value):
		next.ClearSince, next.ClearHeld = time.Time{}, 0
		return next
	case next.ClearSince.IsZero():
		next.ClearSince, next.ClearHeld = at, 0
	case !prev.Verdict.Unknown():
		next.ClearHeld += seen(r, prev, at)
	}
	if next.ClearHeld >= r.ClearFor {
		return inactive(next)
	}
	return next
}

// seen is the time since the previous evaluation, as far as it may count: not
// when the clock went back, and not when nobody looked for too long.
func seen(r *Threshold, prev State, at time.Time) time.Duration {
	d := at.Sub(prev.EvaluatedAt)
	if d < 0 || d > r.Staleness {
		return 0
	}
	return d
}

func inactive(s State) State {
	s.State = Inactive
	s.ActiveAt, s.FiredAt, s.ClearSince = time.Time{}, time.Time{}, time.Time{}
	s.Held, s.ClearHeld, s.Rising = 0, 0, nil
	return s
}

// changed reports whether people or the engine should hear of the step.
func changed(prev, next State) bool {
	return prev.State != next.State || prev.Verdict != next.Verdict
}
