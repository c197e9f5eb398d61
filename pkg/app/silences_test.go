package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	model "github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/alertmanager"
	"watchdog.io/watchdog/pkg/rules"
)

// under answers as a watch over the given silences would.
func under(t *testing.T, all map[string]string) func(map[string]string) (alertmanager.Silence, bool) {
	t.Helper()
	return func(alert map[string]string) (alertmanager.Silence, bool) {
		for id, text := range all {
			m, err := labels.ParseMatchers(text)
			if err != nil {
				t.Fatal(err)
			}
			s := alertmanager.Silence{ID: id, Matchers: m, EndsAt: noon.Add(time.Duration(len(id)) * time.Hour), CreatedBy: "eve", Comment: "move"}
			if s.Matches(alert) {
				return s, true
			}
		}
		return alertmanager.Silence{}, false
	}
}

func TestASilenceIsHeldAgainstTheLabelsOfAnAlert(t *testing.T) {
	p, err := policyOf(t, routedConfig, routedRules)
	if err != nil {
		t.Fatal(err)
	}
	b := p
	b.setup = p.Setup()
	threshold := rules.Alert{Rule: "error_rate", Target: "shop", Severity: "P1", State: rules.Firing, Labels: map[string]string{"alertname": "error_rate", "target": "shop", "severity": "P1"}}
	file := rules.Alert{Rule: "Down", Target: "shop", Severity: "P1", State: rules.Firing, Labels: map[string]string{"alertname": "Down", "namespace": "prod", "pod": "shop-1", "severity": "critical"}}
	pods := file
	pods.Others = []model.Labels{model.FromStrings("alertname", "Down", "namespace", "prod", "pod", "shop-2", "severity", "critical")}
	nobody := rules.Alert{Rule: "DiskFull", Target: "not watched: DiskFull", State: rules.Firing, Labels: map[string]string{"alertname": "DiskFull"}}
	for _, c := range []struct {
		name  string
		alert rules.Alert
		by    map[string]string
		want  string
	}{
		{"a threshold by its name", threshold, map[string]string{"x": `alertname="error_rate"`}, "silenced by x until"},
		{"a threshold by its target and severity", threshold, map[string]string{"x": `target="shop",severity="P1"`}, "silenced by x"},
		{"a threshold by its target's namespace", threshold, map[string]string{"x": `namespace="prod"`}, "silenced by x"},
		{"a threshold of another target", threshold, map[string]string{"x": `target="cart"`}, ""},
		{"an alert of a rule file by its own labels", file, map[string]string{"x": `severity="critical",pod=~"shop-.*"`}, "silenced by x"},
		{"an alert of a rule file by the target that it means", file, map[string]string{"x": `target="shop"`}, "silenced by x"},
		{"an alert of a rule file keeps its severity", file, map[string]string{"x": `severity="P1"`}, ""},
		{"one pod of two", pods, map[string]string{"x": `pod="shop-1"`}, ""},
		{"the other pod of two", pods, map[string]string{"x": `pod="shop-2"`}, ""},
		{"two pods by one silence each, until the first ends", pods, map[string]string{"xxx": `pod="shop-1"`, "x": `pod="shop-2"`}, "silenced by x until 2026-03-01T13:00:00Z"},
		{"two pods by one silence", pods, map[string]string{"x": `pod=~"shop-.*"`}, "silenced by x"},
		{"what is not watched has no target", nobody, map[string]string{"x": `target=~"not.*"`}, ""},
		{"what is not watched by its name", nobody, map[string]string{"x": `alertname="DiskFull"`}, "silenced by x"},
		{"nothing is silenced", threshold, nil, ""},
	} {
		if got := b.silencedBy(c.alert, under(t, c.by)); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func TestOnlyWhatFiresIsSilenced(t *testing.T) {
	p, err := policyOf(t, routedConfig, routedRules)
	if err != nil {
		t.Fatal(err)
	}
	p.Silenced = func(x rules.Alert) string { return "silenced by " + x.Rule }
	v := p.View([]rules.Alert{{Rule: "Down", Target: "shop", State: rules.Firing}, {Rule: "Slow", Target: "shop", State: rules.Pending}}, nil)
	if v.Alerts[0].Silenced != "silenced by Down" || v.Alerts[1].Silenced != "" {
		t.Errorf("%+v", v.Alerts)
	}
}

func TestSilencedAlertsMayBeRemediatedIfTheFileSaysSo(t *testing.T) {
	for text, want := range map[string]bool{"": false, "alertmanager: { silences: { urls: [\"http://am:9093\"] } }": false, "alertmanager: { silences: { urls: [\"http://am:9093\"], silenced_alerts: remediate } }": true} {
		p, err := policyOf(t, text+routedConfig, routedRules)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Setup().Settings.RemediateSilenced; got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestTheClientFollowsTheFile(t *testing.T) {
	p, err := policyOf(t, "alertmanager: { senders: [] }\n"+routedConfig, routedRules)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := newAlertmanager(p.cfg.Alertmanager, "ops", time.Now); c != nil || err != nil {
		t.Errorf("%v %v: no silences are asked for", c, err)
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err = policyOf(t, "alertmanager: { silences: { urls: [\"http://am:9093\"], bearer_token_file: "+token+" } }\n"+routedConfig, routedRules)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := newAlertmanager(p.cfg.Alertmanager, "ops", time.Now); c == nil || err != nil {
		t.Errorf("%v %v", c, err)
	}
}
