package receivers

import (
	"encoding/json"
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

// dressed sends an incident through PagerDuty, a second service of it and Slack with
// the user's templates, and returns what arrived.
func dressed(t *testing.T, files, title, text string) *recorders.Recorder {
	t.Helper()
	rec := recorders.New(recorders.Options{})
	srv := httptest.NewServer(rec)
	t.Cleanup(srv.Close)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("xoxb-1"), 0o600); err != nil {
		t.Fatal(err)
	}
	urgent := []incident.Severity{incident.P1}
	page := config.PagerDuty{URL: srv.URL + "/pagerduty", RoutingKeyFile: file, Severities: urgent, Description: title,
		Details: map[string]string{"firing": text}}
	ns, err := FromConfig(&config.Config{
		TemplateTexts: []config.RuleText{{Text: []byte(files)}},
		Receivers: config.Receivers{
			PagerDuty: &page, Pagers: []config.Pager{{Name: "lead", PagerDuty: page}},
			Slack: &config.Slack{URL: srv.URL + "/slack/api", TokenFile: token, Channel: "#x", Severities: urgent,
				Title: title, Text: text},
		},
	}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	i := notifytest.Trouble()
	i.Alerts[0].Was = "<!channel> look at <https://evil.example|this>"
	for _, n := range ns {
		if _, err := n.Notify(t.Context(), i, incident.Receipt{}); err != nil {
			t.Fatalf("%s: %v", n.Name(), err)
		}
	}
	return rec
}

func TestTemplatesOfAlertmanagersUsersDressMessages(t *testing.T) {
	rec := dressed(t, `{{ define "my.title" }}[{{ .Status | toUpper }}:{{ .Alerts.Firing | len }}] {{ .CommonLabels.target }}{{ end }}
{{ define "my.text" }}{{ range .Alerts.Firing }}*{{ .Labels.alertname }}* {{ .Annotations.summary }}{{ end }} `+
		"<https://wiki.example/{{ .CommonLabels.incident }}|wiki>{{ end }}", `{{ template "my.title" . }}`,
		`{{ template "my.text" . }}`)
	pages := rec.Requests(recorders.PagerDuty)
	if len(pages) != 2 {
		t.Fatalf("%d pages, want one for each service", len(pages))
	}
	for _, q := range pages {
		var e struct {
			Payload struct {
				Summary string         `json:"summary"`
				Details map[string]any `json:"custom_details"`
			} `json:"payload"`
		}
		if err := json.Unmarshal(q.Body, &e); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(e.Payload.Summary, "[FIRING:1] ") ||
			!strings.Contains(e.Payload.Details["firing"].(string), "<!channel>") || e.Payload.Details["next"] == nil {
			t.Errorf("PagerDuty: %q, %v", e.Payload.Summary, e.Payload.Details)
		}
	}
	posts := rec.Requests(recorders.Slack)
	if len(posts) != 1 {
		t.Fatalf("%d posts", len(posts))
	}
	blocks := slackBlocks(t, posts[0])
	if !strings.Contains(blocks, "[FIRING:1]") || !strings.Contains(blocks, "<https://wiki.example/") ||
		strings.Contains(blocks, "<!channel>") || strings.Contains(blocks, "<https://evil.example") {
		t.Errorf("Slack: the template's own link, and nothing of the alert's: %s", blocks)
	}
}

func TestATemplateThatFailsLeavesAPlainMessageThatSaysSo(t *testing.T) {
	for name, text := range map[string]string{"fails": `{{ index .Alerts 99 }}`,
		"loops":   `{{ range $i, $x := .Alerts }}{{ range 1000000000 }}{{ end }}{{ end }}`,
		"is long": `{{ range 300000 }}x{{ end }}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := dressed(t, "", text, text)
			pages, posts := rec.Requests(recorders.PagerDuty), rec.Requests(recorders.Slack)
			if len(pages) != 2 || len(posts) != 1 {
				t.Fatalf("%d pages, %d posts", len(pages), len(posts))
			}
			if b := string(pages[0].Body); !strings.Contains(b, "the description of receiver pagerduty failed") ||
				!strings.Contains(pages[0].Summary, notifytest.Trouble().Target.Name) {
				t.Errorf("PagerDuty: %s", b)
			}
			if b := slackBlocks(t, posts[0]); !strings.Contains(b, "the template text of receiver slack failed") ||
				!strings.Contains(b, notifytest.Trouble().Lead) {
				t.Errorf("Slack: %s", b)
			}
		})
	}
}

// slackBlocks are the blocks of a message, as text.
func slackBlocks(t *testing.T, q recorders.Request) string {
	t.Helper()
	var fields map[string]string
	if err := json.Unmarshal(q.Body, &fields); err != nil {
		t.Fatal(err)
	}
	var blocks any
	if err := json.Unmarshal([]byte(fields["blocks"]), &blocks); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(blocks); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
