package snapshot

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	model "github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/internal/policyfile"
	"watchdog.io/watchdog/pkg/alertmanager"
	"watchdog.io/watchdog/pkg/policy"
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
			s := alertmanager.Silence{ID: id, Matchers: m, EndsAt: noon.Add(time.Duration(len(id)) * time.Hour),
				CreatedBy: "eve", Comment: "move"}
			if s.Matches(alert) {
				return s, true
			}
		}
		return alertmanager.Silence{}, false
	}
}

func TestASilenceIsHeldAgainstTheLabelsOfAnAlert(t *testing.T) {
	p, err := policy.New(policyfile.Load(t, policyfile.Routed, policyfile.Rules))
	if err != nil {
		t.Fatal(err)
	}
	r := &Reader{targets: p.Setup().Targets}
	threshold := rules.Alert{Rule: "error_rate", Target: "shop", Severity: "P1", State: rules.Firing,
		Labels: map[string]string{"alertname": "error_rate", "target": "shop", "severity": "P1"}}
	file := rules.Alert{Rule: "Down", Target: "shop", Severity: "P1", State: rules.Firing,
		Labels: map[string]string{"alertname": "Down", "namespace": "prod", "pod": "shop-1", "severity": "critical"}}
	pods := file
	pods.Others = []model.Labels{model.FromStrings("alertname", "Down", "namespace", "prod", "pod", "shop-2",
		"severity", "critical")}
	nobody := rules.Alert{Rule: "DiskFull", Target: "not watched: DiskFull", State: rules.Firing,
		Labels: map[string]string{"alertname": "DiskFull"}}
	for _, c := range []struct {
		name  string
		alert rules.Alert
		by    map[string]string
		want  string
	}{
		{"a threshold by its name", threshold, map[string]string{"x": `alertname="error_rate"`}, "silenced by x until"},
		{"a threshold by its target and severity", threshold, map[string]string{"x": `target="shop",severity="P1"`},
			"silenced by x"},
		{"a threshold by its target's namespace", threshold, map[string]string{"x": `namespace="prod"`},
			"silenced by x"},
		{"a threshold of another target", threshold, map[string]string{"x": `target="cart"`}, ""},
		{"an alert of a rule file by its own labels", file,
			map[string]string{"x": `severity="critical",pod=~"shop-.*"`}, "silenced by x"},
		{"an alert of a rule file by the target that it means", file, map[string]string{"x": `target="shop"`},
			"silenced by x"},
		{"an alert of a rule file keeps its severity", file, map[string]string{"x": `severity="P1"`}, ""},
		{"one pod of two", pods, map[string]string{"x": `pod="shop-1"`}, ""},
		{"the other pod of two", pods, map[string]string{"x": `pod="shop-2"`}, ""},
		{"two pods by one silence each, until the first ends", pods,
			map[string]string{"xxx": `pod="shop-1"`, "x": `pod="shop-2"`}, "silenced by x until 2026-03-01T13:00:00Z"},
		{"two pods by one silence", pods, map[string]string{"x": `pod=~"shop-.*"`}, "silenced by x"},
		{"what is not watched has no target", nobody, map[string]string{"x": `target=~"not.*"`}, ""},
		{"what is not watched by its name", nobody, map[string]string{"x": `alertname="DiskFull"`}, "silenced by x"},
		{"nothing is silenced", threshold, nil, ""},
	} {
		if got := r.silencedBy(c.alert, under(t, c.by)); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
