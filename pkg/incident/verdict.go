package incident

import (
	"fmt"
	"slices"
	"strconv"
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

// How long a rollout without a deadline is waited for, and any rollout at most.
const (
	usualDeadline = 10 * time.Minute
	mostDeadline  = 30 * time.Minute
)

// settle waits for an applied op to take effect and judges it: the rule that
// opened the incident looks again, at later moments.
func (s *step) settle(e Tick) {
	op := s.i.Op
	if op.RolledAt.IsZero() && e.Rollout.Known && e.Rollout.Done && !op.undone(e.Rollout) {
		op.RolledAt = s.at
		if took := s.at.Sub(op.AppliedAt).Round(100 * time.Millisecond); e.Rollout.OfJob {
			s.note(KindComplete, fmt.Sprintf("Job %s completed %s after it was created", op.Plan.Object.Name, took))
		} else {
			s.note(KindRolledOut, fmt.Sprintf("complete %s after the write; %d replicas ready", took, e.Rollout.Ready))
		}
	}
	op.took(e.Rollout, s.at)
	if a, ok := s.i.Alert(op.Rule); ok {
		op.look(a)
		op.well(a)
	}
	if !s.at.Before(op.AppliedAt.Add(op.Verify)) && op.comes(e.Rollout, s.at) {
		s.noteOnce(KindRolling, fmt.Sprintf("%s after the write, %s: no verdict until it completes or %s have passed",
			s.at.Sub(op.AppliedAt).Round(time.Second), op.unfinished(e.Rollout), op.deadline(e.Rollout)))
	}
	if s.lostEndpoints(e) {
		return
	}
	if verdict, reason := judge(*op, s.i, e, s.at, s.p); verdict != "" {
		op.TakeBack = verdict == Harmed && op.RolledAt.IsZero() // pods were lost by it
		s.finish(verdict, reason)
	}
}

// look keeps what the rule said once the action had settled. What it could not
// see counts for neither side.
func (op *Op) look(a Alert) {
	if op.RolledAt.IsZero() || a.Verdict.Unknown() || !a.EvaluatedAt.After(op.RolledAt.Add(op.Settle)) ||
		!a.EvaluatedAt.After(op.AfterAt) {
		return
	}
	op.AfterAt = a.EvaluatedAt
	op.After = append(slices.Clone(op.After[max(0, len(op.After)-maxLooks+1):]), a.Value)
	if op.Well++; a.Verdict != OK {
		op.Well = 0
	}
}

// took remembers when the action began to take effect: its first pod is ready. A rollback
// may help before that, because it ends pods that fail.
//
// The pod says itself since when it is ready: this is known only a moment later, and what
// it mended meanwhile has not ended by itself.
func (op *Op) took(r Rollout, at time.Time) {
	came := r.Known && !r.LastReady.Before(op.PlannedAt.Truncate(time.Second))
	switch {
	case !op.TookAt.IsZero():
	case came && op.rolls() && r.LastReady.Before(at):
		op.TookAt = r.LastReady
	case came || !op.RolledAt.IsZero() || op.Plan.Action == ActionRollback || !op.rolls():
		op.TookAt = at
	}
}

// well remembers since when the rule says OK. What it cannot see changes nothing.
func (op *Op) well(a Alert) {
	switch {
	case a.Verdict == Breach:
		op.WellAt = time.Time{}
	case a.Verdict == OK && op.WellAt.IsZero():
		op.WellAt = a.EvaluatedAt
	}
}

// byItself reports whether the rule said OK before the action took effect, and ever since.
func (op *Op) byItself() bool {
	return !op.WellAt.IsZero() && op.Plan.Action != ActionRollback && op.WellAt.Before(op.TookAt)
}

// rolls reports whether the action brings pods.
func (op *Op) rolls() bool { return op.Plan.Action != ActionJob }

// undone reports whether the workload wants fewer pods than the action asked for: somebody
// has reset them, or the autoscaler has not followed.
func (op *Op) undone(r Rollout) bool {
	want, err := strconv.Atoi(op.Plan.After)
	return op.Plan.Action == ActionScale && err == nil && r.Known && 0 < r.Replicas && r.Replicas < want
}

// unfinished says what of the action is not complete.
func (op *Op) unfinished(r Rollout) string {
	if r.OfJob {
		return fmt.Sprintf("Job %s has not finished", op.Plan.Object.Name)
	}
	if op.undone(r) {
		return fmt.Sprintf("%d replicas are specified, the action set %s", r.Replicas, op.Plan.After)
	}
	return fmt.Sprintf("the rollout is not complete (%d replicas ready)", r.Ready)
}

// deadline is how long the action's rollout is waited for.
func (op *Op) deadline(r Rollout) time.Duration {
	d := r.Deadline
	if d <= 0 {
		d = usualDeadline
	}
	return max(op.Verify, min(d, mostDeadline))
}

// comes reports whether what the action brings is still to come: its rollout is neither
// complete nor stalled nor undone, and its deadline has not passed (INV-63).
func (op *Op) comes(r Rollout, at time.Time) bool {
	return (op.rolls() || r.OfJob) && op.RolledAt.IsZero() && !(r.Known && r.Stalled != "") && !op.undone(r) &&
		at.Before(op.AppliedAt.Add(op.deadline(r)))
}

// judge returns the verdict on an applied op, or "" while it is too early. It
// compares the values before the action with those after it had settled, and
// both with the noise of the time before the incident (median and 3 standard
// deviations by the median absolute deviation).
//
// An effect has its time from the moment on at which the rollout is complete, and no verdict
// is given before that: pods that are still starting prove nothing (INV-63).
//
//   - recovered by itself: the last looks all said OK, and they began to before the first
//     pod of the action was ready.
//   - helped: the last looks all said OK, and the value moved by more than noise;
//     never while the condition still holds.
//   - harmed: it is much further off than before, by more than noise, and was not
//     growing before; or at the deadline fewer replicas are ready than before and
//     the rollout is not complete.
//   - no effect: at the deadline the condition still holds, or the Job failed.
//   - unknown: at the deadline the rule cannot see, or what changed is noise, or somebody had
//     undone the action before its pods were there.
func judge(op Op, i Incident, e Tick, at time.Time, p Policy) (verdict OpVerdict, reason string) {
	a, ok := i.Alert(op.Rule)
	looks := max(1, p.Looks)
	then, now := middle(op.Before, op.ValueThen), middle(op.After[max(0, len(op.After)-looks):], a.Value)
	took := at.Sub(op.AppliedAt).Round(time.Second)
	from := later(op.AppliedAt, op.RolledAt)
	late := !at.Before(from.Add(op.Verify))
	if ok && a.Verdict == OK && 0 < op.Well && op.Well < looks {
		late = !at.Before(from.Add(2 * op.Verify)) // it looks well: the last looks are waited for
	}
	late = late && !op.comes(e.Rollout, at)
	moved := a.gain(then, now) > a.Noise || a.Noise == 0
	switch {
	case e.Rollout.OfJob && e.Rollout.Stalled != "":
		return NoEffect, fmt.Sprintf("%s after it was created, %s", took, e.Rollout.Stalled)
	case ok && a.Verdict == OK && op.Well >= looks && op.byItself():
		return ByItself, fmt.Sprintf("%s cleared %s before the first pod of the action was ready", op.Rule,
			op.TookAt.Sub(op.WellAt).Round(100*time.Millisecond))
	case ok && a.Verdict == OK && op.Well >= looks && moved:
		return Helped, fmt.Sprintf("%s cleared %s after the action, in %d checks: %s", op.Rule, took, op.Well,
			a.Reason)
	case ok && a.Verdict == Breach && len(op.After) >= looks && harmed(a, op, then, now):
		return Harmed, fmt.Sprintf("%s after the action, %s is far worse than before (%.4g, was %.4g): %s", took,
			op.Rule, now, then, a.Reason)
	case !late:
		return "", ""
	case op.RolledAt.IsZero() && e.Rollout.Known && !e.Rollout.OfJob && e.Rollout.Ready < op.ReadyThen:
		return Harmed, fmt.Sprintf("%s after the action, the rollout is not complete and %d replicas are ready "+
			"(before: %d)", took, e.Rollout.Ready, op.ReadyThen)
	case op.RolledAt.IsZero() && op.undone(e.Rollout):
		return Unclear, fmt.Sprintf("%s after the action, %s: it had no time to take effect", took, op.unfinished(e.Rollout))
	case !ok || a.Verdict.Unknown():
		return Unclear, fmt.Sprintf("%s after the action, %s is %s: %s", took, op.Rule, a.Verdict, a.Reason)
	case a.Verdict == OK && op.RolledAt.IsZero():
		return Unclear, fmt.Sprintf("%s after the action, %s has cleared, but %s", took, op.Rule,
			op.unfinished(e.Rollout))
	case a.Verdict == OK && op.Well < looks:
		return Unclear, fmt.Sprintf("%s after the action, %s has cleared, but only in the last %d checks", took,
			op.Rule, op.Well)
	case a.Verdict == OK:
		return Unclear, fmt.Sprintf("%s after the action, %s has cleared, but moved only from %.4g to %.4g; before "+
			"the incident it deviated by %.4g from %.4g, so this may be noise", took, op.Rule, then, now, a.Noise,
			a.Usual)
	}
	return NoEffect, fmt.Sprintf("%s after the action, %s is still in breach: %s", took, op.Rule, a.Reason)
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
