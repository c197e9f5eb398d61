package remediate

import "watchdog.io/watchdog/pkg/incident"

// notSilenced: a person who silenced an alert knows about the fault and works on it.
// Unless configured otherwise, watchdog takes no action (INV-30).
func notSilenced(f Facts, _ incident.Plan) incident.Answer {
	switch {
	case f.Alert.Silenced == "":
		return pass("0 silences match %s", quote(f.Alert.Rule))
	case f.Settings.RemediateSilenced:
		return pass("%s is %s; silenced_alerts: remediate allows actions", quote(f.Alert.Rule), f.Alert.Silenced)
	}
	return hold(incident.Suppress, "%s is %s; expire the silence to let watchdog act", quote(f.Alert.Rule),
		f.Alert.Silenced)
}
