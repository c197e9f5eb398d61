package remediate

import "watchdog.io/watchdog/pkg/incident"

// seeing: while watchdog cannot trust its data, it only reports (INV-13).
func seeing(f Facts, _ incident.Plan) incident.Answer {
	if f.Blind != "" {
		return hold(incident.Freeze, "watchdog cannot trust its data: %s", f.Blind)
	}
	return pass("0 reasons to distrust the data")
}
