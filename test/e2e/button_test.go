//go:build integration

package e2e

import (
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/responder"
)

// TestAPersonApprovesByButton_F99: the button on Slack's message, by Socket Mode, as
// far as Kubernetes' RBAC lets the person; pressed twice it is one action.
func TestAPersonApprovesByButton_F99(t *testing.T) {
	s := stage(t, "button")
	text := replaced(t, config(t, s, "agents"), "- restart: {", "- restart: { mode: approve,")
	text = replaced(t, text, `channel: "#incidents" }`,
		`channel: "#incidents", interaction: { app_token_file: /etc/watchdog/secrets/slack/slack-app, users: [{ id: `+
			`U0ALICE, user: alice@example.com }, { id: U0CAROL, user: carol@example.com }] } }`)
	installText(t, s, text)
	for role, user := range map[string]string{"watchdog-approver": "alice@example.com",
		"watchdog-responder": "carol@example.com"} {
		if out, err := s.Run(t.Context(), "", "kubectl", "-n", s.Watchdog, "create", "rolebinding", role,
			"--role="+role, "--user="+user); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if err := s.Fault("agents"); err != nil {
		t.Fatal(err)
	}
	asked, err := s.WaitIncident(within(t, time.Minute),
		"asks", func(i incident.Incident) bool { return i.Asked != nil && i.Paged })
	if err != nil {
		t.Fatal(err)
	}
	// button waits until the message of the incident has it.
	button := func(verb responder.Action, user, id string) recorders.Click {
		t.Helper()
		var c recorders.Click
		if err := s.Receivers.WaitFor(within(t, time.Minute), func(shot recorders.Snapshot) bool {
			for message := range shot.SlackMessages() {
				found, err := shot.Button(message, responder.Button{Action: verb}.ActionID())
				if err == nil && strings.HasPrefix(found.Value, asked.ID+"/") {
					c = found
					return true
				}
			}
			return false
		}); err != nil {
			t.Fatal(err)
		}
		c.User, c.ID = user, id
		return c
	}
	// click presses it, and waits for what the person is told.
	click := func(c recorders.Click, want string) {
		t.Helper()
		if err := s.Receivers.ClickBySocket(within(t, time.Minute), c); err != nil {
			t.Fatal(err)
		}
		if err := s.Receivers.WaitFor(within(t, 30*time.Second), func(shot recorders.Snapshot) bool {
			for _, q := range shot.Of(recorders.Slack) {
				if q.Action == "ephemeral" && q.Key == c.User && strings.Contains(string(q.Body), want) {
					return true
				}
			}
			return false
		}); err != nil {
			t.Fatalf("%s was not told %q: %v", c.User, want, err)
		}
	}
	click(button(responder.Approve, "U0CAROL", "1"), "carol@example.com is not allowed")
	click(button(responder.Approve, "U0EVE", "2"), "not listed in receivers")
	wantEffects(t, s, 0)
	yes := button(responder.Approve, "U0ALICE", "3")
	click(yes, "approved by alice@example.com")
	// Sent again, by whichever connection: told nothing new, and nothing follows.
	if err := s.Receivers.ClickBySocket(within(t, time.Minute), yes); err != nil {
		t.Fatal(err)
	}
	done, err := s.WaitIncident(within(t, 90*time.Second), "resolved", finished)
	if err != nil {
		t.Fatal(err)
	}
	if len(done.Attempts) != 1 || done.Attempts[0].OpID != asked.Asked.Op || done.Acked.By != "alice@example.com" ||
		done.Acked.Source != "slack" {
		t.Errorf("attempts %+v, taken on by %+v", done.Attempts, done.Acked)
	}
	if r := wantEffects(t, s, 1); len(r) == 1 {
		conditional(t, r[0])
	}
	// The thread has what happened, and the message no button any more.
	if err := s.Receivers.WaitFor(within(t, time.Minute), func(shot recorders.Snapshot) bool {
		thread, buttons := "", false
		for _, q := range shot.Of(recorders.Slack) {
			switch q.Action {
			case "reply":
				thread += string(q.Body)
			case "update":
				buttons = strings.Contains(string(q.Body), "watchdog_why")
			}
		}
		return !buttons && strings.Contains(thread, "*approved*") && strings.Contains(thread, "*resolved*")
	}); err != nil {
		t.Error(err)
	}
}
