package remediate

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Revert plans the revert of a lease, and asks the guards that apply to it:
// kill switch, single flight, target, hold, mode, claim, blind and other owner. It plans
// only while the field still has the value that the lease's op wrote; otherwise the
// answer is Skip with who changed it, and the lease is to be dropped: the later
// change wins.
func Revert(f Facts, lease incident.Lease) (incident.Plan, []incident.Answer) {
	was := lease.Plan
	f.Incident.Target = anyUID(was.Target)
	if was.Is != "" {
		return revertTemplate(f, lease)
	}
	plan := incident.Plan{Action: incident.ActionRevert, Class: was.Class, Target: was.Target}
	back, err := fieldValue(was.Inverse, was.Field)
	after, errAfter := strconv.Atoi(was.After)
	var a incident.Answer
	var object incident.Object
	if err != nil || errAfter != nil {
		a = hold(incident.HandOver, "op %s on %s has no readable inverse; revert %s manually",
			lease.Op, was.Target, was.Field)
	} else {
		object, a = stillHolds(f, was.Object, was.Field, was.After, was.Target)
	}
	a.Guard = "lease"
	if a.Hold != "" {
		return incident.Plan{}, []incident.Answer{a}
	}
	plan.Object, plan.Patch = object, was.Inverse
	plan.Field, plan.Before, plan.After = was.Field, was.After, strconv.Itoa(back)
	plan.Price = max(0, after-back)
	plan.Summary = fmt.Sprintf("revert %s of %s %s from %s to %d: %s", was.Field, object.Resource, object.Name,
		was.After, back, WhyReverted(f.Ledger, lease))
	plan.Hash = Hash(plan)
	return plan, append([]incident.Answer{a}, ask(revertGuards(), f, plan)...)
}

// WhyReverted explains why the change is reverted: a request, harm, or the end of its lease.
func WhyReverted(l incident.Ledger, lease incident.Lease) string {
	if m, ok := l.Undo[lease.Op]; ok {
		return fmt.Sprintf("requested by %s (%s)", cmp.Or(m.By, "somebody"), cmp.Or(clip(m.Reason), "no reason given"))
	}
	if lease.Plan.Lease == 0 {
		return fmt.Sprintf("op %s was harmful", lease.Op)
	}
	return fmt.Sprintf("the lease of op %s expired at %s", lease.Op, lease.ExpiresAt.UTC().Format(time.RFC3339))
}

// anyUID leaves the check of identity to stillHolds: an autoscaler outlives
// the workload that it scales.
func anyUID(t incident.Target) incident.Target {
	t.UID = ""
	return t
}

// stillHolds answers whether the field of the object still has the value, and
// returns the current object.
func stillHolds(f Facts, object incident.Object, field, value string,
	target incident.Target) (incident.Object, incident.Answer) {
	w := f.Workload
	now := leverOf(w)
	if w.Target.UID == "" {
		return object, hold(incident.Wait, "cannot identify %s: the API server returned no uid", target)
	}
	if field == replicasField && w.HPA != nil {
		return object, hold(incident.Skip, "HPA %s now owns spec.replicas of %s; left unchanged", w.HPA.Name, target)
	}
	if now.field != field {
		return object, hold(incident.Skip, "%s %s, whose %s was %s, no longer exists: nothing to revert",
			object.Resource, object.Name, field, value)
	}
	if now.object.UID != object.UID || now.object.Name != object.Name {
		return object, hold(incident.Skip, "%s %s is now another object (uid %s, was %s); left unchanged",
			object.Resource, object.Name, now.object.UID, object.UID)
	}
	if have := strconv.Itoa(now.value); have != value {
		return object, hold(incident.Skip, "%s of %s %s is %s, not the %s that watchdog wrote: %s; left unchanged",
			field, object.Resource, object.Name, have, value, changedBy(f, field))
	}
	return now.object, pass("%s of %s %s is still %s", field, object.Resource, object.Name, value)
}

// changedBy names the last writer of the field, according to the object's field managers.
func changedBy(f Facts, field string) string {
	annotations := f.Workload.Annotations
	if field == minReplicasField {
		annotations = f.Workload.HPA.Annotations
	}
	var last Manager
	for _, m := range f.Workload.Managers {
		if field == replicasField && m.Replicas && m.At.After(last.At) {
			last = m
		}
	}
	if last.Name == "" || last.Name == "watchdog" {
		return "last written by " + cmp.Or(quoteNonEmpty("op", annotations[OpAnnotation]), "an unknown writer")
	}
	return fmt.Sprintf("%s changed it %s ago", last.Name, max(0, f.Now.Sub(last.At)).Round(time.Second))
}

func quoteNonEmpty(what, s string) string {
	if s == "" {
		return ""
	}
	return what + " " + clip(s)
}
