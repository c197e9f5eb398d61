package remediate

import (
	"fmt"
	"slices"

	"watchdog.io/watchdog/pkg/incident"
)

// Guard is one row of Guards: one check that must allow an op.
type Guard struct {
	// Name is the label guard of metrics, and what `why`, exp_guards and --assert call it.
	Name string
	// From is the lowest class of action that the guard applies to.
	From incident.Class
	// Reverts is true if it applies to reverts, too. Restoring what a person had set needs no
	// evidence of a fault; holds and the claims of other installations still count.
	Reverts bool
	// Help states in one line when it passes.
	Help string

	// ask always returns a reason, with the figures compared. It never changes the plan.
	ask func(Facts, incident.Plan) incident.Answer
}

// CorroborationGuard is the guard that requires two kinds of sources to report unhealthy.
const CorroborationGuard = "corroboration"

// Guards returns every guard in the order of their answers: the one table behind metrics,
// reports and the documents. The ledger's own limits come first.
func Guards() []Guard {
	return []Guard{
		{"target", incident.C0, true, "the object that was read is the incident's target", sameTarget},
		{"deletion", incident.C2, true, "the object is not being deleted", notDeleted},
		{"hold", incident.C2, true, "no hold on the workload, its namespace or its autoscaler", noHold},
		{"silence", incident.C2, false, "the alert is not silenced, or silenced_alerts is remediate",
			notSilenced},
		{"maintenance", incident.C2, true, "no maintenance window suspends the action", notInMaintenance},
		{"mode", incident.C2, true, "the effective mode is approve or auto", modeAllows},
		{incident.ApprovalGuard, incident.C2, false, "in mode approve, enough people approved exactly this plan",
			approved},
		{"claim", incident.C2, true, "no other installation of watchdog manages the workload", oursToManage},
		{"verdict", incident.C2, false, "the rule still fires with verdict BREACH", inBreach},
		{"stale evidence", incident.C2, false, "the rule was evaluated recently", freshEvidence},
		{"blind", incident.C2, true, "watchdog can trust its data", seeing},
		{"max unhealthy", incident.C2, false, "no storm: the number of targets in breach is within the limit",
			fewUnhealthy},
		{"external alert", incident.C2, false, "for an external alert, one of watchdog's own sources also reports unhealthy",
			confirmed},
		{CorroborationGuard, incident.C3, false, "two kinds of sources report unhealthy, unless single_source waives this",
			corroborated},
		{"other owner", incident.C2, true, "no other controller owns the field that would be written", ownField},
		{"human change", incident.C2, false, "nobody changed the workload while the incident is open", noHumanChange},
		{"control conflict", incident.C2, false, "nobody undid the same change by watchdog", notUndone},
		{"oscillation", incident.C2, false, "the field does not oscillate", notBackAndForth},
		{"settling", incident.C3, false, "pods that watchdog replaced had time to start", settledDown},
		{"paused", incident.C2, false, "the Deployment is not paused", notPaused},
		{"rollout", incident.C2, false, "no rollout is in progress", noRollout},
		{"service selector", incident.C4, false, "every Service with ready endpoints of the workload still selects its pods",
			stillSelected},
		{"references", incident.C4, false,
			"the ConfigMaps, Secrets and service accounts that the older template references still exist", referencesThere},
		{"availability floor", incident.C3, false, "enough replicas stay ready in the worst case", aboveFloor},
		{"disruption budget", incident.C3, false, "no PodDisruptionBudget forbids it", disruptionAllowed},
	}
}

// GuardNames are the names of the guards, except those of the ledger.
func GuardNames() []string {
	var names []string
	for _, g := range Guards() {
		names = append(names, g.Name)
	}
	return names
}

// LedgerGuardNames are the names of the ledger's own limits, which are reported with the guards.
func LedgerGuardNames() []string {
	var names []string
	for _, a := range ledgerAnswers(Facts{}, incident.Plan{Class: incident.C5}) {
		names = append(names, a.Guard)
	}
	return names
}

// revertGuards returns the guards that apply to reverts.
func revertGuards() []Guard {
	return slices.DeleteFunc(Guards(), func(g Guard) bool { return !g.Reverts })
}

// ask returns the ledger's answers and those of the guards.
func ask(list []Guard, f Facts, p incident.Plan) []incident.Answer {
	answers := ledgerAnswers(f, p)
	for _, g := range list {
		a := pass("applies to class C%d and above; %s is C%d", g.From, p.Action, p.Class)
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
