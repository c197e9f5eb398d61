package policy

import (
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

func TestTheLowestModeWinsAndItIsSaidWhoseItIs_INV48(t *testing.T) {
	for _, tc := range []struct {
		global, target, rule, rung incident.Mode
		want                       incident.Mode
		who                        string
	}{
		{"", "auto", "auto", "", incident.Observe, "the configuration's mode"},
		{"auto", "", "auto", "", incident.Observe, "target shop"},
		{"auto", "auto", "", "", incident.Observe, "rule cpu"},
		{"auto", "auto", "auto", "observe", incident.Observe, "rung 1 of rule cpu"},
		{"auto", "suggest", "auto", "", incident.Suggest, "target shop"},
		{"auto", "auto", "auto", "", incident.Auto, "set everywhere"},
	} {
		b := &Policy{cfg: &config.Config{Mode: tc.global, Targets: []config.Target{{Name: "shop", Mode: tc.target}},
			Thresholds: []config.Threshold{{Name: "cpu", Mode: tc.rule,
				Ladder: []config.Rung{{Action: "scale", Options: config.RungOptions{Mode: tc.rung}}}}}}}
		if got := b.rung("shop", incident.Alert{Rule: "cpu"}, 0); got.Mode != tc.want || got.ModeWhy != tc.who {
			t.Errorf("%+v: %s by %q", tc, got.Mode, got.ModeWhy)
		}
		if got := b.rung("shop", incident.Alert{Rule: "gone"}, 0); got.Mode != incident.Observe {
			t.Errorf("a rule that is gone: %s", got.Mode)
		}
	}
}

func TestAThresholdBecomesARuleOfBothSources(t *testing.T) {
	c, err := config.Parse("x.yaml", []byte(`
prometheus: { url: "http://prometheus:9090" }
targets: [{name: shop, namespace: shop, workload: deployment/shop}]
thresholds:
  - { metric: error_rate }
  - { metric: active_agents }
  - { name: queue, source: prometheus, expr: "sum by (target) (queue)", above: 5, for: 1m, severity: P3, ladder: [page] }
`))
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if r := b.Rules[0]; !r.Above || r.Bound != 0.001 || r.Clear != 0.0005 || r.For != 5*time.Minute ||
		len(r.Floor) != 1 || r.SourceKind != "app" || r.Targets[0] != "shop" {
		t.Errorf("%+v", r)
	}
	if r := b.Rules[1]; r.Above || r.Bound != 2 || r.Clear != 2 {
		t.Errorf("%+v", r)
	}
	if r := b.Rules[2]; r.Source != rules.Prometheus || r.SourceKind != "prometheus" {
		t.Errorf("%+v", r)
	}
	if l := b.ladders["active_agents"]; len(l) != 4 || l[1].Action != "restart" || l[1].Class != incident.C3 {
		t.Errorf("%+v", l)
	}
}

func TestTwoProbesAreOneSourceAndTheApplicationsWordIsAnother_INV11(t *testing.T) {
	now := time.Now()
	looks := []probes.Status{
		{Kind: "health", Probe: "health", Damped: probes.Bad, Detail: "degraded", At: now},
		{Kind: "http", Probe: "front", Damped: probes.Bad, At: now},
		{Kind: "sla", Probe: "sla", Damped: probes.Bad, At: now},
		{Kind: "kubernetes", Probe: "kubernetes", Damped: probes.Unknown, At: now},
	}
	alerts := []rules.Alert{
		{Rule: "error_rate", SourceKind: "app", Verdict: rules.Breach, Reason: "31% > 5%", EvaluatedAt: now},
		{Rule: "x", SourceKind: "prometheus", Verdict: rules.NoData, EvaluatedAt: now},
	}
	got := map[string]remediate.Signal{}
	bad := 0
	for _, s := range Signals(alerts, looks) {
		got[s.Source] = s
		if s.Known && s.Bad {
			bad++
		}
	}
	if bad != 2 || !got["probe"].Bad || !got["app"].Bad {
		t.Errorf("%+v", got)
	}
	if got["kubernetes"].Known || got["prometheus"].Known {
		t.Errorf("the unknown counts as known: %+v", got)
	}
}

// Thousands of targets are not listed once more for each rule.
func TestRulesOfAllTargetsShareTheirNames(t *testing.T) {
	c, err := config.Parse("x.yaml", []byte("targets: [{name: b, namespace: shop, workload: deployment/b}, "+
		"{name: a, namespace: shop, workload: deployment/a}]"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.Rules {
		if len(r.Targets) != 2 || &r.Targets[0] != &p.Rules[0].Targets[0] {
			t.Errorf("%s has its own list of targets: %v", r.Name, r.Targets)
		}
	}
}
