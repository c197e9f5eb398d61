package remediate

import (
	"fmt"
	"slices"

	"watchdog.io/watchdog/pkg/incident"
)

// Guard is one row of Guards: one question that must be answered before anything is done.
type Guard struct {
	// Name is the label guard of metrics, and what `why`, exp_guards and --assert call it.
	Name string
	// From is the lowest class of action that the guard is asked of.
	From incident.Class
	// Reverts says that it is asked before a lease is taken back, too. Going back to what a person
	// had set needs no proof of trouble; a person's word and another's claim still count.
	Reverts bool
	// Help says in one line when it lets pass.
	Help string

	// ask always gives a reason, with the numbers compared. It never changes the plan.
	ask func(Facts, incident.Plan) incident.Answer
}

// CorroborationGuard is the guard that wants two kinds of sources to say bad.
const CorroborationGuard = "corroboration"

// Guards returns every guard in the order in which the answers are told: the one table that
// metrics, reports and the documents follow. The ledger's own limits come before them.
func Guards() []Guard {
	return []Guard{
		{"target", incident.C0, true, "the object that was read is the one that the incident is about", sameTarget},
		{"deletion", incident.C2, true, "nothing that is being deleted is written", notDeleted},
		{"hold", incident.C2, true, "no person holds the workload, its namespace or its autoscaler", noHold},
		{"silence", incident.C2, false, "the alert is not silenced, unless silenced_alerts says remediate",
			notSilenced},
		{"maintenance", incident.C2, true, "no maintenance window forbids it", notInMaintenance},
		{"mode", incident.C2, true, "the lowest of the modes that apply is approve or auto", modeAllows},
		{incident.ApprovalGuard, incident.C2, false, "in mode approve, enough people said yes to this very plan",
			approved},
		{"claim", incident.C2, true, "no other installation of watchdog manages the workload", oursToManage},
		{"verdict", incident.C2, false, "the rule still fires and says BREACH", inBreach},
		{"stale evidence", incident.C2, false, "the rule was judged a moment ago", freshEvidence},
		{"blind", incident.C2, true, "watchdog can trust what it sees", seeing},
		{"max unhealthy", incident.C2, false, "not too many targets are in breach at once: that is a storm",
			fewUnhealthy},
		{"hint", incident.C2, false, "for what another system says, a source of watchdog's own says bad, too",
			confirmed},
		{CorroborationGuard, incident.C3, false, "two kinds of sources say bad, unless single_source waives it",
			corroborated},
		{"other owner", incident.C2, true, "no other controller owns the field that would be written", ownField},
		{"human change", incident.C2, false, "no person changed the workload a moment ago", noHumanChange},
		{"control conflict", incident.C2, false, "nobody undid the same change of watchdog's", notUndone},
		{"oscillation", incident.C2, false, "the field does not go back and forth", notBackAndForth},
		{"settling", incident.C3, false, "the pods that watchdog itself replaced had the time to start", settledDown},
		{"paused", incident.C2, false, "the Deployment is not paused", notPaused},
		{"rollout", incident.C2, false, "no rollout is in progress", noRollout},
		{"service selector", incident.C4, false, "every Service that has ready endpoints of it still selects its pods",
			stillSelected},
		{"references", incident.C4, false,
			"the ConfigMaps, Secrets and accounts that the older template names still exist", referencesThere},
		{"availability floor", incident.C3, false, "enough replicas stay ready in the worst case", aboveFloor},
		{"disruption budget", incident.C3, false, "no PodDisruptionBudget forbids it", disruptionAllowed},
	}
}

// GuardNames are the names of the guards, but for those of the ledger.
func GuardNames() []string {
	var names []string
	for _, g := range Guards() {
		names = append(names, g.Name)
	}
	return names
}

// LedgerGuardNames are the names of the ledger's own limits, which are told with the guards.
func LedgerGuardNames() []string {
	var names []string
	for _, a := range ledgerAnswers(Facts{}, incident.Plan{Class: incident.C5}) {
		names = append(names, a.Guard)
	}
	return names
}

// revertGuards returns the guards of undoing a lease.
func revertGuards() []Guard {
	return slices.DeleteFunc(Guards(), func(g Guard) bool { return !g.Reverts })
}

// ask returns the ledger's answers and those of the guards.
func ask(list []Guard, f Facts, p incident.Plan) []incident.Answer {
	answers := ledgerAnswers(f, p)
	for _, g := range list {
		a := pass("asked from class C%d on; %s is C%d", g.From, p.Action, p.Class)
		if p.Class >= g.From {
			a = g.ask(f, p)
		}
		a.Guard, a.Reason = g.Name, oneLine(a.Reason)
		answers = append(answers, a)
	}
	return answers
}

// writesWorkload reports whether the plan changes the workload: a job only runs beside it.
func writesWorkload(p incident.Plan) bool {
	a, _ := ActionOf(p.Action)
	return !a.Beside && p.Class >= incident.C2
}

func besides(p incident.Plan) incident.Answer {
	return pass("a %s changes 0 fields of the workload", p.Action)
}

// quote shows text that came from the cluster: bounded, on one line.
func quote(s string) string { return fmt.Sprintf("%q", clip(s)) }
