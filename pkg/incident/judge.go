package incident

import (
	"fmt"
	"slices"
	"time"
)

const (
	// harmFactor is how much further from the bound a value must be than before the
	// action to count as harm.
	harmFactor = 1.5
	// trendShare is how much of the distance to the bound a value must have grown
	// by itself before the action, so that its growth afterwards proves nothing.
	trendShare = 0.2
	// maxLooks bounds the values kept after an action.
	maxLooks = 20
)

// settle waits for an applied op to take effect and judges it: the rule that
// opened the incident looks again, at later moments.
func (s *step) settle(e Tick) {
	op := s.i.Op
	if op.RolledAt.IsZero() && e.Rollout.Known && e.Rollout.Done {
		op.RolledAt = s.at
		s.note("rolled out", fmt.Sprintf("complete %s after the write; %d replicas ready", s.at.Sub(op.AppliedAt).Round(100*time.Millisecond), e.Rollout.Ready))
	}
	if a, ok := s.i.Alert(op.Rule); ok {
		op.look(a)
	}
	if verdict, reason := judge(*op, s.i, e, s.at, s.p); verdict != "" {
		s.finish(verdict, reason)
	}
}

// look keeps what the rule said once the action had settled. What it could not
// see counts for neither side.
func (op *Op) look(a Alert) {
	if op.RolledAt.IsZero() || a.Verdict.Unknown() || !a.EvaluatedAt.After(op.RolledAt.Add(op.Settle)) || !a.EvaluatedAt.After(op.AfterAt) {
		return
	}
	op.AfterAt = a.EvaluatedAt
	op.After = append(slices.Clone(op.After[max(0, len(op.After)-maxLooks+1):]), a.Value)
	if op.Well++; a.Verdict != OK {
		op.Well = 0
	}
}

// judge returns the verdict on an applied op, or "" while it is too early. It
// compares the values before the action with those after it had settled, and
// both with the noise of the time before the incident (median and 3 standard
// deviations by the median absolute deviation).
//
//   - helped: the last looks all said OK, and the value moved by more than noise;
//     never while the condition still holds.
//   - harmed: it is much further off than before, by more than noise, and was not
//     growing before; or at the deadline fewer replicas are ready than before and
//     the rollout is not complete.
//   - no effect: at the deadline the condition still holds.
//   - unknown: at the deadline the rule cannot see, or what changed is noise.
func judge(op Op, i Incident, e Tick, at time.Time, p Policy) (verdict, reason string) {
	a, ok := i.Alert(op.Rule)
	looks := max(1, p.Looks)
	then, now := middle(op.Before, op.ValueThen), middle(op.After[max(0, len(op.After)-looks):], a.Value)
	took := at.Sub(op.AppliedAt).Round(time.Second)
	late := !at.Before(op.AppliedAt.Add(op.Verify))
	if ok && a.Verdict == OK && 0 < op.Well && op.Well < looks {
		late = !at.Before(op.AppliedAt.Add(2 * op.Verify)) // it looks well: the last looks are waited for
	}
	moved := a.gain(then, now) > a.Noise || a.Noise == 0
	switch {
	case ok && a.Verdict == OK && op.Well >= looks && moved:
		return Helped, fmt.Sprintf("%s holds no more %s after the action, in %d looks: %s", op.Rule, took, op.Well, a.Reason)
	case ok && a.Verdict == Breach && len(op.After) >= looks && harmed(a, op, then, now):
		return Harmed, fmt.Sprintf("%s after the action %s is much further off than before (%.4g, was %.4g): %s", took, op.Rule, now, then, a.Reason)
	case !late:
		return "", ""
	case op.RolledAt.IsZero() && e.Rollout.Known && e.Rollout.Ready < op.ReadyThen:
		return Harmed, fmt.Sprintf("%s after the action the rollout is not complete and %d replicas are ready, %d before", took, e.Rollout.Ready, op.ReadyThen)
	case !ok || a.Verdict.Unknown():
		return Unclear, fmt.Sprintf("%s after the action %s is %s: %s", took, op.Rule, a.Verdict, a.Reason)
	case a.Verdict == OK && op.RolledAt.IsZero():
		return Unclear, fmt.Sprintf("%s after the action %s holds no more, but the rollout is not complete", took, op.Rule)
	case a.Verdict == OK && op.Well < looks:
		return Unclear, fmt.Sprintf("%s after the action %s holds no more, but only in the last %d looks", took, op.Rule, op.Well)
	case a.Verdict == OK:
		return Unclear, fmt.Sprintf("%s after the action %s holds no more, but it moved from %.4g to %.4g only, and before the incident it strayed by %.4g from %.4g: that may be chance", took, op.Rule, then, now, a.Noise, a.Usual)
	}
	return NoEffect, fmt.Sprintf("%s after the action %s still holds: %s", took, op.Rule, a.Reason)
}

// harmed reports whether the action made it worse: by more than the values strayed
// before it, and what grew before it would have grown without it.
func harmed(a Alert, op Op, then, now float64) bool {
	noise := a.Noise
	if len(op.Before) > 0 {
		noise = max(noise, slices.Max(op.Before)-slices.Min(op.Before))
	}
	if !a.Worse(then, now, harmFactor) || -a.gain(then, now) <= noise {
		return false
	}
	half := len(op.Before) / 2
	if half == 0 {
		return true
	}
	grew := -a.gain(middle(op.Before[:half], 0), middle(op.Before[len(op.Before)-half:], 0))
	return grew <= max(a.Noise, trendShare*max(then-a.Bound, a.Bound-then))
}

// middle is the median of the values, or the given one if there is none.
func middle(values []float64, none float64) float64 {
	if len(values) == 0 {
		return none
	}
	v := slices.Sorted(slices.Values(values))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
