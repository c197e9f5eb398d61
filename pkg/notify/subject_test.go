package notify

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

// filling is an incident about a volume that no target is on, as Alertmanager sends it.
func filling() incident.Incident {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return incident.Incident{
		ID: "01x", Target: incident.Target{Name: "not watched: KubePersistentVolumeFillingUp in shop", Namespace: "shop"}, Severity: incident.P2, Phase: incident.Escalated, Lead: "KubePersistentVolumeFillingUp", OpenedAt: at, Paged: true,
		Alerts: []incident.Alert{{
			Rule: "KubePersistentVolumeFillingUp", Severity: incident.P2, Firing: true, Verdict: incident.Breach, Reason: "PersistentVolume is filling up.", Was: "PersistentVolume is filling up.", ActiveAt: at,
			Labels:      map[string]string{"alertname": "KubePersistentVolumeFillingUp", "severity": "warning", "namespace": "shop", "persistentvolumeclaim": "data-cart-db-0"},
			Annotations: map[string]string{"summary": "PersistentVolume is filling up.", "description": "data-cart-db-0 in shop is only 2.1% free.", "runbook_url": "https://runbooks.example/filling", "dashboard": "javascript:alert(1)"},
			Link:        "http://prometheus.example/graph?g0.expr=x",
		}},
	}
}

// TestEveryMessageSaysWhichObjectItIsAbout_X71: which volume, what is wrong with it, and
// the links that the rule's author gave.
func TestEveryMessageSaysWhichObjectItIsAbout_X71(t *testing.T) {
	i, a := filling(), newAbout(&config.Config{})
	quick := a.of(i)
	l := &letter{name: "mail", about: a}
	mail, err := parseBody(emailText)
	if err != nil {
		t.Fatal(err)
	}
	letterText, err := mail.execute(t.Context(), l.data(i, maxText))
	if err != nil {
		t.Fatal(err)
	}
	shown := func(v any) string {
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	_, blocks := slackMessage(i, quick, true, time.Now())
	pagerLinks := shown(quick.links)
	for name, text := range map[string]string{
		"PagerDuty": shown(payload(i, quick)) + pagerLinks, "Slack": shown(blocks), "mail": letterText, "webhook": shown(hookData("hook", i, quick, "firing", maxText)),
	} {
		for _, want := range []string{"data-cart-db-0", "only 2.1% free", "https://runbooks.example/filling", "http://prometheus.example/graph?g0.expr=x"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q:\n%s", name, want, text)
			}
		}
		if strings.Contains(text, "<javascript:") || strings.Contains(pagerLinks, "javascript") {
			t.Errorf("%s has a link to a script", name)
		}
	}
}

// TestNothingIsSaidOfWhatIsNoWorkload_X80: such an incident has no kind and no name.
func TestNothingIsSaidOfWhatIsNoWorkload_X80(t *testing.T) {
	i := filling()
	_, blocks := slackMessage(i, about{}, true, time.Now())
	b, err := json.Marshal([]any{payload(i, about{}), blocks, hookData("hook", i, about{}, "firing", maxText)})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"shop//", `"//"`, " // "} {
		if strings.Contains(string(b), bad) {
			t.Errorf("%q is said: %s", bad, b)
		}
	}
}
