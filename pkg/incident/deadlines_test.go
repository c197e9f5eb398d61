package incident

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// hours is a Response without calendars.
type hours map[Severity]time.Duration

func (h *hours) Due(s Severity, _ int, from time.Time) time.Time { return from.Add((*h)[s]) }

func (*hours) Phases(Severity) []Stage { return nil }

var runbook = &hours{P0: 15 * time.Minute, P1: time.Hour, P2: 4 * time.Hour, P3: 24 * time.Hour}

// entries counts the timeline's entries of a kind.
func entries(i Incident, kind Kind) int {
	n := 0
	for _, e := range i.Timeline {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// paged is an alert that only a person can do something about.
func paged(s Severity) Alert {
	return Alert{Rule: "errors", Severity: s, Firing: true, Verdict: Breach, Value: 5, Bound: 1, Above: true,
		Reason: "5 > 1", Ladder: []Rung{{Action: "page"}}}
}

// await plays a tick at each of the moments, counted from the beginning, and
// stores the incident between any two.
func await(t *testing.T, a Alert, acked func(at time.Duration) Attribution, moments ...time.Duration) Incident {
	t.Helper()
	p := DefaultPolicy()
	p.Response = runbook
	i := New("i1", target, t0)
	for _, m := range moments {
		a.EvaluatedAt = t0.Add(m)
		i, _ = Step(i, Tick{At: t0.Add(m), Alerts: []Alert{a}, Rollout: Rollout{Known: true, Done: true, Ready: 3},
			Responders: ResponderActions{Acked: acked(m)}}, p)
		b, err := json.Marshal(i)
		if err != nil {
			t.Fatal(err)
		}
		i = Incident{}
		if err := json.Unmarshal(b, &i); err != nil {
			t.Fatal(err)
		}
	}
	return i
}

func nobody(time.Duration) Attribution { return Attribution{} }

func TestADeadlinePassesOnceAndTheNextBegins(t *testing.T) {
	for s, within := range *runbook {
		i := await(t, paged(s), nobody, 0, within-1, within, within+1, 2*within-1)
		if i.Unanswered != 1 || entries(i, "unanswered") != 1 || !i.AckBy.Equal(t0.Add(2*within)) {
			t.Errorf("%s: %d unanswered, next %s, %+v", s, i.Unanswered, i.AckBy, i.Timeline)
		}
		if i = await(t, paged(s), nobody, 0, within-1); i.Unanswered != 0 || !i.AckBy.Equal(t0.Add(within)) {
			t.Errorf("%s: %d unanswered before %s, which is the deadline", s, i.Unanswered, i.AckBy)
		}
		// Nobody led for three deadlines: that is said once.
		if i = await(t, paged(s), nobody, 0, 3*within+time.Minute); i.Unanswered != 1 ||
			!i.AckBy.Equal(t0.Add(4*within+time.Minute)) {
			t.Errorf("%s: %d unanswered, next %s", s, i.Unanswered, i.AckBy)
		}
	}
}

func TestAnAcknowledgementCountsOnce(t *testing.T) {
	by := func(at time.Duration) Attribution {
		switch {
		case at >= 50*time.Minute:
			return Attribution{By: "bob", At: t0.Add(50 * time.Minute)}
		case at >= 20*time.Minute:
			return Attribution{By: "alice", Reason: "on it", At: t0.Add(20 * time.Minute)}
		}
		return Attribution{}
	}
	i := await(t, paged(P1), by, 0, 20*time.Minute, 50*time.Minute, 2*time.Hour, 9*time.Hour)
	if i.Acked.By != "alice" || entries(i, "acknowledged") != 1 || i.Unanswered != 0 || !i.AckBy.IsZero() {
		t.Errorf("acknowledged by %q, %d unanswered, %+v", i.Acked.By, i.Unanswered, i.Timeline)
	}
	if last := i.Timeline[len(i.Timeline)-1]; last.Kind != "acknowledged" || last.Text != "by alice: on it" {
		t.Errorf("it says %q: %q", last.Kind, last.Text)
	}
}

// The remedy under way puts the human step off, but for P0.
func TestARemedyDelaysTheHumanStep(t *testing.T) {
	for s, due := range map[Severity]bool{P0: true, P1: false} {
		a := paged(s)
		a.Ladder = []Rung{{Action: "restart", Class: C3}, {Action: "page"}}
		if i := await(t, a, nobody, 0, time.Minute); i.Paged || i.AckBy.IsZero() == due {
			t.Errorf("%s: paged %v, deadline %s", s, i.Paged, i.AckBy)
		}
	}
}

func TestAGraverSeverityMovesTheDeadlineOnlyForward(t *testing.T) {
	p := DefaultPolicy()
	p.Response = runbook
	i := New("i1", target, t0)
	tick := func(at time.Duration, alerts ...Alert) {
		for k := range alerts {
			alerts[k].EvaluatedAt = t0.Add(at)
		}
		i, _ = Step(i, Tick{At: t0.Add(at), Alerts: alerts, Rollout: Rollout{Known: true, Done: true}}, p)
	}
	worse := paged(P0)
	worse.Rule = "down"
	tick(0, paged(P1))
	tick(10*time.Minute, paged(P1), worse)
	if want := t0.Add(25 * time.Minute); !i.AckBy.Equal(want) {
		t.Errorf("the deadline is %s, want %s", i.AckBy, want)
	}
	i = New("i2", target, t0)
	tick(0, paged(P1))
	tick(50*time.Minute, paged(P1), worse)
	if want := t0.Add(time.Hour); !i.AckBy.Equal(want) {
		t.Errorf("the deadline went back to %s, was %s", i.AckBy, want)
	}
}

func TestWhatNobodyIsToldOfHasNoDeadline(t *testing.T) {
	quiet := paged(P0)
	quiet.Silenced = "silenced by 0d1a"
	if i := await(t, quiet, nobody, 0, time.Minute, time.Hour); !i.AckBy.IsZero() || i.Unanswered != 0 {
		t.Errorf("silenced: %s, %d", i.AckBy, i.Unanswered)
	}
	p := DefaultPolicy()
	p.Response = runbook
	i, _ := Step(New("i1", target, t0), Tick{At: t0, Alerts: []Alert{paged(P0)}, Shared: "a storm"}, p)
	if !i.AckBy.IsZero() {
		t.Errorf("told elsewhere, and due %s", i.AckBy)
	}
	over := paged(P1)
	i = await(t, over, nobody, 0, time.Minute)
	over.Firing, over.Verdict = false, OK
	i, _ = Step(i, Tick{At: t0.Add(2 * time.Hour), Alerts: []Alert{over}}, p)
	if i.Phase != Resolved || !i.AckBy.IsZero() || i.Timeline[len(i.Timeline)-1].Kind == KindUnanswered {
		t.Errorf("%s, due %s", i.Phase, i.AckBy)
	}
}

// manned is a Response with phases, and with one further deadline for P1 alone.
type manned struct{ hours }

func (m *manned) Due(s Severity, step int, from time.Time) time.Time {
	if step > 1 {
		return time.Time{}
	}
	return from.Add(m.hours[s])
}

func (*manned) Phases(Severity) []Stage {
	return []Stage{{"stabilise", 15 * time.Minute, []Need{NeedsEvidence}},
		{"investigate", time.Hour, []Need{NeedsAnswer, NeedsHypothesis}},
		{"decide", 2 * time.Hour, []Need{NeedsDecision}}}
}

func TestAPhaseThatBringsNothingAsksFurtherPeople(t *testing.T) {
	alice := Attribution{By: "alice", At: t0.Add(5 * time.Minute)}
	idea := map[string]Note{"n1": {Attribution: Attribution{By: "alice", Reason: "an index",
		At: t0.Add(30 * time.Minute)}, As: Hypothesis}}
	fix := map[string]Note{"n1": idea["n1"],
		"n2": {Attribution: Attribution{By: "alice", Reason: "roll back", At: t0.Add(90 * time.Minute)}, As: Decision},
		"n3": {Attribution: Attribution{By: "bob", Reason: "at the desk"}}}
	for _, tt := range []struct {
		name    string
		words   ResponderActions
		steps   int
		overdue []string
	}{
		{"nobody", ResponderActions{}, 3, []string{"stabilise ended after 15m0s without: evidence;",
			"investigate ended after 1h0m0s without: acknowledged, hypothesis;",
			"decide ended after 2h0m0s without: decision;"}},
		{"taken on, and nothing found", ResponderActions{Acked: alice}, 2,
			[]string{"investigate ended after 1h0m0s without: hypothesis; record a possible cause with `watchdog note i1" +
				" --as hypothesis TEXT`",
				"decide ended after"}},
		{"a hypothesis", ResponderActions{Acked: alice, Notes: idea}, 1,
			[]string{"decide ended after 2h0m0s without: decision; record a hotfix or rollback decision with " +
				"`watchdog note i1 --as decision TEXT`"}},
		{"a decision", ResponderActions{Acked: alice, Notes: fix}, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, i := DefaultPolicy(), New("i1", target, t0)
			p.Response = &manned{*runbook}
			for at := time.Duration(0); at <= 3*time.Hour; at += 5 * time.Minute {
				a := paged(P1)
				a.EvaluatedAt = t0.Add(at)
				w := ResponderActions{Notes: map[string]Note{}}
				if !tt.words.Acked.At.IsZero() && !tt.words.Acked.At.After(t0.Add(at)) {
					w.Acked = tt.words.Acked
				}
				for id, n := range tt.words.Notes {
					if !n.At.After(t0.Add(at)) {
						w.Notes[id] = n
					}
				}
				i, _ = Step(i, Tick{At: t0.Add(at), Alerts: []Alert{a},
					Rollout: Rollout{Known: true, Done: true, Ready: 3}, Responders: w}, p)
				b, err := json.Marshal(i)
				if err != nil {
					t.Fatal(err)
				}
				i = Incident{}
				if err := json.Unmarshal(b, &i); err != nil {
					t.Fatal(err)
				}
			}
			var told []string
			for _, e := range i.Timeline {
				if e.Kind == "overdue" {
					told = append(told, e.Text)
				}
			}
			if len(told) != len(tt.overdue) || i.Step != tt.steps || i.Overdue != len(told) {
				t.Fatalf("step %d, want %d; overdue %q, want %q", i.Step, tt.steps, told, tt.overdue)
			}
			for k := range told {
				if !strings.Contains(told[k], tt.overdue[k]) {
					t.Errorf("%q, want %q", told[k], tt.overdue[k])
				}
			}
			if n := entries(i, Hypothesis) + entries(i, Decision) + entries(i, "note"); n != len(tt.words.Notes) {
				t.Errorf("%d notes on the timeline, want %d", n, len(tt.words.Notes))
			}
			// Without end was not asked for: two deadlines, and no more.
			if tt.words.Acked.At.IsZero() && (i.Unanswered != 2 || !i.AckBy.IsZero() || !i.PhaseBy.IsZero()) {
				t.Errorf("%d unanswered, next %s, phase %s", i.Unanswered, i.AckBy, i.PhaseBy)
			}
		})
	}
}

func TestOnlyAPersonLowersASeverity(t *testing.T) {
	p, i := DefaultPolicy(), New("i1", target, t0)
	at := time.Duration(0)
	tick := func(w ResponderActions, alerts ...Alert) {
		at += time.Minute
		for k := range alerts {
			alerts[k].EvaluatedAt = t0.Add(at)
		}
		i, _ = Step(i, Tick{At: t0.Add(at), Alerts: alerts, Rollout: Rollout{Known: true, Done: true}, Responders: w}, p)
	}
	calm := func(a Alert) Alert { a.Firing, a.Verdict = false, OK; return a }
	other := paged(P3)
	other.Rule = "other"
	low := ResponderActions{Graded: Grade{Attribution: Attribution{By: "alice", Reason: "staging", At: t0.Add(time.Minute)},
		To: P3}}
	tick(ResponderActions{}, paged(P1), other)
	tick(low, paged(P1), other)
	if i.Severity != P3 || i.Timeline[len(i.Timeline)-1].Text != "set from P1 to P3 by alice: staging" {
		t.Fatalf("%s %+v", i.Severity, i.Timeline[len(i.Timeline)-1])
	}
	// What alice has judged raises it no more; what is new does.
	tick(low, calm(paged(P1)), other)
	tick(low, paged(P1), other)
	if i.Severity != P3 || entries(i, "severity") != 1 {
		t.Fatalf("%s %+v", i.Severity, i.Timeline)
	}
	worse := paged(P0)
	worse.Rule = "down"
	tick(low, paged(P1), other, worse)
	if i.Severity != P0 {
		t.Fatalf("a new rule of P0 fires, and it is a %s", i.Severity)
	}
	tick(ResponderActions{Graded: Grade{Attribution: Attribution{By: "eve", At: t0.Add(time.Hour)}, To: "P9"}}, paged(P1), other,
		worse)
	if i.Severity != P0 {
		t.Fatalf("%q is no severity", i.Severity)
	}
}

// sparing asks twice about a P0, and about others as often as one likes.
type sparing struct{ hours }

func (r *sparing) Due(s Severity, step int, from time.Time) time.Time {
	if s == P0 && step > 1 {
		return time.Time{}
	}
	return r.hours.Due(s, step, from)
}

// Deadlines of a lower severity that passed use up none of a graver one.
func TestAGraverSeverityHasAllItsDeadlines(t *testing.T) {
	p := DefaultPolicy()
	p.Response = &sparing{*runbook}
	a, i := paged(P2), New("i1", target, t0)
	tick := func(at time.Duration) {
		a.EvaluatedAt = t0.Add(at)
		i, _ = Step(i, Tick{At: t0.Add(at), Alerts: []Alert{a}}, p)
	}
	for h := range 13 {
		tick(time.Duration(h) * time.Hour) // three deadlines of 4 h pass
	}
	if i.Unanswered != 3 {
		t.Fatalf("%d unanswered", i.Unanswered)
	}
	i.Alerts[0].Firing, a.Severity = false, P0 // it fires anew, and is worse
	for _, d := range []time.Duration{0, 15 * time.Minute, 30 * time.Minute, 45 * time.Minute} {
		tick(12*time.Hour + time.Minute + d)
	}
	if i.Severity != P0 || i.Unanswered != 5 || !i.AckBy.IsZero() {
		t.Errorf("%s: %d unanswered, next %s", i.Severity, i.Unanswered, i.AckBy)
	}
}

// Whatever is written into the ledger, by whatever: an incident takes over what is a
// word, and can be stored afterwards. Only watchdog itself makes its own kinds of entries.
func TestAWordThatIsNoneFillsNothing(t *testing.T) {
	long := Attribution{By: strings.Repeat("a", 1<<20), Reason: strings.Repeat("ä", 1<<20),
		Source: strings.Repeat("v", 1<<20), At: t0}
	w := ResponderActions{Acked: long, Graded: Grade{Attribution: long, To: P0}, Public: PublicAction{Attribution: long},
		Notes: map[string]Note{}}
	for _, as := range []string{"", Hypothesis, "superseded", "resolved", strings.Repeat("x", 1<<20)} {
		w.Notes[clip(as, 10)] = Note{Attribution: long, As: as}
	}
	i, _ := Step(New("i1", target, t0), Tick{At: t0.Add(time.Second), Alerts: []Alert{paged(P1)}, Responders: w},
		DefaultPolicy())
	b, err := json.Marshal(i)
	if err != nil || len(b) > 64<<10 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if i.Acked.By == "" || i.Severity != P0 || entries(i, "note") != 4 || entries(i, Hypothesis) != 1 ||
		entries(i, "superseded")+entries(i, "resolved") != 0 || len(i.Found) != 1 {
		t.Errorf("%s %s, found %d: %d notes", i.Acked.By[:1], i.Severity, len(i.Found), entries(i, "note"))
	}
	if !strings.HasSuffix(i.Acked.Reason, "ä") || len(i.Acked.Reason) != maxReason {
		t.Errorf("cut within a character: %d bytes", len(i.Acked.Reason))
	}
}
