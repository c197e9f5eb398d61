package remediate

import (
	"strings"

	"watchdog.io/watchdog/pkg/incident"
)

// confirmed: an external alert is not evidence; one of watchdog's own sources must
// report the target unhealthy (INV-16).
func confirmed(f Facts, _ incident.Plan) incident.Answer {
	if f.Alert.Source != SourceAlertmanager {
		return pass("%s is watchdog's own rule", quote(f.Alert.Rule))
	}
	bad, good := witnesses(f.Signals, f.Now, f.Settings.StaleAfter)
	if len(bad) == 0 {
		return hold(incident.Wait,
			"%s is an external alert; of watchdog's own sources, %d report unhealthy and %d healthy (%s)",
			quote(f.Alert.Rule), len(bad), len(good), orNone(good))
	}
	return pass("%s is an external alert; %d of watchdog's own sources report unhealthy (%s)", quote(f.Alert.Rule),
		len(bad), strings.Join(bad, ", "))
}
