package remediate

import (
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// clockSkew is how far in the future a timestamp may lie (INV-09).
const clockSkew = 30 * time.Second

// fresh reports whether an observation of that time may still be used.
func fresh(at, now time.Time, limit time.Duration) bool {
	age := now.Sub(at)
	return !at.IsZero() && age <= limit && age >= -clockSkew
}

// freshEvidence: the leading alert was evaluated recently (INV-09, INV-12).
func freshEvidence(f Facts, _ incident.Plan) incident.Answer {
	at, limit := f.Alert.EvaluatedAt, f.Settings.StaleAfter
	if at.IsZero() {
		return hold(incident.Freeze, "%s was never evaluated (limit %s)", f.Alert.Rule, limit)
	}
	age := f.Now.Sub(at).Round(time.Millisecond)
	if !fresh(at, f.Now, limit) {
		return hold(incident.Freeze, "%s was evaluated %s ago (limit %s, allowed clock skew %s)",
			f.Alert.Rule, age, limit, clockSkew)
	}
	return pass("%s was evaluated %s ago (limit %s)", f.Alert.Rule, age, limit)
}
