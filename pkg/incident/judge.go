package incident

import (
	"fmt"
	"time"
)

// harmFactor is how much further from the bound a value must be than before the
// action to count as harm and not as noise.
const harmFactor = 1.5

// settle waits for an applied op to take effect and judges it: the rule that
// opened the incident looks again, at a later moment.
func (s *step) settle(e Tick) {
	op := s.i.Op
	if op.RolledAt.IsZero() && e.Rollout.Known && e.Rollout.Done {
		op.RolledAt = s.at
		s.note("rolled out", fmt.Sprintf("complete %s after the write; %d replicas ready", s.at.Sub(op.AppliedAt).Round(100*time.Millisecond), e.Rollout.Ready))
	}
	if verdict, reason := judge(*op, s.i, e, s.at); verdict != "" {
		s.finish(verdict, reason)
	}
}

// judge returns the verdict on an applied op, or "" while it is too early.
//
//   - helped: the rollout is complete, the settle time is over, and the rule's
//     own look after that says OK; never while the condition still holds.
//   - harmed: at the deadline fewer replicas are ready than before and the
//     rollout is not complete, or the value is far worse than before.
//   - no effect: at the deadline the condition still holds.
//   - unknown: at the deadline the rule cannot see.
func judge(op Op, i Incident, e Tick, at time.Time) (verdict, reason string) {
	a, ok := i.Alert(op.Rule)
	settled := !op.RolledAt.IsZero() && a.EvaluatedAt.After(op.RolledAt.Add(op.Settle))
	late := !at.Before(op.AppliedAt.Add(op.Verify))
	took := at.Sub(op.AppliedAt).Round(time.Second)
	switch {
	case ok && settled && a.Verdict == OK:
		return Helped, fmt.Sprintf("%s holds no more %s after the action: %s", op.Rule, took, a.Reason)
	case !late:
		return "", ""
	case op.RolledAt.IsZero() && e.Rollout.Known && e.Rollout.Ready < op.ReadyThen:
		return Harmed, fmt.Sprintf("%s after the action the rollout is not complete and %d replicas are ready, %d before", took, e.Rollout.Ready, op.ReadyThen)
	case !ok || a.Verdict.Unknown():
		return Unclear, fmt.Sprintf("%s after the action %s is %s: %s", took, op.Rule, a.Verdict, a.Reason)
	case a.Verdict == OK:
		return Unclear, fmt.Sprintf("%s after the action %s holds no more, but the rollout is not complete", took, op.Rule)
	case a.Worse(op.ValueThen, a.Value, harmFactor):
		return Harmed, fmt.Sprintf("%s after the action %s is further off than before: %s", took, op.Rule, a.Reason)
	}
	return NoEffect, fmt.Sprintf("%s after the action %s still holds: %s", took, op.Rule, a.Reason)
}
