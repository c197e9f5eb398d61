package remediate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Consider plans the rung's action from the facts and asks every guard. It
// returns the plan (zero if none could be made) and every answer, also those of
// guards after the first that holds, each with its number.
//
// The guards are asked even if no plan could be made: a ladder never goes back
// down, so a rung must not be skipped while a person holds the target or
// watchdog is blind.
func Consider(f Facts) (incident.Plan, []incident.Answer) {
	then := f
	if r := f.Incident.Asked; r != nil && r.Op == f.OpID {
		then = asOf(f, r.Plan) // the plan that was put before a person, if it still fits
	}
	plan, answer := planFor(then)
	if answer.Hold != "" {
		plan = incident.Plan{Action: f.Rung.Action, Class: ClassOf(f.Rung.Action), Target: target(f)}
		return incident.Plan{}, append([]incident.Answer{answer}, ask(Guards(), f, plan)...)
	}
	return plan, append([]incident.Answer{answer}, ask(Guards(), f, plan)...)
}

// planFor returns the rung's plan, or the answer that explains why there is none.
func planFor(f Facts) (incident.Plan, incident.Answer) {
	action, ok := ActionOf(f.Rung.Action)
	if !ok {
		return incident.Plan{}, answer("plan", incident.HandOver, "unknown action %q; expected one of: %s",
			f.Rung.Action, strings.Join(ActionNames(), ", "))
	}
	plan, refusal := action.plan(f)
	if refusal != nil {
		refusal.Guard = "plan"
		return incident.Plan{}, *refusal
	}
	plan.Action, plan.Class, plan.Target = action.Name, action.Class, target(f)
	plan.Hash = Hash(plan)
	return plan, answer("plan", "", "%s; disrupts at most %d pods", plan.Summary, plan.Price)
}

// target is the incident's target with the uid that was just read.
func target(f Facts) incident.Target {
	t := f.Incident.Target
	if t.Workload == "" {
		return f.Workload.Target
	}
	t.UID = f.Workload.Target.UID
	return t
}

// Held returns the weightiest hold among the answers (Suppress, Freeze,
// HandOver, Skip, Advise, Wait, Ask; "" when nothing holds), a one-line reason, and
// the latest RetryAt of the answers that say Wait.
//
// Skip outweighs Advise, so that what a person is advised is an action that
// could be taken; and a person is asked only when nothing else speaks against it.
func Held(answers []incident.Answer) (hold incident.Hold, reason string, retryAt time.Time) {
	worst, retryAt := Worst(answers)
	if worst.Hold == "" {
		return "", "", time.Time{}
	}
	reason = worst.Guard + ": " + worst.Reason
	if worst.Hold == incident.Advise {
		reason += unpromised(answers)
	}
	return worst.Hold, oneLine(reason), retryAt
}

// Worst returns the weightiest answer, which is the zero one if none holds, and the latest
// RetryAt of those that say Wait.
func Worst(answers []incident.Answer) (worst incident.Answer, retryAt time.Time) {
	for _, a := range answers {
		if a.Hold == incident.Wait && a.RetryAt.After(retryAt) {
			retryAt = a.RetryAt
		}
		if w := cmp.Compare(weight(a.Hold), weight(worst.Hold)); w > 0 || w == 0 && a.Hold == incident.Wait &&
			a.RetryAt.After(worst.RetryAt) {
			worst = a
		}
	}
	return worst, retryAt
}

// unpromised explains why mode auto would not take the advised action either.
func unpromised(answers []incident.Answer) string {
	for _, a := range answers {
		if a.Hold == incident.Wait {
			return "; mode auto would also wait: " + a.Guard + ": " + a.Reason
		}
	}
	return ""
}

// weight orders holds; an unknown one weighs most, because its meaning is unknown.
func weight(h incident.Hold) int {
	order := []incident.Hold{"", incident.Ask, incident.Wait, incident.Advise, incident.Skip, incident.HandOver,
		incident.Freeze, incident.Suppress}
	if i := slices.Index(order, h); i >= 0 {
		return i
	}
	return len(order)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// answer is the answer of one guard. With an empty hold the plan passes.
func answer(guard string, hold incident.Hold, format string, args ...any) incident.Answer {
	return incident.Answer{Guard: guard, Hold: hold, Reason: fmt.Sprintf(format, args...)}
}

// pass and hold leave the guard's name to the list of guards.
func pass(format string, args ...any) incident.Answer { return answer("", "", format, args...) }

func hold(h incident.Hold, format string, args ...any) incident.Answer {
	return answer("", h, format, args...)
}
