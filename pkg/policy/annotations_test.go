package policy

import (
	"fmt"
	"strings"
	"testing"

	"watchdog.io/watchdog/internal/policyfile"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/rules"
)

// TestAnIncidentKeepsWhatAnAlertSaysOfItself_X71: which volume, and where more is
// written; as much as fits into an object of the API server.
func TestAnIncidentKeepsWhatAnAlertSaysOfItself_X71(t *testing.T) {
	p, err := policyOf(t, policyfile.Routed, policyfile.Rules)
	if err != nil {
		t.Fatal(err)
	}
	x := rules.Alert{Rule: "Full", Target: "shop", State: rules.Firing, SourceKind: "alertmanager",
		Link: "http://p/graph", Keys: []string{"k"},
		Labels: map[string]string{"alertname": "Full", "persistentvolumeclaim": "data-0"},
		Annotations: map[string]string{"description": "2% free", "runbook_url": "https://r/1",
			"zz": strings.Repeat("x", 5000), "far": "https://r/" + strings.Repeat("x", 5000)}}
	a := p.View([]rules.Alert{x}, nil).Alerts[0]
	if a.Labels["persistentvolumeclaim"] != "data-0" || a.Annotations["description"] != "2% free" ||
		a.Annotations["runbook_url"] != "https://r/1" || a.Link != "http://p/graph" || fmt.Sprint(a.Keys) != "[k]" {
		t.Errorf("%+v", a)
	}
	if n := len(a.Annotations["zz"]); n == 0 || n > maxKeptAnnotation {
		t.Errorf("a long text has %d bytes", n)
	}
	if a.Annotations["far"] != "" {
		t.Error("a link was cut")
	}
	for k := range 100 {
		x.Labels[fmt.Sprint("l", k)] = strings.Repeat("y", 500)
		x.Annotations[fmt.Sprint("n", k)] = strings.Repeat("y", 3000)
	}
	a = p.View([]rules.Alert{x}, nil).Alerts[0]
	size := 0
	for _, m := range []map[string]string{a.Labels, a.Annotations} {
		for k, v := range m {
			size += len(k) + len(v)
		}
	}
	if size > maxKeptLabelBytes+maxKeptNoteBytes || a.Labels["alertname"] != "Full" ||
		a.Labels["persistentvolumeclaim"] != "data-0" || a.Annotations["description"] == "" {
		t.Errorf("%d bytes are kept: %+v", size, a)
	}
}

// TestAnAlertThatMeansNoTargetPagesAtOnce_X72: nothing can be planned for it.
func TestAnAlertThatMeansNoTargetPagesAtOnce_X72(t *testing.T) {
	p, err := policyOf(t, policyfile.Routed, policyfile.Rules)
	if err != nil {
		t.Fatal(err)
	}
	x := rules.Alert{Rule: "Down", Target: "not watched: Down in prod", State: rules.Firing, Verdict: rules.Breach,
		SourceKind: "alertmanager", Labels: map[string]string{"alertname": "Down", "team": "shop", "namespace": "prod",
			"node": "n1"}}
	a := p.View([]rules.Alert{x}, nil).Alerts[0]
	if want := `no target matches namespace="prod": cannot run capture, restart`; len(a.Ladder) != 1 ||
		a.Ladder[0].Action != "page" || a.Ladder[0].Why != want {
		t.Errorf("%+v, want %q", a.Ladder, want)
	}
	x.Target = "shop"
	if a := p.View([]rules.Alert{x}, nil).Alerts[0]; len(a.Ladder) != 3 {
		t.Errorf("of a target: %+v", a.Ladder)
	}
	i, _ := incident.Step(incident.New("1", incident.Target{Name: "x"}, noon),
		incident.Tick{At: noon, Alerts: []incident.Alert{a}}, incident.DefaultPolicy())
	if !i.Paged || !strings.HasPrefix(i.PageReason, "no target matches") {
		t.Errorf("paged %v: %s", i.Paged, i.PageReason)
	}
}
