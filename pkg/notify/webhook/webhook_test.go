package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
)

// X42: a quote in an alert made a body that is no JSON, which was refused for good: that
// page was lost.
func TestABodyThatIsNoJSONIsAFailedTemplate_X42(t *testing.T) {
	for _, tt := range []struct {
		name, body, kind string
		plain            bool
	}{
		{"a text between quotes", `{"text":"{{ .CommonAnnotations.headline }}"}`, "", true},
		{"a text by toJson", `{"text":{{ .CommonAnnotations.headline | toJson }}}`, "", false},
		{"nothing at all", `{{ if false }}x{{ end }}`, "application/json; charset=utf-8", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec, hook := receiver(t, config.Webhook{Body: tt.body, ContentType: tt.kind})
			i := notifytest.Trouble()
			i.Alerts[0].Was = "path \"/cart\\checkout\"\nis slow"
			notifytest.Tell(t, hook, i, incident.Receipt{})
			var all []string
			for _, q := range rec.Snapshot().Requests {
				all = append(all, string(q.Body))
			}
			if len(all) != 1 {
				t.Fatalf("%d requests", len(all))
			}
			if failed := strings.Contains(all[0], "not valid JSON"); failed != tt.plain {
				t.Errorf("%s", all[0])
			}
			if !json.Valid([]byte(all[0])) {
				t.Errorf("no JSON: %s", all[0])
			}
			if !strings.Contains(all[0], "shop") && tt.body[0] == '{' && tt.plain {
				t.Errorf("it does not say what is the matter: %s", all[0])
			}
		})
	}
}

// receiver is a webhook of the configuration that posts to a recorder.
func receiver(t *testing.T, c config.Webhook) (*recorders.Recorder, *Webhook) {
	t.Helper()
	r := recorders.New(recorders.Options{SlowBy: time.Millisecond})
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	c.Name, c.Severities = "x", []incident.Severity{incident.P1}
	if c.URLFile == "" {
		c.URL = srv.URL + "/webhook/x"
	} else if err := os.WriteFile(c.URLFile, []byte(srv.URL+"/webhook/x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := New(c, notify.QuickReference{})
	if err != nil {
		t.Fatal(err)
	}
	return r, h
}

func TestAWebhookIsToldWhatAPersonWouldActOn(t *testing.T) {
	r, h := receiver(t, config.Webhook{URLFile: filepath.Join(t.TempDir(), "url")})
	i := notifytest.Outage()
	prev := incident.Receipt{}
	tell := func() {
		t.Helper()
		var err error
		if prev, err = h.Notify(t.Context(), i, prev); err != nil {
			t.Fatal(err)
		}
	}
	tell()
	i.Timeline = append(i.Timeline, incident.Entry{Kind: "held"})
	tell()
	if n := len(r.Requests(recorders.Webhook)); n != 1 {
		t.Fatalf("%d messages, want one for a line of the timeline too many", n)
	}
	i.Unanswered = 1
	tell()
	i.Acked = incident.Attribution{By: "alice", At: i.OpenedAt}
	tell()
	i.Phase, i.ResolvedAt = incident.Resolved, i.OpenedAt.Add(time.Hour)
	tell()
	tell()
	all := r.Requests(recorders.Webhook)
	if len(all) != 4 || all[3].Action != "resolved" || all[2].Action != "firing" {
		t.Fatalf("%+v", all)
	}
	var m struct {
		Version, GroupKey, Status string
		Alerts                    []struct {
			Status              string
			Labels, Annotations map[string]string
			EndsAt              time.Time
		}
		CommonLabels, CommonAnnotations map[string]string
	}
	if err := json.Unmarshal(all[0].Body, &m); err != nil {
		t.Fatal(err)
	}
	if m.Version != "4" || m.GroupKey != "watchdog/01aaa" || len(m.Alerts) != 2 || m.Alerts[0].Status != "firing" ||
		m.Alerts[1].Status != "resolved" || m.Alerts[0].Labels["alertname"] != "errors" ||
		m.Alerts[0].Annotations["summary"] != `12% "failed" <!channel>  [31m` || m.CommonLabels["workload"] != "cart" ||
		!strings.Contains(m.CommonAnnotations["headline"], "P1 needs a person") ||
		m.CommonAnnotations["reason"] != "the ladder reached page" {
		t.Errorf("%s", all[0].Body)
	}
	other := notifytest.Outage()
	other.Severity, other.Paged = incident.P2, false
	if got, err := h.Notify(t.Context(), other, incident.Receipt{}); err != nil || got.State != "" {
		t.Errorf("told of what it does not take: %+v %v", got, err)
	}
}

func TestAWebhookThatRefuses(t *testing.T) {
	r, h := receiver(t, config.Webhook{})
	for _, tc := range []struct {
		mode  recorders.Mode
		final bool
		after time.Duration
	}{{recorders.Limited, false, time.Second}, {recorders.Broken, false, 0}, {recorders.Reset, false, 0}} {
		r.Set(recorders.Webhook, tc.mode)
		prev, err := h.Notify(t.Context(), notifytest.Outage(), incident.Receipt{})
		var f *notify.Failure
		errors.As(err, &f)
		if err == nil || prev.State != "" || f != nil && (f.Final != tc.final || f.After != tc.after) {
			t.Errorf("%s: %+v %v", tc.mode, prev, err)
		}
	}
	// What is too large is sent once more, shorter.
	r.Set(recorders.Webhook, recorders.TooLarge)
	i := notifytest.Outage()
	i.PageReason = strings.Repeat("long ", 700)
	if prev, err := h.Notify(t.Context(), i, incident.Receipt{}); err != nil || prev.State != "firing" {
		t.Errorf("%+v %v", prev, err)
	}
	if n := len(r.Requests(recorders.Webhook)); n != 1 {
		t.Errorf("%d taken", n)
	}
	// A refusal for another reason than the size stays one, and so does a redirect.
	for _, status := range []int{http.StatusBadRequest, http.StatusNotFound, http.StatusTemporaryRedirect} {
		asked := 0
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			w.Header().Set("Location", "http://elsewhere.invalid/")
			w.WriteHeader(status)
		}))
		h.url = srv.URL
		_, err := h.Notify(t.Context(), notifytest.Outage(), incident.Receipt{})
		var f *notify.Failure
		if !errors.As(err, &f) || !f.Final || asked > 2 {
			t.Errorf("%d: %v, asked %d times", status, err, asked)
		}
		srv.Close()
	}
}

func TestASecretURLIsNotShown(t *testing.T) {
	file := filepath.Join(t.TempDir(), "url")
	_, h := receiver(t, config.Webhook{URLFile: file})
	if err := os.WriteFile(file, []byte("http://127.0.0.1:1/T0PSECRET"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Notify(t.Context(), notifytest.Outage(), incident.Receipt{}); err == nil ||
		strings.Contains(err.Error(), "T0PSECRET") {
		t.Errorf("%v", err)
	}
}

// A template that does not come to an end, or fails, costs the dress and not the page.
func TestATemplateThatFails(t *testing.T) {
	for name, body := range map[string]string{
		"a field that is not there": `{{ .Nothing }}`, "an error in a function": `{{ reReplaceAll "(" "" "x" }}`,
		"a panic":        `{{ index .Alerts 7 }}`,
		"an empty loop":  `{{ range 100000000000 }}{{ end }}`,
		"loops in loops": `{{ range 1000000 }}{{ range 1000000 }}{{ end }}{{ end }}`,
		"much":           `{{ range 1000000 }}xxxxxxxxxx{{ end }}`,
		"itself":         `{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}`,
	} {
		r, h := receiver(t, config.Webhook{Body: body})
		h.body.Limit = 50 * time.Millisecond
		if _, err := h.Notify(t.Context(), notifytest.Outage(), incident.Receipt{}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var m struct{ Text string }
		if err := json.Unmarshal(r.Requests(recorders.Webhook)[0].Body, &m); err != nil ||
			!strings.Contains(m.Text, "P1 needs a person: cart") ||
			!strings.Contains(m.Text, "the body template of receiver x failed") {
			t.Errorf("%s: %v %s", name, err, m.Text)
		}
	}
	if _, err := notify.ParseTemplate("{{ .Status"); err == nil {
		t.Error("a template that cannot be read is taken")
	}
}

// The recipes of docs/receivers.md are what is sent here.
func TestRecipes(t *testing.T) {
	text, err := os.ReadFile("../../../docs/receivers.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1) {
		var c struct {
			Receivers struct {
				Webhooks []struct {
					Name string `yaml:"name"`
					Body string `yaml:"body"`
				} `yaml:"webhooks"`
			} `yaml:"receivers"`
		}
		if err := yaml.Unmarshal(block[1], &c); err != nil {
			t.Fatal(err)
		}
		if len(c.Receivers.Webhooks) == 0 {
			continue
		}
		w := c.Receivers.Webhooks[0]
		r, h := receiver(t, config.Webhook{Body: w.Body})
		over := notifytest.Outage()
		over.Phase, over.ResolvedAt = incident.Resolved, over.OpenedAt.Add(time.Hour)
		prev, err := h.Notify(t.Context(), notifytest.Outage(), incident.Receipt{})
		if err == nil {
			_, err = h.Notify(t.Context(), over, prev)
		}
		if err != nil {
			t.Fatalf("%s: %v", w.Name, err)
		}
		seen[w.Name] = true
		all := r.Requests(recorders.Webhook)
		for _, q := range all {
			var v map[string]any
			if err := json.Unmarshal(q.Body, &v); err != nil || bytes.Contains(q.Body, []byte("template of receiver")) {
				t.Errorf("%s: %v %s", w.Name, err, q.Body)
			}
			for _, key := range map[string][]string{"automation": {"version", "alerts"},
				"jsm": {"version", "status", "groupKey", "alerts", "commonLabels"}, "teams": {"type", "attachments"},
				"discord": {"embeds", "allowed_mentions"}, "ntfy": {"topic", "title", "message", "priority"}}[w.Name] {
				if v[key] == nil {
					t.Errorf("%s: no %s in %s", w.Name, key, q.Body)
				}
			}
		}
		if len(all) != 2 {
			t.Errorf("%s: %d messages", w.Name, len(all))
		}
	}
	if len(seen) != 5 {
		t.Errorf("recipes: %v", seen)
	}
}

// A URL from a file is a secret in whatever form it comes back: in the client's
// errors, which leave out a password and escape what is odd, and in what a server says.
func TestAURLFromAFileIsInNoError_SEC21(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "Cannot POST "+r.URL.RequestURI(), http.StatusNotFound)
	}))
	defer srv.Close()
	host := strings.TrimPrefix(srv.URL, "http://")
	for _, url := range []string{
		srv.URL + "/hooks/s3cr3t", srv.URL + "/hooks/s3cr3t?x=1", srv.URL + "/?key=s3cr3t",
		"http://127.0.0.1:1/s3cr3t", "http://user:pass@127.0.0.1:1/s3cr3t", "HTTP://127.0.0.1:1/s3cr3t",
		"http://127.0.0.1:1/a b/s3cr3t", "http://" + host + "/\ts3cr3t", "://s3cr3t", "ftp://" + host + "/s3cr3t",
	} {
		file := filepath.Join(t.TempDir(), "url")
		if err := os.WriteFile(file, []byte(url), 0o600); err != nil {
			t.Fatal(err)
		}
		h, err := New(config.Webhook{Name: "teams", URLFile: file, Severities: []incident.Severity{incident.P1}},
			notify.QuickReference{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Notify(t.Context(), notifytest.Trouble(), incident.Receipt{}); err == nil ||
			strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: %v", url, err)
		}
	}
}
