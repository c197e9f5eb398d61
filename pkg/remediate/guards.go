package remediate

import (
	"fmt"

	"watchdog.io/watchdog/pkg/incident"
)

// guard is one question that must be answered before anything is done.
type guard struct {
	name string
	// from is the lowest class of action that the guard is asked of.
	from incident.Class
	// ask always gives a reason, with the numbers compared. It never changes the plan.
	ask func(Facts, incident.Plan) incident.Answer
}

// guards returns every guard in the order in which the answers are told. The
// ledger's own limits come before them.
func guards() []guard {
	return []guard{
		{"target", incident.C0, sameTarget},
		{"deletion", incident.C2, notDeleted},
		{"hold", incident.C2, noHold},
		{"silence", incident.C2, notSilenced},
		{"maintenance", incident.C2, notInMaintenance},
		{"mode", incident.C2, modeAllows},
		{incident.ApprovalGuard, incident.C2, approved},
		{"claim", incident.C2, oursToManage},
		{"verdict", incident.C2, inBreach},
		{"stale evidence", incident.C2, freshEvidence},
		{"blind", incident.C2, seeing},
		{"max unhealthy", incident.C2, fewUnhealthy},
		{"hint", incident.C2, confirmed},
		{"corroboration", incident.C3, corroborated},
		{"other owner", incident.C2, ownField},
		{"human change", incident.C2, noHumanChange},
		{"control conflict", incident.C2, notUndone},
		{"oscillation", incident.C2, notBackAndForth},
		{"settling", incident.C3, settledDown},
		{"paused", incident.C2, notPaused},
		{"rollout", incident.C2, noRollout},
		{"service selector", incident.C4, stillSelected},
		{"references", incident.C4, referencesThere},
		{"availability floor", incident.C3, aboveFloor},
		{"disruption budget", incident.C3, disruptionAllowed},
	}
}

// GuardNames are the names of the guards, but for those of the ledger.
func GuardNames() []string {
	var names []string
	for _, g := range guards() {
		names = append(names, g.name)
	}
	return names
}

// revertGuards returns the guards of undoing a lease. Going back to what a person
// had set needs no proof of trouble; a person's word and another's claim still count.
func revertGuards() []guard {
	return []guard{
		{"target", incident.C0, sameTarget},
		{"deletion", incident.C2, notDeleted},
		{"hold", incident.C2, noHold},
		{"maintenance", incident.C2, notInMaintenance},
		{"mode", incident.C2, modeAllows},
		{"claim", incident.C2, oursToManage},
		{"blind", incident.C2, seeing},
		{"other owner", incident.C2, ownField},
	}
}

// ask returns the ledger's answers and those of the guards.
func ask(list []guard, f Facts, p incident.Plan) []incident.Answer {
	answers := ledgerAnswers(f, p)
	for _, g := range list {
		a := pass("asked from class C%d on; %s is C%d", g.from, p.Action, p.Class)
		if p.Class >= g.from {
			a = g.ask(f, p)
		}
		a.Guard, a.Reason = g.name, oneLine(a.Reason)
		answers = append(answers, a)
	}
	return answers
}

// writesWorkload reports whether the plan changes the workload: a job only runs beside it.
func writesWorkload(p incident.Plan) bool {
	return p.Action != incident.ActionJob && p.Class >= incident.C2
}

func besides(p incident.Plan) incident.Answer {
	return pass("a %s changes 0 fields of the workload", p.Action)
}

// quote shows text that came from the cluster: bounded, on one line.
func quote(s string) string { return fmt.Sprintf("%q", clip(s)) }
