package remediate

import "watchdog.io/watchdog/pkg/incident"

// notSilenced: who silenced an alert knows of the trouble and is at work on it.
// Unless the configuration says otherwise, watchdog keeps its hands off (INV-30).
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
