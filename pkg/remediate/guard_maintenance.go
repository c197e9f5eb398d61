package remediate

import "watchdog.io/watchdog/pkg/incident"

// notInMaintenance: people are at work on the target, and what watchdog sees may be
// their doing (INV-30). A window suspends all actions, or those that do more than add;
// what a lease takes back is not adding.
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
