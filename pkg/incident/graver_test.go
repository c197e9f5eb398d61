package incident

import (
	"testing"
	"time"
)

// saying plays one tick with the given alerts and words.
func saying(i Incident, at time.Duration, w ResponderActions, alerts ...Alert) Incident {
	p := DefaultPolicy()
	p.Response = runbook
	for k := range alerts {
		alerts[k].EvaluatedAt = t0.Add(at)
	}
	i, _ = Step(i, Tick{At: t0.Add(at), Alerts: alerts, Rollout: Rollout{Known: true, Done: true}, Responders: w}, p)
	return i
}

// X40: somebody acknowledged a P2, and a P0 called nobody.
func TestAnAcknowledgementIsNoAnswerToAGraverSeverity_INV60(t *testing.T) {
	down := paged(P0)
	down.Rule = "down"
	minor := func(at time.Duration) Attribution { return Attribution{By: "alice", At: t0.Add(at), Severity: P2} }
	for _, tt := range []struct {
		name   string
		word   Attribution
		raise  ResponderActions // what comes with the graver severity
		alerts []Alert
		acked  bool
	}{
		{"a graver rule fires", minor(time.Minute), ResponderActions{}, []Alert{paged(P2), down}, false},
		{"a person raises it", minor(time.Minute),
			ResponderActions{Graded: Grade{Attribution: Attribution{By: "bob", At: t0.Add(3 * time.Hour)}, To: P0}},
			[]Alert{paged(P2)}, false},
		{"the word does not say of what it was, as those of older versions",
			Attribution{By: "alice", At: t0.Add(time.Minute)}, ResponderActions{}, []Alert{paged(P2), down}, false},
		{"nothing graver fires", minor(time.Minute), ResponderActions{}, []Alert{paged(P2)}, true},
		{"a person lowers it", minor(time.Minute),
			ResponderActions{Graded: Grade{Attribution: Attribution{By: "bob", At: t0.Add(3 * time.Hour)}, To: P3}},
			[]Alert{paged(P2)}, true},
		{"who raised it acknowledged it after that", minor(time.Minute),
			ResponderActions{Graded: Grade{Attribution: Attribution{By: "bob", At: t0.Add(3 * time.Hour)}, To: P0},
				Acked: Attribution{By: "bob", At: t0.Add(3 * time.Hour), Severity: P0}}, []Alert{paged(P2)}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := saying(New("i1", target, t0), 0, ResponderActions{}, paged(P2))
			i = saying(i, time.Minute, ResponderActions{Acked: tt.word}, paged(P2))
			if i.Acked.By != "alice" || !i.AckBy.IsZero() {
				t.Fatalf("%+v", i.Acked)
			}
			if tt.raise.Acked.At.IsZero() {
				tt.raise.Acked = tt.word // it stays in the ledger
			}
			for range 3 {
				i = saying(i, 3*time.Hour, tt.raise, tt.alerts...)
			}
			if i.Acked.At.IsZero() == tt.acked {
				t.Errorf("acknowledged: %+v; %+v", i.Acked, i.Timeline)
			}
			if due := i.AckBy; !tt.acked && !due.Equal(t0.Add(3*time.Hour+15*time.Minute)) {
				t.Errorf("to be acknowledged by %s, want 15 minutes after it became a P0", due)
			}
			if tt.acked {
				return
			}
			if n := entries(i, "unacknowledged"); n != 1 {
				t.Errorf("told %d times: %+v", n, i.Timeline)
			}
			i = saying(i, 3*time.Hour+16*time.Minute, tt.raise, tt.alerts...)
			if i.Unanswered != 1 || i.Step != 1 {
				t.Errorf("%d unanswered, step %d", i.Unanswered, i.Step)
			}
			w := ResponderActions{Acked: Attribution{By: "alice", At: t0.Add(3*time.Hour + 17*time.Minute), Severity: P0},
				Graded: tt.raise.Graded}
			if i = saying(i, 3*time.Hour+17*time.Minute, w, tt.alerts...); i.Acked.At.IsZero() || !i.AckBy.IsZero() {
				t.Errorf("the new word does not count: %+v", i)
			}
		})
	}
}

// The deadlines of a graver severity begin with its first, however many passed before
// the acknowledgement; so do its phases.
func TestTheClocksBeginAnewForAGraverSeverity_X40(t *testing.T) {
	down := paged(P0)
	down.Rule = "down"
	i := saying(New("i1", target, t0), 0, ResponderActions{}, paged(P2))
	i = saying(i, 5*time.Hour, ResponderActions{}, paged(P2))
	ack := ResponderActions{Acked: Attribution{By: "alice", At: t0.Add(5 * time.Hour), Severity: P2}}
	i = saying(i, 5*time.Hour, ack, paged(P2))
	if i.Unanswered != 1 || i.Acked.By != "alice" {
		t.Fatalf("%+v", i)
	}
	i.Stage = 3
	i = saying(i, 6*time.Hour, ack, paged(P2), down)
	if i.AckFrom != 1 || i.Stage != 0 || !i.NeededAt.Equal(t0.Add(6*time.Hour)) {
		t.Errorf("from deadline %d, phase %d, needed at %s", i.AckFrom, i.Stage, i.NeededAt)
	}
}
