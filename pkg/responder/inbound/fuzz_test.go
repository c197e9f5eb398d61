package inbound

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"watchdog.io/watchdog/pkg/responder"
)

// FuzzSlackPayload: whatever comes, a click is one whole word of one user or none.
func FuzzSlackPayload(f *testing.F) {
	f.Add(press("U0ALICE", responder.Approve, "1").Payload())
	f.Fuzz(func(t *testing.T, b []byte) {
		c, ok, err := parseClick(b)
		if !ok {
			return
		}
		if err != nil || c.user == "" || len(c.user) > maxID || c.button.Incident == "" {
			t.Fatalf("%+v, %v", c, err)
		}
		if again, same := responder.ParseButton(c.button.ActionID(), c.button.Value()); !same || again != c.button {
			t.Fatalf("%+v is another button when read again: %+v", c.button, again)
		}
		if c.button.Action == responder.Approve && (c.button.Plan == "" || c.button.Op == "") {
			t.Fatalf("a yes to whatever is asked: %+v", c.button)
		}
	})
}

// FuzzPagerDutyEvent: whatever is signed, an event has an id to be told by.
func FuzzPagerDutyEvent(f *testing.F) {
	f.Add([]byte(webhook("E1", "incident.acknowledged", "PALICE", pdIncident, t0)))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parseEvent(b)
		if err == nil && (e.Event.ID == "" || len(e.Event.ID) > maxID || e.Event.Type == "") {
			t.Fatalf("%+v", e)
		}
		if s := shown(e.Event.Data.Content, 100); len(s) > 100 || !utf8.ValidString(s) ||
			strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Fatalf("%q", s)
		}
	})
}

// FuzzAPIBody: a body has only the members that were asked for, as texts.
func FuzzAPIBody(f *testing.F) {
	f.Add([]byte(`{"plan":"3f9a1c77d0e2"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseBody(b, []string{"plan", "reason"})
		if err != nil {
			if s != (apiBody{}) {
				t.Fatalf("refused, and yet %+v", s)
			}
			return
		}
		if s.Op+s.To+s.As+s.Text+s.ID != "" {
			t.Fatalf("%+v", s)
		}
		if s != (apiBody{}) && !json.Valid(b) {
			t.Fatalf("%q is no JSON, and yet %+v", b, s)
		}
	})
}
