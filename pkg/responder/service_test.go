package responder

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// bench is what a service stands on.
type bench struct {
	fake
	now     time.Time
	broken  error
	records []AuditEvent
}

func newBench() (*bench, *Service) {
	b := &bench{now: now}
	b.inc = incidents()[1]
	return b, New(Options{
		Cluster: &b.fake,
		May:     func(context.Context, Person, string) error { return nil },
		Record:  func(h AuditEvent) error { b.records = append(b.records, h); return b.broken },
		Count:   func(string, Action, string) {},
		Now:     func() time.Time { return b.now },
	})
}

// Whoever only a vendor knows may take an incident on, and nothing else.
func TestAnUnverifiedPersonMayOnlyAcknowledge(t *testing.T) {
	_, d := newBench()
	p := Person{Name: "pagerduty: Eve", Unverified: true}
	for _, w := range []Request{{Action: Grade, To: incident.P0, Reason: "x"}, {Action: Note, Reason: "x"},
		{Action: Approve, Plan: hash}, {Action: Deny}, {Action: Hold}, {Action: Resume}, {Action: Undo, Reason: "x"},
		{Action: Publish}} {
		w.Incident = "01a1"
		var no *Refused
		if _, err := d.Do(t.Context(), p, w); !errors.As(err, &no) || !no.Forbidden {
			t.Errorf("%s: %v", w.Action, err)
		}
	}
	if text, err := d.Do(t.Context(), p, Request{Action: Ack, Incident: "01a1"}); err != nil ||
		!strings.Contains(text, "yours") {
		t.Errorf("%q, %v", text, err)
	}
}

// A flood of words is none of requests for all incidents.
func TestIncidentsAreListedOnceASecond(t *testing.T) {
	b, d := newBench()
	for k := range 30 {
		_, _ = d.Do(t.Context(), Person{Name: fmt.Sprint("p", k)}, Request{Action: Ack, Incident: "01a2"})
	}
	if _, err := d.Why(t.Context(), "01a1"); err != nil || b.lists != 1 {
		t.Errorf("listed %d times, %v", b.lists, err)
	}
	b.now = b.now.Add(fresh)
	if _, err := d.Why(t.Context(), "01a1"); err != nil || b.lists != 2 {
		t.Errorf("listed %d times, %v", b.lists, err)
	}
}

func TestANameIsOne(t *testing.T) {
	b, d := newBench()
	for _, name := range []string{"", strings.Repeat("x", 254), "alice\nbob"} {
		if _, err := d.Do(t.Context(), Person{Name: name}, Request{Action: Ack, Incident: "01a1"}); err == nil {
			t.Errorf("%q counts", name)
		}
	}
	if b.patched != 0 || len(b.records) != 3 {
		t.Errorf("%d writes, %+v", b.patched, b.records)
	}
}

func TestWhySaysFirstWhatHolds(t *testing.T) {
	i := asking("")
	i.Answers = []incident.Answer{{Guard: "budget", Reason: "0 of 3"},
		{Guard: "approval", Hold: incident.Ask, Reason: "nobody yet"}}
	if text := why(i); strings.Index(text, "approval (ask): nobody yet") > strings.Index(text,
		"budget (passes): 0 of 3") || !strings.Contains(text, "plan 3f9a1c77d0e2") {
		t.Error(text)
	}
}

func TestAButtonIsReadBackAsItWas(t *testing.T) {
	for _, b := range []Button{{Ack, "01a1", "", ""}, {Approve, "01a1", "op1", hash}, {Deny, "01a1", "op1", hash},
		{Hold, "01a1", "", ""}, {Resume, "01a1", "", ""}, {Publish, "01a1", "", ""}, {Undo, "01a1", "", ""},
		{Why, "01a1", "", ""}} {
		if got, ok := ParseButton(b.ActionID(), b.Value()); !ok || got != b {
			t.Errorf("%+v became %+v, %v", b, got, ok)
		}
	}
	for _, tt := range [][2]string{{"watchdog_approve", "01a1//"}, {"watchdog_approve", "01a1/op1/3f9"},
		{"watchdog_deny", "01a1/op1/"}, {"watchdog_ack", "//"}, {"watchdog_ack", "01a1"}, {"ack", "01a1//"},
		{"watchdog_grade", "01a1//"}, {"watchdog_ack", strings.Repeat("x", 600) + "//"}} {
		if got, ok := ParseButton(tt[0], tt[1]); ok {
			t.Errorf("%q is %+v", tt, got)
		}
	}
}

// Whoever has any account cannot fill the record with what is refused.
func TestAFloodOfWordsIsOnRecordOnce(t *testing.T) {
	b, d := newBench()
	for range 1000 {
		_, _ = d.Do(t.Context(), Person{Name: "eve"}, Request{Action: "nonsense"})
	}
	if n := len(b.records); n != paceBurst+1 {
		t.Errorf("%d records of 1000 words at once", n)
	}
	// Nor can whoever a vendor knows, and nobody else.
	had := len(b.records)
	for range 1000 {
		_ = d.Refuse(Request{Action: Ack, Incident: "01a1", By: "slack user U1"}, "not listed")
	}
	if n := len(b.records) - had; n != paceBurst+1 {
		t.Errorf("%d records of 1000 clicks", n)
	}
	had = len(b.records) - had
	b.now = b.now.Add(paceEvery)
	for range 10 {
		_, _ = d.Do(t.Context(), Person{Name: "eve"}, Request{Action: "nonsense"})
	}
	if n := len(b.records) - had; n != paceBurst+3 {
		t.Errorf("%d records a moment later", n)
	}
}

// A button and a page name the whole incident: no other is read for them.
func TestAWholeIDIsReadAlone(t *testing.T) {
	b, d := newBench()
	b.inc.ID = "01j9zq4m8k3v7t2w5x6y0abcde"
	for _, id := range []string{b.inc.ID, strings.ToUpper(b.inc.ID)} {
		text, err := d.Do(t.Context(), Person{Name: "alice"},
			Request{Action: Note, Incident: id, Reason: "an index " + id})
		if err != nil || !strings.Contains(text, b.inc.ID) || b.lists != 0 {
			t.Errorf("%q, %v; listed %d times", text, err, b.lists)
		}
	}
	if _, err := d.Do(t.Context(), Person{Name: "alice"},
		Request{Action: Note, Incident: "01j9zq4m8k3v7t2w5x6y0abcdf", Reason: "x"}); err == nil ||
		!strings.Contains(err.Error(), "no incident") || b.lists != 1 {
		t.Errorf("%v; listed %d times", err, b.lists)
	}
}
