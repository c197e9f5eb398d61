package responder

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// What people say of one incident is bounded, and a no is taken all the same.
func TestAnIncidentIsNotFilledWithWords(t *testing.T) {
	w := incident.ResponderActions{Notes: map[string]incident.Note{}}
	all := incidents()
	for _, tt := range []struct {
		notes     int
		note, ack bool
	}{{10, true, true}, {80, false, true}, {200, false, false}} {
		for n := len(w.Notes); n < tt.notes; n++ {
			id := fmt.Sprint(n)
			w.Notes[id] = incident.Note{Attribution: incident.Attribution{Reason: strings.Repeat("x", maxText),
				At: now}}
			all[0].Noted, all[1].Noted = []string{}, []string{}
		}
		for verb, taken := range map[Action]bool{Note: tt.note, Ack: tt.ack, Deny: true} {
			r := Request{Action: verb, Incident: "01a1", By: "alice", At: now, Reason: "x"}
			if _, _, err := decide(all, w, r); (err == nil) != taken || err != nil &&
				!strings.Contains(err.Error(), "KiB") {
				t.Errorf("%s with %d notes: %v", verb, tt.notes, err)
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
	r := Request{Action: Note, Incident: "01a2", Reason: "x", By: "alice", At: now}
	if _, text, err := decide(all, incident.ResponderActions{}, r); err == nil || !strings.Contains(err.Error(), "the maximum") {
		t.Errorf("%q, %v", text, err)
	}
}

// Of two who say how grave it is, the second is heard: within the same second, and
// also when the clock of the first is ahead.
func TestTheLastWordOnTheSeverityCounts(t *testing.T) {
	for _, ahead := range []time.Duration{0, 10 * time.Minute, -time.Minute} {
		first := incident.Grade{Attribution: incident.Attribution{By: "bob", At: now.Add(ahead)}, To: incident.P3}
		for _, taken := range []bool{false, true} {
			all := incidents()
			if taken {
				all[1].Graded, all[1].Severity = first, first.To
			}
			p, _, err := decide(all, incident.ResponderActions{Graded: first},
				Request{Action: Grade, Incident: "01a2", To: incident.P0, Reason: "all of them", By: "alice",
					At: now.Add(300 * time.Millisecond)})
			if err != nil {
				t.Fatal(err)
			}
			all[1].Graded = first
			if !all[1].HasUpdates(p, now) {
				t.Errorf("first %s ahead, taken over %v: the second is no news: %+v", ahead, taken, p.Graded)
			}
		}
	}
}

func TestWhatIsSaidOfTheStatusPage(t *testing.T) {
	before := incident.PublicAction{Attribution: incident.Attribution{By: "bob", At: now.Add(time.Hour)}, Publish: true,
		HoldUntil: now.Add(2 * time.Hour)}
	for _, tt := range []struct {
		name    string
		before  incident.PublicAction
		r       Request
		publish bool
		held    bool
		want    string // of the refusal
	}{
		{"a yes", incident.PublicAction{}, Request{Incident: "01a1"}, true, false, ""},
		{"a hold keeps an earlier yes", before, Request{Incident: "01a1", Until: now.Add(3 * time.Hour),
			Reason: "legal"}, true, true, ""},
		{"a release ends the hold", before, Request{Incident: "01a1", Release: true}, true, false, ""},
		{"a hold takes a reason", incident.PublicAction{}, Request{Incident: "01a1", Until: now.Add(time.Hour)}, false,
			false, "a reason is required"},
		{"a hold ends in the future", incident.PublicAction{}, Request{Incident: "01a1", Until: now, Reason: "x"}, false,
			false, "in the past"},
		{"a release takes a hold", incident.PublicAction{}, Request{Incident: "01a1", Release: true}, false, false,
			"is not on hold"},
		{"what is resolved and was never published stays so", incident.PublicAction{}, Request{Incident: "01b1"}, false,
			false, "never published"},
	} {
		tt.r.Action, tt.r.By, tt.r.At = Publish, "alice", now
		p, text, err := decide(incidents(), incident.ResponderActions{Public: tt.before}, tt.r)
		if tt.want != "" {
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if w := p.Public; err != nil || w.Publish != tt.publish || w.Held(now.Add(90*time.Minute)) != tt.held ||
			!w.At.After(tt.before.At) || !strings.Contains(text, "by alice") {
			t.Errorf("%s: %+v, %q, %v", tt.name, p.Public, text, err)
		}
	}
}

func TestUndoFindsWhatHasALease(t *testing.T) {
	lease := func(op, inc, workload string) incident.Lease {
		return incident.Lease{Op: op, Incident: inc, Plan: incident.Plan{Summary: "scale " + workload,
			Target: incident.Target{Name: workload, Namespace: "shop", Kind: "deployment", Workload: workload}}}
	}
	l := incident.Ledger{Leases: []incident.Lease{lease("01x1", "01i1", "cart"), lease("01x2", "01i2", "web")}}
	for word, want := range map[string]string{"01X1": "01x1", "01i2": "01x2", "shop/cart": "01x1", "web": "01x2"} {
		if got, err := undoable(l, word); err != nil || len(got) != 1 || got[0].Op != want {
			t.Errorf("%s: %+v, %v", word, got, err)
		}
	}
	for word, want := range map[string]string{"01x": "give more of the id",
		"shop/api": "changes with a lease: 01x1 (scale cart); 01x2 (scale web)"} {
		if _, err := undoable(l, word); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", word, err)
		}
	}
	if _, err := undoable(incident.Ledger{}, "01x"); err == nil ||
		!strings.Contains(err.Error(), "no change of watchdog has a lease now") {
		t.Error(err)
	}
}

// Who says it in the far future has not the last word for ever.
func TestAWordOfTheFarFutureIsNotTheLast(t *testing.T) {
	far := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	for _, taken := range []bool{false, true} {
		all := incidents()
		first := incident.Grade{Attribution: incident.Attribution{By: "eve", At: far}, To: incident.P3}
		public := incident.PublicAction{Attribution: incident.Attribution{By: "eve", At: far}}
		if taken { // by an earlier version
			all[1].Graded, all[1].Severity, all[1].Public = first, first.To, public
		}
		w := incident.ResponderActions{Graded: first, Public: public}
		if all[1].HasUpdates(w, now) {
			t.Error("the word of the far future is taken over")
		}
		r := Request{Action: Grade, Incident: "01a2", To: incident.P0, Reason: "x", By: "alice", At: now}
		p, _, err := decide(all, w, r)
		if _, bad := json.Marshal(p); err != nil || bad != nil || all[1].SeverityBy(p.Graded, now) != incident.P0 {
			t.Errorf("taken %v: %+v, %v, %v", taken, p, err, bad)
		}
		r.Action = Publish
		p, _, err = decide(all, w, r)
		if _, bad := json.Marshal(p); err != nil || bad != nil || !all[1].HasUpdates(p, now) {
			t.Errorf("taken %v: %+v, %v, %v", taken, p, err, bad)
		}
	}
}

// Until an approved op is stored as being sent, a no counts; after that it is refused.
func TestANoIsTakenUntilTheOpIsBeingSent(t *testing.T) {
	yes := incident.ResponderActions{Approved: map[string]map[string]incident.Approval{"op1": {"bob": {Plan: hash}}}}
	for phase, want := range map[incident.OpPhase]bool{
		incident.Reserving: true, incident.Intent: true, incident.Evidenced: true, incident.Sent: false,
		incident.InDoubt: false, incident.Settling: false,
	} {
		i := asking("")
		i.Op, i.Asked = &incident.Op{ID: "op1", Plan: i.Asked.Plan, Phase: phase}, nil
		p, _, err := Decide(i, yes, Request{Action: Deny, Incident: "01a1", By: "dora", At: now})
		if got := p.Approved["op1"]["dora"].Denied; got != want || (err == nil) != want {
			t.Errorf("%s: denied %v, %v", phase, got, err)
		}
		if _, _, err := Decide(i, yes, Request{Action: Approve, Plan: hash, By: "dora", At: now}); err == nil {
			t.Errorf("%s: a yes is taken", phase)
		}
		if _, _, err := Decide(i, incident.ResponderActions{}, Request{Action: Deny, By: "dora", At: now}); err == nil {
			t.Errorf("%s: a no to what nobody was asked is taken", phase)
		}
	}
}
