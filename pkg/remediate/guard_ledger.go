package remediate

import (
	"slices"

	"watchdog.io/watchdog/pkg/incident"
)

// ledgerAnswers are the kill switch, single flight, cooldown and budgets, as the
// ledger itself would answer a reservation now. The op's own reservation does not
// count against it.
func ledgerAnswers(f Facts, p incident.Plan) []incident.Answer {
	if p.Class < incident.C2 {
		return []incident.Answer{answer("ledger", "", "applies to class C2 and above; %s is C%d", p.Action, p.Class)}
	}
	l := f.Ledger
	l.Spent = slices.DeleteFunc(slices.Clone(l.Spent), func(s incident.Spent) bool {
		return f.OpID != "" &&
			s.Op == f.OpID
	})
	return l.Check(incident.Op{ID: f.OpID, Incident: f.Incident.ID, Rule: f.Alert.Rule, Plan: p}, f.Now, f.Limits)
}
