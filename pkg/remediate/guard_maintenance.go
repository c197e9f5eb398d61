package remediate

import "watchdog.io/watchdog/pkg/incident"

// notInMaintenance: people work on the target, and may cause what watchdog observes (INV-30).
// A window suspends all actions, or those that do more than add; reverting a lease does
// not add.
func notInMaintenance(f Facts, p incident.Plan) incident.Answer {
	s := f.Suspended
	switch {
	case s.Why == "":
		return pass("0 maintenance windows suspend actions on the target")
	case p.Class < s.From && p.Action != incident.ActionRevert:
		return pass("%s; actions of class C%d and above are suspended, %s is C%d", oneLine(s.Why), s.From, p.Action,
			p.Class)
	}
	a := hold(incident.Suppress, "%s; actions of class C%d and above are suspended, %s is C%d", oneLine(s.Why), s.From,
		p.Action, p.Class)
	a.RetryAt = s.Until
	return a
}
