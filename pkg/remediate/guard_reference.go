package remediate

import (
	"fmt"
	"slices"

	"watchdog.io/watchdog/pkg/incident"
)

// referencesThere: the objects that pods of the rollback's revision need to start must
// still exist (INV-31, INV-66). Tools that give each release a ConfigMap of its own prune
// the old ones.
//
// Secrets are never read. One that the current revision references too, and with which one
// of its pods has started, exists; any other cannot be checked.
func referencesThere(f Facts, p incident.Plan) incident.Answer {
	if p.Action != incident.ActionRollback {
		return pass("a %s adds no references", p.Action)
	}
	to, current, refusal := destination(f)
	if refusal != nil || !p.Changeful() {
		return pass("there is no revision to roll back to")
	}
	needs, err := References(to.Template)
	if err != nil {
		return hold(incident.HandOver, "cannot read the references of revision %s: %v", describe(to), err)
	}
	for _, n := range needs {
		if why := lacks(f, n, current); why != "" {
			return hold(incident.HandOver, "the pods of revision %s need %s, %s", describe(to), n, why)
		}
	}
	return pass("%d of %d objects that the pods of revision %s need exist", len(needs), len(needs), describe(to))
}

// lacks explains why an object may be missing; "" if it exists.
func lacks(f Facts, n Reference, current Revision) string {
	if n.Kind == secret {
		used, err := References(current.Template)
		if err == nil && started(f.Workload, current) && slices.ContainsFunc(used,
			func(u Reference) bool { return u.Kind == secret && u.Name == n.Name && covers(u.Keys, n.Keys) }) {
			return ""
		}
		return fmt.Sprintf("which cannot be checked: watchdog reads no Secrets, and no pod of the current revision "+
			"has started with it. If it exists, run `kubectl -n %s rollout undo deployment/%s`",
			f.Workload.Target.Namespace, f.Workload.Target.Workload)
	}
	k := slices.IndexFunc(f.References, func(r Reference) bool { return r.Kind == n.Kind && r.Name == n.Name })
	switch {
	case k < 0:
		return "which was not checked"
	case f.References[k].Unknown != "":
		return "which could not be read: " + f.References[k].Unknown
	case f.References[k].Gone:
		return "which no longer exists: they would not start"
	case len(f.References[k].MissingKeys) > 0:
		return fmt.Sprintf("which has no key %s: they would not start", list(f.References[k].MissingKeys))
	}
	return ""
}

// covers reports whether all required keys are among those used; an object used as a whole
// proves none of its keys.
func covers(used, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(k string) bool { return !slices.Contains(used, k) })
}

// started reports whether the containers of some pod of the revision were started,
// so that everything that it references existed.
func started(w Workload, r Revision) bool {
	return slices.ContainsFunc(podsOf(w, r), func(p Pod) bool {
		return p.Ready || p.Waiting == "CrashLoopBackOff" || p.Scheduled && p.Waiting == "" && !p.StartedAt.IsZero()
	})
}

// Needs are the objects that must be read before the rung can be considered.
func Needs(f Facts) []Reference {
	var needs []Reference
	switch f.Rung.Action {
	case incident.ActionRollback:
		if to, _, refusal := destination(f); refusal == nil {
			needs, _ = References(to.Template)
		}
	case incident.ActionRestart:
		needs, _ = References(f.Workload.Template)
		needs = slices.DeleteFunc(needs, func(r Reference) bool { return r.Kind != volumeClaim })
	}
	return slices.DeleteFunc(needs, func(r Reference) bool { return r.Kind == secret })
}
