package remediate

import "watchdog.io/watchdog/pkg/incident"

// sameTarget: the plan is for the incident's own object, a conditional write is possible
// (INV-03), and its namespace is not terminating (F-16, F-23).
func sameTarget(f Facts, p incident.Plan) incident.Answer {
	want, have := f.Incident.Target, f.Workload.Target
	switch {
	case have.UID == "":
		return hold(incident.HandOver, "cannot identify %s: the API server returned no uid", want)
	case want.Workload != "" && want.String() != have.String():
		return hold(incident.HandOver, "the incident is about %s, but %s was read", want, have)
	case want.UID != "" && want.UID != have.UID:
		return hold(incident.HandOver, "%s was deleted and recreated: its uid was %s, now it is %s", want, want.UID,
			have.UID)
	case f.Workload.NamespaceTerminating:
		return hold(incident.HandOver, "the namespace %s is terminating", have.Namespace)
	case p.Changeful() && (p.Object.UID == "" || p.Object.ResourceVersion == ""):
		return hold(incident.HandOver, "%s %s has uid %q and resourceVersion %q: it cannot be written conditionally",
			p.Object.Resource, p.Object.Name, p.Object.UID, p.Object.ResourceVersion)
	}
	return pass("%s has uid %s", have, have.UID)
}
