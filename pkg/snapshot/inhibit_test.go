package snapshot

import (
	"testing"

	"watchdog.io/watchdog/internal/policyfile"
)

// TestAnInhibitedAlertIsQuietWhileItsSourceFires_X75: for every alert of a name.
func TestAnInhibitedAlertIsQuietWhileItsSourceFires_X75(t *testing.T) {
	cfg := policyfile.Load(t, policyfile.Routed+"\ninhibit_rules:\n  - {source_matchers: "+
		"['alertname=\"NodeDown\"'], target_matchers: ['severity=\"warning\"'], equal: [node]}\n", policyfile.Rules)
	n := inhibitors{of: cfg.InhibitRules}
	sources := []map[string]string{{"alertname": "NodeDown", "node": "n1"}, {"alertname": "Other", "node": "n2"}}
	asked := 0
	for range 3 {
		n.refresh(noon, func() []map[string]string { asked++; return sources })
	}
	if asked != 1 {
		t.Errorf("asked %d times in one moment", asked)
	}
	if why := n.by(map[string]string{"alertname": "Slow", "severity": "warning",
		"node": "n1"}); why != "inhibited by NodeDown (inhibit_rules, rule 1)" {
		t.Errorf("%q", why)
	}
	if why := n.by(map[string]string{"alertname": "Slow", "severity": "warning", "node": "n2"}); why != "" {
		t.Errorf("another node: %q", why)
	}
	n.refresh(noon.Add(2*inhibitAge), func() []map[string]string { return nil })
	if why := n.by(map[string]string{"alertname": "Slow", "severity": "warning", "node": "n1"}); why != "" {
		t.Errorf("its source is over: %q", why)
	}
}
