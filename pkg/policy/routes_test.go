package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/rules"
)

const routedConfig = `
mode: auto
targets:
  - {name: shop, namespace: prod, workload: deployment/shop, service: shop-web, mode: auto}
  - {name: cart, namespace: prod, workload: statefulset/cart}
rule_files: ["*.rules"]
thresholds: []
routes:
  - matchers: [alertname=Down, team=~"web|shop"]
    severity: P0
    mode: auto
    ladder: [capture, restart, page]
    single_source: "it is down"
  - matchers: ['severity="critical"']
    ladder: [page]
`

const routedRules = `
groups:
  - name: shop
    rules:
      - {alert: Down, expr: "up == 0", labels: {team: shop, severity: critical}}
      - {alert: Slow, expr: "slow > 1", labels: {severity: warning}}
`

func policyOf(t *testing.T, conf, ruleFile string) (*Policy, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"watchdog.yaml": conf, "shop.rules": ruleFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(filepath.Join(dir, "watchdog.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return New(cfg)
}

func TestARouteDecidesWhatIsDoneAboutAnAlert(t *testing.T) {
	p, err := policyOf(t, routedConfig, routedRules)
	if err != nil {
		t.Fatal(err)
	}
	down := rules.Alert{Rule: "Down", Target: "shop", State: rules.Firing, Labels: map[string]string{"alertname": "Down", "team": "shop", "severity": "critical"}}
	slow := rules.Alert{Rule: "Slow", Target: "shop", State: rules.Firing, Labels: map[string]string{"alertname": "Slow", "severity": "warning"}}
	other := rules.Alert{Rule: "Down", Target: "cart", State: rules.Firing, Labels: map[string]string{"alertname": "Down", "team": "db", "severity": "critical"}}
	p.AlertsOf = func(target string) []rules.Alert {
		return map[string][]rules.Alert{"shop": {down, slow}, "cart": {other}}[target]
	}
	v := p.View([]rules.Alert{down, slow, other}, nil)
	for i, want := range []struct {
		severity incident.Severity
		rungs    int
	}{{incident.P0, 3}, {incident.P2, 0}, {incident.P1, 1}} {
		if a := v.Alerts[i]; a.Severity != want.severity || len(a.Ladder) != want.rungs {
			t.Errorf("%s: severity %s and %d rungs, want %s and %d", a.Rule, a.Severity, len(a.Ladder), want.severity, want.rungs)
		}
	}
	if r := p.rung("shop", incident.Alert{Rule: "Down"}, 1); r.Mode != incident.Auto || r.Options.SingleSource != "it is down" {
		t.Errorf("restart of shop: %+v", r)
	}
	for what, r := range map[string]struct{ target, rule string }{"a target in observe": {"cart", "Down"}, "no route": {"shop", "Slow"}, "an alert that is gone": {"shop", "Gone"}} {
		if got := p.rung(r.target, incident.Alert{Rule: r.rule}, 0); got.Mode != incident.Observe || got.ModeWhy == "" {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

func TestLabelsAreToldToBeATargets(t *testing.T) {
	p, err := policyOf(t, routedConfig, routedRules)
	if err != nil {
		t.Fatal(err)
	}
	owner := func(ns, pod string) (string, string, bool) {
		switch ns + "/" + pod {
		case "prod/shop-5d-x":
			return "deployment", "shop", true
		case "prod/cron-1":
			return "job", "cron", true
		}
		return "", "", false
	}
	target := p.Target(owner).Target
	for _, c := range []struct {
		labels  string
		want    string
		watched bool
	}{
		{`target=shop`, "shop", true},
		{`namespace=prod,deployment=shop`, "shop", true},
		{`namespace=prod,statefulset=cart,pod=cart-0`, "cart", true},
		{`namespace=prod,pod=shop-5d-x`, "shop", true},
		{`namespace=prod,service=shop-web`, "shop", true},
		{`namespace=test,deployment=shop`, "not watched: A in test", false},
		{`namespace=prod,deployment=cart`, "not watched: A in prod", false},
		{`namespace=prod,pod=cron-1`, "not watched: A in prod", false},
		{`deployment=shop`, "not watched: A", false},
		{`target=unknown`, "not watched: A", false},
	} {
		l := labels.FromStrings("alertname", "A")
		for _, pair := range strings.Split(c.labels, ",") {
			k, v, _ := strings.Cut(pair, "=")
			l = labels.NewBuilder(l).Set(k, v).Labels()
		}
		got, watched := target(l)
		if got != c.want || watched != c.watched {
			t.Errorf("%s is %q, %v; want %q, %v", c.labels, got, watched, c.want, c.watched)
		}
		if other, ok := Other(got); ok == watched || !watched && (other.Mode != incident.Observe || other.Target.Name != got) {
			t.Errorf("%s: %+v, %v", got, other, ok)
		}
	}
}

func TestAnAlertAndAThresholdOfOneNameAreRefused(t *testing.T) {
	conf := strings.Replace(routedConfig, "thresholds: []", "thresholds: [{name: Down, expr: x, above: 1, for: 1m, severity: P1, ladder: [page]}]", 1)
	if _, err := policyOf(t, conf, routedRules); err == nil || !strings.Contains(err.Error(), "the alert Down has the name of a threshold") {
		t.Errorf("error: %v", err)
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
