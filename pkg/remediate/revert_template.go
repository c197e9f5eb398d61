package remediate

import (
	"fmt"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"watchdog.io/watchdog/pkg/incident"
)

// revertTemplate plans the revert of a harmful rollback: it restores the previous
// template, if the current one is still the one that watchdog wrote.
func revertTemplate(f Facts, lease incident.Lease) (incident.Plan, []incident.Answer) {
	was := lease.Plan
	object, a := stillStands(f, was.Object, was.Is, was.After)
	if a.Hold == "" && !undoes(f.Workload, was) {
		a = hold(incident.HandOver, "op %s on %s has no inverse that restores its template; redeploy it "+
			"manually", lease.Op, was.Target)
	}
	a.Guard = "lease"
	if a.Hold != "" {
		return incident.Plan{}, []incident.Answer{a}
	}
	plan := incident.Plan{
		Action: incident.ActionRevert, Class: was.Class, Target: was.Target, Object: object, Patch: was.Inverse,
		Revision: was.Back,
		Field:    was.Field, Before: was.After, After: was.Before, Was: was.Is, Is: was.Was, Price: f.Workload.Desired +
			f.Workload.MaxSurge,
		Summary: fmt.Sprintf("revert the rollback of %s, from revision %s to %s: %s", was.Target, was.After,
			was.Before, WhyReverted(f.Ledger, lease)),
	}
	plan.Hash = Hash(plan)
	return plan, append([]incident.Answer{a}, ask(revertGuards(), f, plan)...)
}

// stillStands answers whether the workload still has the template of the given
// fingerprint, which watchdog wrote, and returns the current object.
func stillStands(f Facts, object incident.Object, template, revision string) (incident.Object, incident.Answer) {
	w := f.Workload
	switch {
	case w.Target.UID == "":
		return object, hold(incident.Wait, "cannot identify %s: the API server returned no uid", w.Target)
	case w.Target.UID != object.UID:
		return object, hold(incident.Skip, "%s is now another object (uid %s, was %s); left unchanged", w.Target,
			w.Target.UID, object.UID)
	case fingerprint(w.Template) != template:
		return object, hold(incident.Skip,
			"the template of %s is no longer that of revision %s, which watchdog wrote: %s; left unchanged", w.Target,
			revision, lastWriter(w, incident.Move{Was: template}))
	}
	return deployment(w), pass("the template of %s is still that of revision %s", w.Target, revision)
}

// undoes reports whether the plan's inverse turns the current template into the
// one before the plan.
func undoes(w Workload, plan incident.Plan) bool {
	if plan.Back != nil {
		to, err := named(w, plan.Back)
		return err == nil && fingerprint(to) == plan.Was
	}
	// As stored by versions that did not name the revision.
	now, err := canonicalTemplate(w.Template, false)
	if err != nil {
		return false
	}
	back, err := jsonpatch.MergePatch(wrapTemplate(now), plan.Inverse)
	if err != nil {
		return false
	}
	template, err := unwrapTemplate(back)
	return err == nil && fingerprint(template) == plan.Was
}
