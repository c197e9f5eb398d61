package app

import (
	"strings"
	"testing"

	"watchdog.io/watchdog/pkg/rules"
)

// TestADroppedAlertOfARuleFileIsNotShown_X75: the engine never hears of it.
func TestADroppedAlertOfARuleFileIsNotShown_X75(t *testing.T) {
	conf := strings.Replace(routedConfig, "routes:", "routes:\n  - matchers: ['team=\"dev\"']\n    drop: true", 1)
	p, err := policyOf(t, conf, routedRules+"      - {alert: Watchdog, expr: \"vector(1)\", labels: {severity: none}}\n")
	if err != nil {
		t.Fatal(err)
	}
	alert := func(name string, pairs ...string) rules.Alert {
		x := rules.Alert{Rule: name, Target: "shop", State: rules.Firing, Labels: map[string]string{"alertname": name}}
		for k := 0; k < len(pairs); k += 2 {
			x.Labels[pairs[k]] = pairs[k+1]
		}
		return x
	}
	v := p.View([]rules.Alert{alert("Watchdog", "severity", "none"), alert("Down", "team", "dev", "severity", "critical"), alert("Slow", "severity", "warning")}, nil)
	if len(v.Alerts) != 1 || v.Alerts[0].Rule != "Slow" {
		t.Errorf("%+v", v.Alerts)
	}
}

// TestAnInhibitedAlertIsQuietWhileItsSourceFires_X75: for every alert of a name.
func TestAnInhibitedAlertIsQuietWhileItsSourceFires_X75(t *testing.T) {
	p, err := policyOf(t, routedConfig+"\ninhibit_rules:\n  - {source_matchers: ['alertname=\"NodeDown\"'], target_matchers: ['severity=\"warning\"'], equal: [node]}\n", routedRules)
	if err != nil {
		t.Fatal(err)
	}
	var n inhibitors
	sources := []map[string]string{{"alertname": "NodeDown", "node": "n1"}, {"alertname": "Other", "node": "n2"}}
	asked := 0
	for range 3 {
		n.refresh(p.cfg.InhibitRules, noon, func() []map[string]string { asked++; return sources })
	}
	if asked != 1 {
		t.Errorf("asked %d times in one moment", asked)
	}
	if why := n.by(map[string]string{"alertname": "Slow", "severity": "warning", "node": "n1"}); why != "inhibited by NodeDown (inhibit_rules, rule 1)" {
		t.Errorf("%q", why)
	}
	if why := n.by(map[string]string{"alertname": "Slow", "severity": "warning", "node": "n2"}); why != "" {
		t.Errorf("another node: %q", why)
	}
	n.refresh(p.cfg.InhibitRules, noon.Add(2*inhibitAge), func() []map[string]string { return nil })
	if why := n.by(map[string]string{"alertname": "Slow", "severity": "warning", "node": "n1"}); why != "" {
		t.Errorf("its source is over: %q", why)
	}
}
