package responder

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// A list of incidents may be older than the ledger that is read after it: what
// somebody else said a moment ago about what is not in it stays.
func TestAWordAboutWhatIsNotListedYetStays(t *testing.T) {
	l := incident.Ledger{
		Acked:    map[string]incident.Attribution{"01a9": {By: "bob", At: now.Add(-time.Second)}, "01a0": {By: "bob", At: now.Add(-2 * time.Hour)}},
		Approved: map[string]map[string]incident.Approval{"op9": {"bob": yes}, "op0": {"bob": {Attribution: incident.Attribution{At: now.Add(-2 * time.Hour)}}}},
	}
	s, _, err := Decide(incidents(), l, Request{Action: Ack, Incident: "01a2", By: "alice", At: now})
	if err != nil || !reflect.DeepEqual(s.Gone, incident.Gone{Incidents: []string{"01a0"}, Ops: []string{"op0"}}) {
		t.Errorf("%v, gone: %+v", err, s.Gone)
	}
}

// The ops in flight stand in the same object: what people say does not fill it.
func TestWhatIsTakenOverLeavesTheLedger(t *testing.T) {
	ago := incident.Attribution{By: "bob", At: now.Add(-90 * time.Minute)}
	l := incident.Ledger{
		Acked:  map[string]incident.Attribution{"01a2": ago, "01b1": ago},
		Graded: map[string]incident.Grade{"01a2": {Attribution: ago}, "01b1": {Attribution: ago}},
		Notes:  map[string]map[string]incident.Note{"01a2": {"n1": {Attribution: ago}, "n2": {Attribution: ago}, "n3": {Attribution: ago}}, "01b1": {"n1": {Attribution: ago}}},
	}
	all := incidents()
	all[1].Noted = []string{"n3", "n1"}
	s, _, err := Decide(all, l, Request{Action: Note, Incident: "01a2", Reason: "x", By: "alice", At: now})
	// 01b1 is resolved; n2 is still to be taken over, and the grade is one that may be newer than it seems.
	want := incident.Gone{Incidents: []string{"01b1"}, Notes: map[string][]string{"01a2": {"n1", "n3"}}}
	if err != nil || !reflect.DeepEqual(s.Gone, want) {
		t.Errorf("%v, gone: %+v", err, s.Gone)
	}
}

func TestTheLedgerIsNotFilledWithWords(t *testing.T) {
	l := incident.Ledger{Notes: map[string]map[string]incident.Note{}}
	fill := func(n int) {
		for len(l.Notes) < n {
			l.Notes[fmt.Sprint(len(l.Notes))] = map[string]incident.Note{"n": {Attribution: incident.Attribution{Reason: strings.Repeat("x", maxText), At: now}}}
		}
	}
	say := func(w Request) error {
		w.Incident, w.By, w.At, w.Reason = "01a2", "alice", now, "x"
		_, _, err := Decide(incidents(), l, w)
		return err
	}
	for _, tt := range []struct {
		notes     int
		note, ack bool
	}{{200, true, true}, {300, false, true}, {600, false, false}} {
		fill(tt.notes)
		for _, one := range []struct {
			verb  Action
			taken bool
		}{{Note, tt.note}, {Ack, tt.ack}} {
			if err := say(Request{Action: one.verb}); (err == nil) != one.taken || err != nil && !strings.Contains(err.Error(), "KiB") {
				t.Errorf("%s with %d notes: %v", one.verb, tt.notes, err)
			}
		}
	}
}

// Who is told that something is noted finds it on the incident.
func TestAnIncidentThatTakesNoMoreNotesSaysSo(t *testing.T) {
	all := incidents()
	for n := range incident.MaxNotes {
		all[1].Noted = append(all[1].Noted, fmt.Sprint(n))
	}
	w := Request{Action: Note, Incident: "01a2", Reason: "x", By: "alice", At: now}
	if _, text, err := Decide(all, incident.Ledger{}, w); err == nil || !strings.Contains(err.Error(), "takes no more") {
		t.Errorf("%q, %v", text, err)
	}
}

// Of two who say how grave it is, the second is heard: within the same second, and
// also when the clock of the first is ahead.
func TestTheLastWordOnTheSeverityCounts(t *testing.T) {
	for _, ahead := range []time.Duration{0, 10 * time.Minute, -time.Minute} {
		first := incident.Grade{Attribution: incident.Attribution{By: "bob", At: now.Add(ahead)}, To: incident.P3}
		for _, taken := range []bool{false, true} {
			all, l := incidents(), incident.Ledger{Graded: map[string]incident.Grade{"01a2": first}}
			if taken {
				all[1].Graded, all[1].Severity = first, first.To
			}
			s, _, err := Decide(all, l, Request{Action: Grade, Incident: "01a2", To: incident.P0, Reason: "all of them", By: "alice", At: now.Add(300 * time.Millisecond)})
			if err != nil {
				t.Fatal(err)
			}
			all[1].Graded = first
			if w := (incident.Words{Graded: s.Graded["01a2"]}); !all[1].News(w) {
				t.Errorf("first %s ahead, taken over %v: the second is no news: %+v", ahead, taken, w.Graded)
			}
		}
	}
}
