package main

import (
	"fmt"

	"watchdog.io/watchdog/pkg/incident"
)

// heldBy says what keeps watchdog from considering anything for an incident, if that is
// more than its target and told as an incident of its own.
func heldBy(i incident.Incident, all []incident.Incident) string {
	if i.Phase != incident.Frozen || !i.Shared {
		return ""
	}
	for _, o := range all {
		if o.Target.Name != incident.Self || o.Phase == incident.Resolved {
			continue
		}
		for _, rule := range []struct{ name, while string }{{"storm", "the storm lasts"},
			{"blind", "monitoring is blind"}} {
			if a, ok := o.Alert(rule.name); ok && a.Firing {
				return fmt.Sprintf("no action is considered while %s: %s (incident %s)", rule.while, a.Reason, o.ID)
			}
		}
	}
	return "no action is considered while a wider problem lasts; that problem has ended or is about to"
}
