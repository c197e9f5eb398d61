package remediate

import (
	"cmp"

	"watchdog.io/watchdog/pkg/incident"
)

// inBreach: only a condition that holds now leads to an action (INV-08, INV-12).
func inBreach(f Facts, _ incident.Plan) incident.Answer {
	a := f.Alert
	switch {
	case a.Verdict == incident.OK:
		return hold(incident.Wait, "%s recovered: %g, bound %g", a.Rule, a.Value, a.Bound)
	case a.Verdict != incident.Breach:
		return hold(incident.Freeze, "%s is %s, not BREACH: %s", a.Rule, cmp.Or(string(a.Verdict), "not evaluated"),
			cmp.Or(a.Reason, "no reason given"))
	case !a.Firing:
		return hold(incident.Wait, "%s is in breach but not firing yet: %g, bound %g", a.Rule, a.Value, a.Bound)
	}
	return pass("%s is BREACH: %g, bound %g", a.Rule, a.Value, a.Bound)
}
