package responder

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

var (
	now = time.Date(2026, 3, 6, 1, 20, 0, 0, time.UTC)
	yes = incident.Approval{Attribution: incident.Attribution{By: "bob", At: now.Add(-time.Minute)}, Plan: hash}
)

const hash = "3f9a1c77d0e2aaaaaaaaaaaaaaaaaaaa"

func asking(by string) incident.Incident {
	return incident.Incident{
		ID: "01a1", Target: incident.Target{Name: "shop", Workload: "web"}, Phase: incident.Open, Severity: incident.P1,
		Lead: "errors", OpenedAt: now.Add(-time.Hour),
		Asked: &incident.Request{Op: "op1", Plan: incident.Plan{Summary: "roll back shop", Hash: hash},
			Until: now.Add(time.Minute), By: by, Quorum: 2},
	}
}

// decide is Decide on the incident that the request means.
func decide(all []incident.Incident, w incident.ResponderActions, r Request) (Patch, string, error) {
	i, err := Pick(all, r.Incident)
	if err != nil {
		return Patch{}, "", err
	}
	return Decide(i, w, r)
}

func incidents() []incident.Incident {
	return []incident.Incident{
		asking(""),
		{ID: "01a2", Target: incident.Target{Name: "cart"}, Phase: incident.Escalated, Severity: incident.P2,
			OpenedAt: now, Receipts: map[string]incident.Receipt{"slack": {Ref: "c/1", Severity: incident.P3}}},
		{ID: "01b1", Target: incident.Target{Name: "cart"}, Phase: incident.Resolved, Severity: incident.P2,
			OpenedAt: now.Add(-2 * time.Hour)},
	}
}

func TestAWordIsTaken(t *testing.T) {
	for _, tt := range []struct {
		name  string
		word  Request
		words incident.ResponderActions
		says  string // JSON of what is written
		text  string
	}{
		{"ack", Request{Action: Ack, Incident: "01a2", Reason: "on it"}, incident.ResponderActions{},
			`{"Acked":{"by":"alice","reason":"on it","at":"2026-03-06T01:20:00Z","severity":"P2"}}`, "yours"},
		{"ack of a graver severity than before (X40)", Request{Action: Ack, Incident: "01a2"},
			incident.ResponderActions{Acked: incident.Attribution{By: "bob", At: now, Severity: incident.P3}},
			`{"Acked":{"by":"alice","at":"2026-03-06T01:20:00Z","severity":"P2"}}`, "yours"},
		{"ack of the page as it is", Request{Action: Ack, Incident: "01a2", Source: "pagerduty", Key: "01a2/P2"},
			incident.ResponderActions{},
			`{"Acked":{"by":"alice","at":"2026-03-06T01:20:00Z","source":"pagerduty","severity":"P2"}}`, "yours"},
		{"ack by target", Request{Action: Ack, Incident: "cart"}, incident.ResponderActions{},
			`{"Acked":{"by":"alice","at":"2026-03-06T01:20:00Z","severity":"P2"}}`, "yours"},
		{"a yes takes the incident on", Request{Action: Approve, Incident: "01A1", Plan: "3F9A1C"}, incident.ResponderActions{},
			`{"Acked":{"by":"alice","at":"2026-03-06T01:20:00Z","severity":"P1"},` +
				`"Approved":{"op1":{"alice":{"by":"alice","at":"2026-03-06T01:20:00Z","plan":"` + hash + `"}}}}`,
			"(1 of 2)"},
		{"the second yes", Request{Action: Approve, Incident: "01a1", Plan: hash},
			incident.ResponderActions{Acked: yes.Attribution,
				Approved: map[string]map[string]incident.Approval{"op1": {"bob": yes}}},
			`{"Approved":{"op1":{"alice":{"by":"alice","at":"2026-03-06T01:20:00Z","plan":"` + hash + `"}}}}`,
			"(2 of 2)"},
		{"a no after one's own yes", Request{Action: Deny, Incident: "01a1"},
			incident.ResponderActions{Acked: yes.Attribution,
				Approved: map[string]map[string]incident.Approval{"op1": {"alice": yes}}},
			`{"Approved":{"op1":{"alice":{"by":"alice","at":"2026-03-06T01:20:00Z","plan":"` + hash +
				`","denied":true}}}}`, "denied by alice"},
		{"severity", Request{Action: Grade, Incident: "01a2", To: incident.P3, Reason: "staging"}, incident.ResponderActions{},
			`{"Graded":{"by":"alice","reason":"staging","at":"2026-03-06T01:20:00Z","to":"P3"}}`, "from P2 to P3"},
		{"note", Request{Action: Note, Incident: "01a2", As: incident.Hypothesis, Reason: "an index", ID: "n1"},
			incident.ResponderActions{},
			`{"Notes":{"n1":{"by":"alice","reason":"an index","at":"2026-03-06T01:20:00Z","as":"hypothesis"}}}`, "noted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.word.By, tt.word.At = "alice", now
			s, text, err := decide(incidents(), tt.words, tt.word)
			if err != nil || !strings.Contains(text, tt.text) {
				t.Fatalf("%q, %v; want %q", text, err, tt.text)
			}
			var got any
			b, _ := json.Marshal(s)
			if err := json.Unmarshal(b, &got); err != nil {
				t.Fatal(err)
			}
			said(got)
			var want any
			if err := json.Unmarshal([]byte(tt.says), &want); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("written: %v\nwant:    %v (%v)", got, want, err)
			}
		})
	}
}

// said takes out what says nothing.
func said(v any) bool {
	m, ok := v.(map[string]any)
	for k, x := range m {
		if !said(x) {
			delete(m, k)
		}
	}
	return v != nil && v != "" && (!ok || len(m) > 0)
}

func TestARefusalSaysWhyAndWritesNothing(t *testing.T) {
	denied := yes
	denied.Denied = true
	for _, tt := range []struct {
		word  Request
		words incident.ResponderActions
		want  string
	}{
		{Request{Action: Ack, Incident: "01b1"}, incident.ResponderActions{}, "resolved: there is nothing to acknowledge"},
		{Request{Action: Ack, Incident: "01a2"}, incident.ResponderActions{Acked: yes.Attribution},
			"acknowledged by bob at 2026-03-06 01:19:00 UTC"},
		{Request{Action: Ack, Incident: "01a"}, incident.ResponderActions{}, "2 incidents match"},
		// X40
		{Request{Action: Ack, Incident: "01a2", Source: "pagerduty", Key: "01a2/P3"}, incident.ResponderActions{},
			"notified as P3 and is now P2"},
		{Request{Action: Ack, Incident: "01a2", Source: "slack"}, incident.ResponderActions{}, "notified as P3 and is now P2"},
		{Request{Action: Ack, Incident: "zz"}, incident.ResponderActions{}, `no incident "zz"`},
		{Request{Action: Ack, Incident: ""}, incident.ResponderActions{}, `no incident ""`},
		{Request{Action: Approve, Incident: "01a1"}, incident.ResponderActions{}, "name the plan by at least 6 characters"},
		{Request{Action: Approve, Incident: "01a1", Plan: "3f9a1"}, incident.ResponderActions{}, "name the plan by at least 6"},
		{Request{Action: Approve, Incident: "01a1", Plan: "0123456789"}, incident.ResponderActions{},
			"the current plan is 3f9a1c77d0e2"},
		{Request{Action: Approve, Incident: "01a1", Plan: hash, At: now.Add(time.Minute)}, incident.ResponderActions{},
			"the request expired at 2026-03-06 01:21:00"},
		{Request{Action: Approve, Incident: "01a1", Plan: hash},
			incident.ResponderActions{Approved: map[string]map[string]incident.Approval{"op1": {"alice": yes}}},
			"already approved this"},
		{Request{Action: Approve, Incident: "01a1", Plan: hash},
			incident.ResponderActions{Approved: map[string]map[string]incident.Approval{"op1": {"bob": denied}}}, "denied by bob"},
		{Request{Action: Approve, Incident: "01a2", Plan: hash}, incident.ResponderActions{}, "does not request approval"},
		{Request{Action: Deny, Incident: "01a2"}, incident.ResponderActions{}, "does not request approval"},
		{Request{Action: Grade, Incident: "01a2", To: "P9", Reason: "x"}, incident.ResponderActions{}, "invalid severity"},
		{Request{Action: Grade, Incident: "01a2", To: incident.P1}, incident.ResponderActions{}, "a reason is required"},
		{Request{Action: Grade, Incident: "01a2", To: incident.P2, Reason: "x"}, incident.ResponderActions{}, "is already a P2"},
		{Request{Action: Grade, Incident: "01b1", To: incident.P1, Reason: "x"}, incident.ResponderActions{}, "stays P2"},
		{Request{Action: Note, Incident: "01a2", Reason: " "}, incident.ResponderActions{}, "empty"},
		{Request{Action: Note, Incident: "01a2", Reason: "x", As: "gossip"}, incident.ResponderActions{}, "invalid note kind \"gossip\""},
		{Request{Action: Note, Incident: "01b1", Reason: "x"}, incident.ResponderActions{}, "into its review"},
		{Request{Action: Note, Incident: "01a2", Reason: strings.Repeat("x", 1025)}, incident.ResponderActions{},
			"longer than 1024"},
		{Request{Action: "sing", Incident: "01a2"}, incident.ResponderActions{}, "not an action"},
	} {
		if tt.word.By = "alice"; tt.word.At.IsZero() {
			tt.word.At = now
		}
		_, text, err := decide(incidents(), tt.words, tt.word)
		var r *Refused
		if !errors.As(err, &r) || !strings.Contains(err.Error(), tt.want) || text != "" {
			t.Errorf("%+v: %v, %q; want %q", tt.word, err, text, tt.want)
		}
	}
	if _, _, err := decide(incidents(), incident.ResponderActions{}, Request{Action: Ack, Incident: "01a2"}); err == nil ||
		!strings.Contains(err.Error(), "cannot identify") {
		t.Errorf("nobody said it, and it counts: %v", err)
	}
}

// Whoever asked for an action does not approve it (SEC-08).
func TestWhoAskedDoesNotApprove_SEC08(t *testing.T) {
	all := []incident.Incident{asking("alice")}
	if _, _, err := decide(all, incident.ResponderActions{}, Request{Action: Approve, Incident: "01a1", Plan: hash, By: "alice",
		At: now}); err == nil || !strings.Contains(err.Error(), "another person") {
		t.Errorf("%v", err)
	}
	if _, _, err := decide(all, incident.ResponderActions{}, Request{Action: Approve, Incident: "01a1", Plan: hash,
		By: "system:serviceaccount:ci:bot", At: now}); err == nil || !strings.Contains(err.Error(), "is a program") {
		t.Errorf("a program is one of two people: %v", err)
	}
	if _, _, err := decide(all, incident.ResponderActions{}, Request{Action: Approve, Incident: "01a1", Plan: hash, By: "bob",
		At: now}); err != nil {
		t.Error(err)
	}
}

func TestNotesThatNobodyTakesOverDoNotPileUp(t *testing.T) {
	l := incident.ResponderActions{Notes: map[string]incident.Note{}}
	for n := range maxWaiting {
		l.Notes[fmt.Sprint(n)] = incident.Note{}
	}
	w := Request{Action: Note, Incident: "01a2", Reason: "x", By: "alice", At: now}
	if _, _, err := decide(incidents(), l, w); err == nil || !strings.Contains(err.Error(), "not processed yet") {
		t.Error(err)
	}
	all := incidents()
	all[1].Noted = []string{"0"}
	if _, _, err := decide(all, l, w); err != nil {
		t.Error(err)
	}
}

// X90: of two notes of one person within a second the first was overwritten, and both
// were said to be noted.
func TestEachWordHasAnIDOfItsOwn_X90(t *testing.T) {
	ids := map[string]bool{}
	for _, w := range []Request{
		{As: incident.Hypothesis, Reason: "an index"}, {As: incident.Decision, Reason: "an index"},
		{Reason: "an index"}, {Reason: "a lock"},
		{Reason: "an index", By: "bob"}, {Reason: "an index", At: now.Add(time.Millisecond)},
	} {
		w.Action, w.Incident = Note, "01a2"
		if w.By == "" {
			w.By = "alice"
		}
		if w.At.IsZero() {
			w.At = now
		}
		s, _, err := decide(incidents(), incident.ResponderActions{}, w)
		if err != nil {
			t.Fatal(err)
		}
		for id := range s.Notes {
			ids[id] = true
		}
	}
	if len(ids) != 6 {
		t.Errorf("6 words have %d ids: %v", len(ids), ids)
	}
}
