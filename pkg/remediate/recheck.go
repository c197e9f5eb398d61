package remediate

import (
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Recheck runs on a fresh read immediately before the write. It asks the same
// guards, and checks that the plan still fits: a new plan from the fresh facts must
// be the same, on the same object (uid), from the same Before value. It returns the
// plan with the fresh resourceVersion, or, if it no longer fits, unchanged.
//
// Facts.OpID must be the op's id, and Facts.Rung and Options those it was planned with.
func Recheck(f Facts, planned incident.Plan) (incident.Plan, []incident.Answer) {
	if planned.Action == incident.ActionRevert {
		return recheckRevert(f, planned)
	}
	f.Rung.Action = planned.Action
	again, fits := refit(f, planned)
	if fits.Hold != "" {
		return planned, append([]incident.Answer{fits}, ask(Guards(), f, planned)...)
	}
	planned.Object = again.Object
	return planned, append([]incident.Answer{fits}, ask(Guards(), f, planned)...)
}

// refit plans again as of the time of the first plan and compares.
func refit(f Facts, planned incident.Plan) (incident.Plan, incident.Answer) {
	again, a := planFor(asOf(f, planned))
	a.Guard = "still fits"
	switch {
	case a.Hold != "":
	case planned.Object.UID != again.Object.UID || planned.Target.UID != again.Target.UID:
		a.Hold = incident.HandOver
		a.Reason = "planned for uid " + planned.Object.UID + ", now it is uid " + again.Object.UID
	case planned.Before != again.Before || planned.Field != again.Field:
		a = answer(a.Guard, incident.Wait, "%s was %s when planned, now %s is %s; the action is planned again", planned.Field,
			planned.Before, again.Field, again.Before)
	case Hash(planned) != Hash(again):
		a = answer(a.Guard, incident.Wait,
			"the workload changed since the plan was made: a new plan would change it to %s, not %s (hash %.12s, was %.12s)",
			again.After, planned.After, Hash(again), Hash(planned))
	default:
		a = answer(a.Guard, "", "%s is still %s; resourceVersion %s, was %s when planned", planned.Field,
			planned.Before, again.Object.ResourceVersion, planned.Object.ResourceVersion)
	}
	return again, a
}

// asOf sets the time of the facts to that of a plan that writes it, as a restart does.
func asOf(f Facts, planned incident.Plan) Facts {
	if at, err := time.Parse(time.RFC3339, planned.After); err == nil && planned.Action == incident.ActionRestart {
		f.Now = at
	}
	return f
}

// recheckRevert checks again whether the change of a lease is still in place.
func recheckRevert(f Facts, planned incident.Plan) (incident.Plan, []incident.Answer) {
	f.Incident.Target = anyUID(planned.Target)
	if planned.Is != "" {
		object, a := stillStands(f, planned.Object, planned.Was, planned.Before)
		a.Guard = "still fits"
		planned.Object = object
		return planned, append([]incident.Answer{a}, ask(revertGuards(), f, planned)...)
	}
	object, a := stillHolds(f, planned.Object, planned.Field, planned.Before, planned.Target)
	a.Guard = "still fits"
	if a.Hold == "" {
		planned.Object = object
	}
	return planned, append([]incident.Answer{a}, ask(revertGuards(), f, planned)...)
}
