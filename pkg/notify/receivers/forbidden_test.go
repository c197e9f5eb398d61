package receivers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify/statuspage"
)

func TestNoReceiverConnectsToAMetadataService_S20(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	const url = "http://169.254.169.254"
	all := []incident.Severity{incident.P0, incident.P1}
	ns, err := FromConfig(&config.Config{Receivers: config.Receivers{
		PagerDuty: &config.PagerDuty{URL: url, RoutingKeyFile: secret, Severities: all},
		Slack:     &config.Slack{URL: url + "/", TokenFile: secret, Channel: "#incidents", Severities: all},
		Statuspage: &config.Statuspage{URL: url, PageID: "p1", TokenFile: secret, ComponentID: "c1", Publish: "auto",
			Severities: all},
		Webhooks: []config.Webhook{{Name: "hook", URL: url, Severities: all},
			{Name: "hook with a ca_file", URL: url, CAFile: notifytest.Stranger(t), Severities: all}},
		Emails: []config.Email{{Name: "mail", Smarthost: "169.254.169.254:25", From: "watchdog@example.com",
			To: []string{"a@example.com"}, TLS: config.StartTLS, Severities: all}},
	}}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if len(ns) != 6 {
		t.Fatalf("%d receivers", len(ns))
	}
	for _, n := range ns {
		_, err := n.Notify(t.Context(), notifytest.Outage(), incident.Receipt{})
		if p, ok := n.(*statuspage.Statuspage); ok {
			err = p.Reach(t.Context()) // it posts only what has lasted
		}
		if err == nil || !strings.Contains(err.Error(), "refusing to connect to 169.254.169.254:") {
			t.Errorf("%s: got %v", n.Name(), err)
		}
	}
}
