package policy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/internal/policyfile"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

func policyOf(t *testing.T, conf, ruleFile string) (*Policy, error) {
	t.Helper()
	return New(policyfile.Load(t, conf, ruleFile))
}

func TestARouteDecidesWhatIsDoneAboutAnAlert(t *testing.T) {
	p, err := policyOf(t, policyfile.Routed, policyfile.Rules)
	if err != nil {
		t.Fatal(err)
	}
	down := rules.Alert{Rule: "Down", Target: "shop", State: rules.Firing,
		Labels: map[string]string{"alertname": "Down", "team": "shop", "severity": "critical"}}
	slow := rules.Alert{Rule: "Slow", Target: "shop", State: rules.Firing,
		Labels: map[string]string{"alertname": "Slow", "severity": "warning"}}
	other := rules.Alert{Rule: "Down", Target: "cart", State: rules.Firing,
		Labels: map[string]string{"alertname": "Down", "team": "db", "severity": "critical"}}
	p = p.With(Live{AlertsOf: func(target string) []rules.Alert {
		return map[string][]rules.Alert{"shop": {down, slow}, "cart": {other}}[target]
	}})
	v := p.View([]rules.Alert{down, slow, other}, nil)
	for i, want := range []struct {
		severity incident.Severity
		rungs    int
	}{{incident.P0, 3}, {incident.P2, 0}, {incident.P1, 1}} {
		if a := v.Alerts[i]; a.Severity != want.severity || len(a.Ladder) != want.rungs {
			t.Errorf("%s: severity %s and %d rungs, want %s and %d", a.Rule, a.Severity, len(a.Ladder), want.severity,
				want.rungs)
		}
	}
	if r := p.rung("shop", incident.Alert{Rule: "Down"}, 1); r.Mode != incident.Auto ||
		r.Options.SingleSource != "it is down" {
		t.Errorf("restart of shop: %+v", r)
	}
	for what, r := range map[string]struct{ target, rule string }{"a target in observe": {"cart", "Down"},
		"no route": {"shop", "Slow"}, "an alert that is gone": {"shop", "Gone"}} {
		if got := p.rung(r.target, incident.Alert{Rule: r.rule}, 0); got.Mode != incident.Observe || got.ModeWhy == "" {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

func TestLabelsAreToldToBeATargets(t *testing.T) {
	p, err := policyOf(t, policyfile.Routed, policyfile.Rules)
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
		if other, ok := Other(got); ok == watched || !watched &&
			(other.Mode != incident.Observe || other.Target.Name != got) {
			t.Errorf("%s: %+v, %v", got, other, ok)
		}
	}
}

func TestAnAlertAndAThresholdOfOneNameAreRefused(t *testing.T) {
	conf := strings.Replace(policyfile.Routed, "thresholds: []",
		"thresholds: [{name: Down, expr: x, above: 1, for: 1m, severity: P1, ladder: [page]}]", 1)
	if _, err := policyOf(t, conf, policyfile.Rules); err == nil ||
		!strings.Contains(err.Error(), "alert Down has the same name as a threshold") {
		t.Errorf("error: %v", err)
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestADroppedAlertOfARuleFileIsNotShown_X75: the engine never hears of it.
func TestADroppedAlertOfARuleFileIsNotShown_X75(t *testing.T) {
	conf := strings.Replace(policyfile.Routed, "routes:", "routes:\n  - matchers: ['team=\"dev\"']\n    drop: true", 1)
	p, err := policyOf(t, conf, policyfile.Rules+"      - {alert: Watchdog, expr: \"vector(1)\", labels: {severity: "+
		"none}}\n")
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
	v := p.View([]rules.Alert{alert("Watchdog", "severity", "none"),
		alert("Down", "team", "dev", "severity", "critical"), alert("Slow", "severity", "warning")}, nil)
	if len(v.Alerts) != 1 || v.Alerts[0].Rule != "Slow" {
		t.Errorf("%+v", v.Alerts)
	}
}

// While a reload hands the parts theirs, the rules may be newer than what the engine is shown
// by: an alert without a ladder would be told once and then never be paged for.
func TestAnAlertOfANewerConfigurationWaitsForIt(t *testing.T) {
	p, err := policyOf(t, policyfile.Routed, policyfile.Rules)
	if err != nil {
		t.Fatal(err)
	}
	p = p.With(Live{AlertsOf: func(string) []rules.Alert { return nil }})
	critical := map[string]string{"alertname": "New", "severity": "critical"}
	v := p.View([]rules.Alert{
		{Rule: "New", Target: "shop", State: rules.Firing, Labels: critical},
		{Rule: "Down", Target: "shop", State: rules.Firing, Labels: map[string]string{"alertname": "Down",
			"severity": "critical"}},
		{Rule: "New", Target: "shop", State: rules.Firing, Labels: critical, SourceKind: remediate.SourceAlertmanager},
	}, nil)
	var shown []string
	for _, a := range v.Alerts {
		shown = append(shown, a.Rule+a.Source)
	}
	if want := []string{"Down", "New" + remediate.SourceAlertmanager}; !slices.Equal(shown, want) {
		t.Errorf("shown %q, want %q", shown, want)
	}
}

func TestOnlyWhatFiresIsSilenced(t *testing.T) {
	p, err := policyOf(t, policyfile.Routed, policyfile.Rules)
	if err != nil {
		t.Fatal(err)
	}
	p = p.With(Live{Silenced: func(x rules.Alert) string { return "silenced by " + x.Rule }})
	v := p.View([]rules.Alert{{Rule: "Down", Target: "shop", State: rules.Firing},
		{Rule: "Slow", Target: "shop", State: rules.Pending}}, nil)
	if v.Alerts[0].Silenced != "silenced by Down" || v.Alerts[1].Silenced != "" {
		t.Errorf("%+v", v.Alerts)
	}
}

func TestSilencedAlertsMayBeRemediatedIfTheFileSaysSo(t *testing.T) {
	for text, want := range map[string]bool{"": false,
		"alertmanager: { silences: { urls: [\"http://am:9093\"] } }":                             false,
		"alertmanager: { silences: { urls: [\"http://am:9093\"], silenced_alerts: remediate } }": true} {
		p, err := policyOf(t, text+policyfile.Routed, policyfile.Rules)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Setup().Settings.RemediateSilenced; got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
