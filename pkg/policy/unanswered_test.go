package policy

import (
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

// TestAnEffectIsAwaitedForTwiceTheRange_X14: what the expression still sees of the past is no verdict on the present.
func TestAnEffectIsAwaitedForTwiceTheRange_X14(t *testing.T) {
	cfg, err := config.Parse("w.yaml", []byte(`
targets: [{name: cart, namespace: shop, workload: deployment/cart, probes: [{http: {url: 'http://cart.shop/'}}]}]
prometheus: {url: 'http://p:9090'}
thresholds:
  - {name: burn, source: prometheus, expr: 'sum by (target) (rate(e[1h]))', above: 0.1, for: 2m, severity: P1, ladder: [rollback, page]}
  - {name: hand, source: prometheus, expr: 'sum by (target) (rate(e[1h]))', above: 0.1, for: 2m, severity: P1,
      ladder: [{rollback: {verify: 10m}}, page]}
  - {name: now, source: prometheus, expr: 'sum by (target) (e)', above: 0.1, for: 2m, severity: P1, ladder: [rollback, page]}
routes: [{matchers: [severity="critical"], ladder: [rollback, page]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for rule, want := range map[string]time.Duration{"burn": 2 * time.Hour, "hand": 10 * time.Minute,
		"now": 10 * time.Minute} {
		if got := p.Ladder(rule)[0].Verify; got != want {
			t.Errorf("%s: %s, want %s", rule, got, want)
		}
	}
	for span, want := range map[time.Duration]time.Duration{0: 10 * time.Minute, 15 * time.Minute: 30 * time.Minute} {
		x := rules.Alert{Rule: "CartErrors", SourceKind: remediate.SourceAlertmanager,
			Labels: map[string]string{"alertname": "CartErrors", "severity": "critical"}, Span: span}
		if ladder := p.handling(x).ladder; ladder[0].Verify != want {
			t.Errorf("an alert with a route that looks back %s: %s, want %s", span, ladder[0].Verify, want)
		}
	}
}

// TestTheLinkOfAnOutsideAlertSaysHowFarItLooksBack_X14: and nobody can make watchdog wait for ever with one.
func TestTheLinkOfAnOutsideAlertSaysHowFarItLooksBack_X14(t *testing.T) {
	for link, want := range map[string]time.Duration{
		"http://prometheus:9090/graph?g0.expr=sum%28rate%28e%5B30m%5D%29%29+%3E+1&g0.tab=1": 30 * time.Minute,
		"http://prometheus:9090/graph?g0.expr=rate%28e%5B100y%5D%29":                        6 * time.Hour,
		"http://prometheus:9090/graph?g0.expr=" + strings.Repeat("%28", 100):                0,
		"http://grafana/alerting/x":  0,
		"":                           0,
		"http://[::1?g0.expr=e%5B1h": 0,
	} {
		if got := spanOf(rules.Alert{SourceKind: remediate.SourceAlertmanager, Link: link}); got != want {
			t.Errorf("%.60s: %s, want %s", link, got, want)
		}
	}
}

// TestItIsSaidWhatNobodyCanSee_X11: the probe, and why it has no answer.
func TestItIsSaidWhatNobodyCanSee_X11(t *testing.T) {
	at := time.Unix(0, 0).Add(time.Hour)
	alerts := []rules.Alert{{Rule: "errors", Verdict: rules.NoData, Reason: "errors: no series for this target",
		LastDataAt: at}, {Rule: "never", Verdict: rules.NoData},
		{Rule: unseenRule, State: rules.Firing, Verdict: rules.Breach,
			Reason: "probes and rules without a result 2 > 0 for 20m0s"}}
	looks := []probes.Status{{Probe: "health", State: probes.Unknown,
		Detail: "status 404 Not Found: check the probe's url", At: at}, {Probe: "front", State: probes.OK, At: at}}
	got := unanswered(alerts, looks)[2].Reason
	if want := "probes and rules without a result 2 > 0 for 20m0s: probe health (status 404 Not Found: check the " +
		"probe's url); rule errors (errors: no series for this target)"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if strings.Contains(alerts[2].Reason, "health") {
		t.Error("what was handed in was changed")
	}
}
