package main

import (
	"bytes"
	"strings"
	"testing"

	"watchdog.io/watchdog/pkg/incident"
)

// TestWhyOfAFrozenIncidentSaysWhatTheStormIs_A6: since when it lasts, and when it is over.
func TestWhyOfAFrozenIncidentSaysWhatTheStormIs_A6(t *testing.T) {
	const storm = "2 of 73 watched targets are in breach, limit 21.9 (storm since 18:41:00, calm " +
		"since 18:45:00, ends at 18:50:00 UTC if it stays calm)"
	i := sample()
	i.Phase, i.Shared, i.Answers = incident.Frozen, true, nil
	self := incident.Incident{ID: "01self", Phase: incident.Escalated, Target: incident.Target{Name: incident.Self},
		Alerts: []incident.Alert{{Rule: "storm", Firing: true, Reason: storm}}}
	over := self
	over.Phase = incident.Resolved
	for _, tc := range []struct {
		name string
		all  []incident.Incident
		want string
	}{
		{"a storm is on", []incident.Incident{i, self}, "no action is considered while the storm lasts: " + storm +
			" (incident 01self)"},
		{"it has just ended", []incident.Incident{i, over},
			"no action is considered while a wider problem lasts; that problem has ended or is about to"},
	} {
		var b bytes.Buffer
		if err := why(&b, i, tc.all...); err != nil || !strings.Contains(b.String(), tc.want) ||
			strings.Contains(b.String(), "no action has been considered yet") {
			t.Errorf("%s: %v\n%s", tc.name, err, b.String())
		}
	}
}
