package main

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"watchdog.io/watchdog/internal/recorders"
)

// TestEachReceiverIsTried sends the test to servers that speak the vendors' protocols.
func TestEachReceiverIsTried(t *testing.T) {
	r := recorders.New(recorders.Options{})
	srv := httptest.NewServer(r)
	defer srv.Close()
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	secret := write("secret", "xoxb-1")
	key := write("key", "0123456789abcdef0123456789abcdef")
	file := write("watchdog.yaml", strings.NewReplacer("URL", srv.URL, "SECRET", secret, "KEY", key).Replace(`
receivers:
  pagerduty: { url: URL/pagerduty, routing_key_file: KEY, severities: [P0] }
  slack: { url: URL/slack/api/, token_file: SECRET, channel: "#x", severities: [P0] }
  statuspage: { url: URL/statuspage, page_id: p, component_id: c, token_file: SECRET, publish: auto }
  webhooks: [{ name: automation, url: URL/webhook/a, severities: [P0] }]
`))
	try := func(args ...string) (string, error) {
		c := newRoot()
		var out bytes.Buffer
		c.SetOut(&out)
		c.SetArgs(append([]string{"notify", "test", "--config", file}, args...))
		err := c.Execute()
		return out.String(), err
	}
	out, err := try()
	if err != nil || strings.Count(out, " ok ") != 4 {
		t.Fatalf("%v\n%s", err, out)
	}
	pd, posts := r.PagerDutyIncidents(), r.Snapshot().SlackMessages()
	if len(pd) != 1 || len(r.OpenPagerDuty()) != 0 || len(posts) != 1 || len(r.Requests(recorders.Webhook)) != 2 {
		t.Errorf("PagerDuty %+v, Slack %+v", pd, posts)
	}
	for _, i := range pd {
		if !strings.Contains(i.Summary, "this is a test") || strings.Contains(fmt.Sprint(i), "take over") {
			t.Errorf("%+v", i)
		}
	}
	if n := len(r.StatuspageIncidents()); n != 0 {
		t.Errorf("%d posts on the public page", n)
	}
	r.Set(recorders.Slack, recorders.Broken)
	if out, err = try(); err == nil || err.Error() != "1 of 4 receivers did not accept the test" ||
		!strings.Contains(out, "FAILED") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err = try("--receiver", "automation"); err != nil || strings.Contains(out, "slack") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err = try("--receiver", "teams"); err == nil || !strings.Contains(err.Error(),
		`unknown receiver "teams"; expected one of: pagerduty, slack, automation, statuspage`) {
		t.Errorf("%v", err)
	}
	t.Log("\n" + out)
}
