//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/demo"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/incident"
)

// peopled makes of the story of a bad release one in which people decide: nobody
// answers the first page, so the next step's are told; then one of two people whom
// Slack knows may approve the rollback, and the public reads only what was allowed.
func peopled(t *testing.T, s *demo.Scene) string {
	t.Helper()
	text := replaced(t, config(t, s, "release"),
		"severity: P1", "severity: P0",
		"- rollback: {", "- rollback: { mode: approve,",
		`channel: "#incidents" }`,
		`channel: "#incidents", interaction: { signing_secret_file: /etc/watchdog/secrets/slack/signing, users: `+
			`[{ id: U0ALICE01, user: alice@example.com }, { id: U0MALLORY, user: mallory@example.com }] } }`,
		"publish: auto", "publish: ask",
		"receivers:\n", `api: { control: true }
contacts:
  - { name: on call, phone: "+49 30 1234567" }
  - { name: engineering lead, phone: "+49 30 7654321" }
response:
  - severity: P0
    within: 6s
    steps:
      - { receivers: [pagerduty, slack], contacts: [on call] }
      - { receivers: [lead], contacts: [engineering lead] }
    repeat: 0
receivers:
  webhooks:
    - { name: lead, url: "RECEIVERS/webhook/lead" }
`)
	return s.Addressed(text)
}

// TestAPersonIsWokenAndAllowsTheRollback: a P0 opens, a page goes out, nobody
// acknowledges it, the next step's people are told, somebody who may approves by
// the button in Slack, the release is rolled back, the status page says that it is
// over, and the review says all of this.
func TestAPersonIsWokenAndAllowsTheRollback(t *testing.T) {
	s := stage(t, "people")
	installText(t, s, peopled(t, s))
	run := func(args ...string) string {
		t.Helper()
		out, err := s.Testbed.Watchdog(t.Context(), append(args, "-n", s.Watchdog)...)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return out
	}
	if out, err := s.Run(t.Context(), "", "kubectl", "-n", s.Watchdog,
		"create", "rolebinding", "alice", "--role=watchdog-approver", "--user=alice@example.com"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	url, err := s.URL(t.Context(), "/work")
	if err != nil {
		t.Fatal(err)
	}
	s.Load = demo.StartLoad(url, 8, 100*time.Millisecond)
	seenWell(t, s)
	if err := s.Release(t.Context(), "v2.2.0"); err != nil {
		t.Fatal(err)
	}

	// The page, and nobody answers.
	asked, err := s.WaitIncident(within(t, 90*time.Second), "asks, and nobody answers",
		func(i incident.Incident) bool { return i.Asked != nil && i.Unanswered > 0 })
	if err != nil {
		t.Fatal(err)
	}
	toldTo(t, s, "lead", 1)
	if lead := s.Receivers.Snapshot().Of(recorders.Webhook); len(lead) == 0 ||
		!strings.Contains(string(lead[len(lead)-1].Body), "Call engineering lead: +49 30 7654321") {
		t.Errorf("the lead is not told whom to call: %+v", lead)
	}

	// Who may not, cannot; forged, altered and old clicks change nothing.
	button := click(t, s, asked, "approve")
	mallory := button
	mallory.User, mallory.ID = "U0MALLORY", "1"
	stranger := button
	stranger.User, stranger.ID = "U0NOBODY1", "2"
	for _, c := range []recorders.Click{mallory, stranger} {
		if code := press(t, s, c, demo.SigningSecret, time.Now()); code != http.StatusOK {
			t.Errorf("%s: HTTP %d; Slack wants 200 for a click it may show an answer to", c.User, code)
		}
	}
	alice := button
	alice.User, alice.ID = "U0ALICE01", "3"
	if code := press(t, s, alice, "forged", time.Now()); code != http.StatusUnauthorized {
		t.Errorf("a forged click: HTTP %d, want 401", code)
	}
	if code := press(t, s, alice, demo.SigningSecret, time.Now().Add(-6*time.Minute)); code != http.StatusUnauthorized {
		t.Errorf("an old click: HTTP %d, want 401", code)
	}
	wantEffects(t, s, 0)

	// A program whose token the API server knows comments by HTTP, and may not approve.
	hypothesis(t, s, asked)
	run("publish", asked.ID, "--reason", "customers ask")

	// Alice may.
	if code := press(t, s, alice, demo.SigningSecret, time.Now()); code != http.StatusOK {
		t.Fatalf("alice's click: HTTP %d", code)
	}
	done, err := s.WaitIncident(within(t, 2*time.Minute), "resolved", finished)
	if err != nil {
		t.Fatal(err)
	}
	if r := wantEffects(t, s, 1); len(r) == 1 {
		conditional(t, r[0])
	}
	if len(done.Attempts) != 1 || done.Attempts[0].OpID != asked.Asked.Op ||
		done.Attempts[0].Verdict != incident.Helped || done.Acked.By != "alice@example.com" || done.Unanswered != 1 {
		t.Errorf("attempts %+v, taken on by %+v, %d unanswered", done.Attempts, done.Acked, done.Unanswered)
	}
	if err := s.RolledOut(within(t, time.Minute), 3); err != nil {
		t.Error(err)
	}
	// The same click again is no second word.
	alice.ID = "4"
	press(t, s, alice, demo.SigningSecret, time.Now())
	wantEffects(t, s, 1)

	over := func(all recorders.Snapshot) bool {
		public := s.Receivers.StatuspageIncidents()
		pages := s.Receivers.PagerDutyIncidents()
		return len(public) == 1 && slices.ContainsFunc(all.Of(recorders.Statuspage),
			func(q recorders.Request) bool { return q.Action == "resolved" }) &&
			len(pages) == 1 && slices.ContainsFunc(all.Of(recorders.PagerDuty),
			func(q recorders.Request) bool { return q.Action == "resolve" })
	}
	if err := s.Receivers.WaitFor(within(t, 30*time.Second), over); err != nil {
		t.Error(err)
	}
	posted(t, s)

	review := run("review", asked.ID)
	for _, part := range []string{
		"**unanswered** no acknowledgement of this P0", "**approved** 1 of 1 approvals of plan",
		`by alice\@example.com (slack)`, "**hypothesis**", "**helped**", "| recovered | " +
			done.ResolvedAt.UTC().Format(time.DateTime), "statuspage", "slack",
	} {
		if !strings.Contains(review, part) {
			t.Errorf("the review lacks %q:\n%s", part, review)
		}
	}
	notes := filepath.Join(t.TempDir(), "notes.yaml")
	if err := os.WriteFile(notes, []byte("impact: a third of the requests failed for half a minute\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := s.Testbed.Watchdog(t.Context(), "review", "close", asked.ID, "--notes", notes,
		"-n", s.Watchdog); err == nil || !strings.Contains(out, "root cause") {
		t.Errorf("a P0 was closed without its root cause: %v\n%s", err, out)
	}
}

// seenWell waits until watchdog has seen the present release do well for long enough.
func seenWell(t *testing.T, s *demo.Scene) {
	t.Helper()
	if err := s.GoodRevisionKnown(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
}

// click finds a button of the incident's message, as whoever looks at it now sees it.
func click(t *testing.T, s *demo.Scene, i incident.Incident, verb string) recorders.Click {
	t.Helper()
	var c recorders.Click
	err := s.Receivers.WaitFor(within(t, 30*time.Second), func(all recorders.Snapshot) bool {
		for _, m := range all.Of(recorders.Slack) {
			if m.Action != "post" {
				continue
			}
			if b, err := all.Button(m.Key, "watchdog_"+verb); err == nil && strings.Contains(b.Value, i.ID) {
				c = b
				return true
			}
		}
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// press posts a click as Slack does, and returns the status of the answer.
func press(t *testing.T, s *demo.Scene, c recorders.Click, secret string, at time.Time) int {
	t.Helper()
	to, err := s.WatchdogURL(t.Context(), "/webhook/slack")
	if err != nil {
		t.Fatal(err)
	}
	req, err := c.Request(t.Context(), to, secret, at)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// hypothesis writes one down over the HTTP API with a service account's token, which
// may comment and nothing else.
func hypothesis(t *testing.T, s *demo.Scene, i incident.Incident) {
	t.Helper()
	token := account(t, s, "chatops", "watchdog-responder")
	theirs, err := s.Run(t.Context(), "", "kubectl", "-n", s.Watchdog, "create", "token", "chatops")
	if err != nil {
		t.Fatal(err)
	}
	say := func(verb, token, body string) (int, string) {
		to, err := s.WatchdogURL(t.Context(), "/api/v1/incidents/"+i.ID+"/"+verb)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	if code, text := say("notes", token,
		`{"text":"v2.2.0 fails a third of its requests","as":"hypothesis"}`); code != http.StatusOK {
		t.Errorf("a note: HTTP %d %s", code, text)
	}
	if code, text := say("approve", token, fmt.Sprintf(`{"plan":%q}`,
		i.Asked.Plan.Hash)); code != http.StatusForbidden || !strings.Contains(text, "incidents/approval") {
		t.Errorf("who may only comment approves: HTTP %d %s", code, text)
	}
	if code, text := say("notes", theirs, `{"text":"x"}`); code != http.StatusUnauthorized ||
		!strings.Contains(text, "--audience watchdog") {
		t.Errorf("a token for the API server (S22): HTTP %d %s", code, text)
	}
	if code, text := say("ack", "x"+token, `{}`); code != http.StatusUnauthorized {
		t.Errorf("an unknown token: HTTP %d %s", code, text)
	}
}

// posted holds that no internal name is in anything that the public reads.
func posted(t *testing.T, s *demo.Scene) {
	t.Helper()
	for _, q := range s.Receivers.Snapshot().Of(recorders.Statuspage) {
		var e struct{ Incident map[string]any }
		if json.Unmarshal(q.Body, &e) != nil {
			continue
		}
		delete(e.Incident, "metadata") // ours, to find it again; not shown
		b, _ := json.Marshal(e.Incident)
		for _, word := range []string{s.Namespace, "agent-system", "error_rate", "v2.2.0", "alice"} {
			if strings.Contains(string(b), word) {
				t.Errorf("the public reads %q: %s", word, b)
			}
		}
	}
}
