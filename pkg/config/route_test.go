package config

import (
	"strings"
	"testing"

	"watchdog.io/watchdog/pkg/incident"
)

func TestMatchersAreAlertmanagers(t *testing.T) {
	alert := map[string]string{"severity": "critical", "team": "web", "path": `a "b"`}
	for text, want := range map[string]bool{
		`severity="critical"`: true, `severity=critical`: true, ` severity = critical `: true,
		`severity!="critical"`: false,
		`team=~"we."`:          true, `team=~"we"`: false, `team!~"a|b"`: true, `missing=""`: true,
		`missing!=""`:   false,
		`missing=~".*"`: true, `missing=~".+"`: false,
		`path="a \"b\""`: true, `"team"="web"`: true,
		// X78
		`team=web,`: true, `team="web",severity="critical"`: true, `team="web", severity="info"`: false,
		`{team="web"}`: true,
	} {
		m, err := ParseMatchers(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := (&Route{matchers: m}).Matches(alert); got != want {
			t.Errorf("%s matches: %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{"", "severity", `team=~"("`, `="x"`, `team="web`, `te am=web`, `{}`, `,`} {
		if _, err := ParseMatchers(text); err == nil || !strings.Contains(err.Error(), "invalid matcher") {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

func TestSeverityOfAnAlert(t *testing.T) {
	c := &Config{}
	for label, want := range map[string]incident.Severity{"P0": incident.P0, "p3": incident.P3, "critical": incident.P1,
		"warning": incident.P2, "info": incident.P3, "": incident.P2, "strange": incident.P2} {
		if got := c.SeverityOf(map[string]string{"severity": label}); got != want {
			t.Errorf("severity %q is %s, want %s", label, got, want)
		}
	}
}

// The 15-minute contract can be reached from Alertmanager: a route maps its severities.
func TestARouteMapsASeverity_X94(t *testing.T) {
	c, err := Parse("x.yaml", []byte("targets: [{name: a, namespace: n, workload: deployment/a}]\nroutes: "+
		"[{matchers: ['severity=\"critical\"', 'tier=\"front\"'], severity: P0, ladder: [page]}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	for tier, want := range map[string]incident.Severity{"front": incident.P0, "batch": incident.P1} {
		if got := c.SeverityOf(map[string]string{"severity": "critical", "tier": tier}); got != want {
			t.Errorf("critical, tier %s: %s, want %s", tier, got, want)
		}
	}
}

// RUNBOOK-MAP 2.2 and 2.3: errors above 5 %, no agents, and a system that is down are P0.
func TestTheRunbooksP0AreShipped_X94(t *testing.T) {
	p0 := map[string]bool{}
	for _, r := range DefaultThresholds() {
		if r.Severity == incident.P0 {
			p0[r.Metric] = true
		}
	}
	if len(p0) != 3 || !p0["error_rate_critical"] || !p0["no_agents"] || !p0["system_down"] {
		t.Errorf("%v", p0)
	}
}
