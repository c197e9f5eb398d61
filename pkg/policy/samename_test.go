package policy

import (
	"strings"
	"testing"

	"watchdog.io/watchdog/internal/policyfile"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

// An alert from outside that is named like a threshold is its route's: ladder, mode and
// waiver are never the threshold's, on whatever target.
func TestAnAlertFromOutsideIsNeverAThresholds_S01(t *testing.T) {
	conf := strings.NewReplacer("thresholds: []", `
thresholds:
  - {name: memory, expr: x, above: 1, for: 1m, severity: P1, targets: [cart], mode: auto,
      single_source: "it counts", ladder: [capture, restart, page]}
`, "alertname=Down, team=~\"web|shop\"", "alertname=memory",
		"    mode: auto\n    ladder: [capture, restart, page]\n    single_source: \"it is down\"",
		"    mode: suggest\n    ladder: [restart, page]").Replace(policyfile.Routed)
	p, err := policyOf(t, conf, policyfile.Rules)
	if err != nil {
		t.Fatal(err)
	}
	sent := func(target string) rules.Alert {
		return rules.Alert{Rule: "memory", Target: target, State: rules.Firing,
			SourceKind: remediate.SourceAlertmanager, Labels: map[string]string{"alertname": "memory",
				"severity": "critical"}}
	}
	external := func(target string) []rules.Alert { return p.External([]rules.Alert{sent(target)}, nil) }
	p = p.With(Live{AlertsOf: external})
	judged := rules.Alert{Rule: "memory", Target: "cart", Severity: "P1", State: rules.Firing, SourceKind: "app",
		Labels: map[string]string{"alertname": "memory", "severity": "P1"}}
	for _, target := range []string{"shop", "cart"} {
		v := p.View(append(external(target), judged), nil)
		outside, own := v.Alerts[0], v.Alerts[1]
		if outside.Rule == own.Rule {
			t.Fatalf("%s: an incident cannot tell the two apart: both are %q", target, own.Rule)
		}
		if outside.Severity != incident.P0 || len(outside.Ladder) != 2 || own.Severity != incident.P1 ||
			len(own.Ladder) != 3 {
			t.Errorf("%s: %s is %s with %d rungs, %s is %s with %d", target, outside.Rule, outside.Severity,
				len(outside.Ladder), own.Rule, own.Severity, len(own.Ladder))
		}
		for k := range outside.Ladder {
			if r := p.rung(target, outside, k); r.Mode == incident.Auto || r.Options.SingleSource != "" ||
				r.ModeWhy == "rule memory" {
				t.Errorf("%s: rung %d of the alert from outside: %+v", target, k, r)
			}
		}
		// An alert that an older version stored has the threshold's name.
		if r := p.rung(target, incident.Alert{Rule: "memory", Source: remediate.SourceAlertmanager},
			1); r.Mode != incident.Observe {
			t.Errorf("%s: by the old name: %+v", target, r)
		}
	}
	p.cfg.Targets[1].Mode = incident.Auto
	if r := p.rung("cart", incident.Alert{Rule: "memory", Source: "app"}, 1); r.Mode != incident.Auto ||
		r.Options.SingleSource != "it counts" {
		t.Errorf("the threshold itself: %+v", r)
	}
}
