package receivers

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

// TestTheQuickReferenceIsOnEveryUrgentMessage sends one incident of each severity
// to every receiver.
func TestTheQuickReferenceIsOnEveryUrgentMessage(t *testing.T) {
	rec := recorders.New(recorders.Options{})
	srv := httptest.NewServer(rec)
	defer srv.Close()
	key, token := filepath.Join(t.TempDir(), "key"), filepath.Join(t.TempDir(), "token")
	for file, text := range map[string]string{key: strings.Repeat("k", 32), token: "xoxb-1"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all := []incident.Severity{incident.P0, incident.P1, incident.P2, incident.P3}
	ns, err := FromConfig(&config.Config{
		Contacts: []config.Contact{{Name: "Lead <!channel>", Phone: "+49 30 1234567", Slack: "#devops"}},
		Links:    []config.Link{{Name: "dash|board", URL: "https://grafana.example.com/d/x?a=1&b=<2>|3"}},
		Runbook:  &config.Runbook{URL: "https://wiki.example.com/runbook"},
		Receivers: config.Receivers{
			PagerDuty: &config.PagerDuty{URL: srv.URL + "/pagerduty", RoutingKeyFile: key, Severities: all},
			Slack:     &config.Slack{URL: srv.URL + "/slack/api/", TokenFile: token, Channel: "#x", Severities: all},
			Webhooks:  []config.Webhook{{Name: "hook", URL: srv.URL + "/webhook/hook", Severities: all}},
		},
	}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		for _, n := range ns {
			i := notifytest.Trouble()
			i.ID, i.Severity = "01"+strings.ToLower(string(s)), s
			if _, err := n.Notify(t.Context(), i, incident.Receipt{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	told := rec.Snapshot().Requests
	if len(told) != 12 {
		t.Fatalf("%d messages", len(told))
	}
	for k, q := range told {
		text := string(q.Body)
		urgent := k < 6
		if strings.Contains(text, "+49 30 1234567") != urgent ||
			strings.Contains(text, "wiki.example.com/runbook") != urgent {
			t.Errorf("%s, message %d: %s", q.Receiver, k, text)
		}
		if q.Receiver == recorders.Slack && (strings.Contains(text, "<!channel") || strings.Contains(text, "|board") ||
			strings.Contains(text, "<2>")) {
			t.Errorf("foreign markup: %s", text)
		}
	}
}
