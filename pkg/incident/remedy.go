package incident

import (
	"slices"
	"time"
)

// Remedy is the last action that was judged to have helped. What rules see looks
// back: for some time afterwards they see what the action has ended.
type Remedy struct {
	// At is when the action took effect: its rollout was complete, or the rule that it was
	// for said OK a settle time later.
	At time.Time `json:"at"`
	// Settle is how long the world was then left alone.
	Settle time.Duration `json:"settle,omitempty"`
	// Seen are rules that said OK since, in an incident that followed the remedy's.
	Seen []string `json:"seen,omitempty"`
}

// Residual reports whether the alert may rest on samples from before the remedy
// took effect. It waits for the same verification: until what the rule looks back
// at lies after the remedy, and the settle time has passed. A rule that said OK
// since then sees something new, and so does one that is in breach after that.
func (i Incident) Residual(a Alert, at time.Time) bool {
	r := i.Remedy
	settled := r.At.Add(r.Settle)
	switch {
	case r.At.IsZero() || a.Lookback <= 0 || slices.Contains(r.Seen, a.Rule):
		return false
	case !at.Before(settled.Add(a.Lookback)):
		return false
	}
	if old, ok := i.Alert(a.Rule); ok && a.OKAt.IsZero() {
		a.OKAt = old.OKAt
	}
	return a.OKAt.Before(settled)
}

// Following hands the remedy of an incident that is over to one that opens on the
// same target.
func Following(i, last Incident) Incident {
	i.Remedy = last.Remedy
	i.Remedy.Seen = slices.Clone(i.Remedy.Seen)
	for _, a := range last.Alerts {
		if !last.Remedy.At.IsZero() && !a.OKAt.Before(last.Remedy.At.Add(last.Remedy.Settle)) &&
			!slices.Contains(i.Remedy.Seen, a.Rule) {
			i.Remedy.Seen = append(i.Remedy.Seen, a.Rule)
		}
	}
	return i
}

// remedied keeps when an action took effect that ended what it was for: when its rollout
// was complete. Where the rule said OK only after the settle time, what it saw until then
// is in the windows of other rules that much longer.
func (s *step) remedied(op Op) {
	at := op.RolledAt
	if at.IsZero() {
		at = op.AppliedAt
	}
	s.i.Remedy = Remedy{At: later(at, op.WellAt.Add(-op.Settle)), Settle: op.Settle}
}

// raiseAfterRemedy lets the severity follow alerts that waited and still fire.
func (s *step) raiseAfterRemedy() {
	if s.i.Remedy.At.IsZero() || !s.i.Graded.At.IsZero() {
		return
	}
	for _, a := range s.i.Alerts {
		if a.Firing && !s.residual(a) {
			s.raise(a)
		}
	}
}

// residual is Residual at the moment of the step.
func (s *step) residual(a Alert) bool { return s.i.Residual(a, s.at) }
