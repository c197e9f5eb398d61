package config

import "testing"

func matchers(t *testing.T, r *Route, texts ...string) {
	t.Helper()
	for _, text := range texts {
		m, err := ParseMatchers(text)
		if err != nil {
			t.Fatal(err)
		}
		r.matchers = append(r.matchers, m...)
	}
}

// TestWhatIsDropped_X33_X75: kube-prometheus' Watchdog and InfoInhibitor have severity
// none and fire all the time.
func TestWhatIsDropped_X33_X75(t *testing.T) {
	c := &Config{Routes: []Route{{Drop: true}, {Severity: "P3"}, {}}}
	matchers(t, &c.Routes[0], `team="dev"`)
	matchers(t, &c.Routes[1], `alertname="Deadman"`)
	for name, x := range map[string]struct {
		labels map[string]string
		want   bool
	}{
		"Watchdog": {map[string]string{"alertname": "Watchdog", "severity": "none"}, true},
		"InfoInhibitor": {map[string]string{"alertname": "InfoInhibitor", "severity": "None"},
			true},
		"none, and a route gives a severity": {map[string]string{"alertname": "Deadman", "severity": "none"}, false},
		"a route drops it": {map[string]string{"alertname": "A", "severity": "critical",
			"team": "dev"}, true},
		"info":        {map[string]string{"alertname": "A", "severity": "info"}, false},
		"no severity": {map[string]string{"alertname": "A"}, false},
	} {
		if got := c.Drops(x.labels); got != x.want {
			t.Errorf("%s: dropped is %v", name, got)
		}
	}
}

// TestInhibitRulesAreAlertmanagers_X75 follows the cases of its documentation.
func TestInhibitRulesAreAlertmanagers_X75(t *testing.T) {
	var source, target Route
	matchers(t, &source, `severity="critical"`)
	matchers(t, &target, `severity=~"warning|critical"`)
	r := InhibitRule{source: source.matchers, target: target.matchers, Equal: []string{"namespace", "zone"}}
	set := func(severity, namespace string) map[string]string {
		return map[string]string{"severity": severity, "namespace": namespace}
	}
	for name, x := range map[string]struct {
		source, alert map[string]string
		want          bool
	}{
		"the same namespace":     {set("critical", "a"), set("warning", "a"), true},
		"another namespace":      {set("critical", "a"), set("warning", "b"), false},
		"not what is kept quiet": {set("critical", "a"), set("info", "a"), false},
		"both sides match both":  {set("critical", "a"), set("critical", "a"), false},
		"a label that neither has": {map[string]string{"severity": "critical"},
			map[string]string{"severity": "warning"}, true},
		"a label that only one has": {set("critical", "a"), map[string]string{"severity": "warning"}, false},
	} {
		if got := r.Source(x.source) && r.Inhibits(x.source, x.alert); got != x.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
