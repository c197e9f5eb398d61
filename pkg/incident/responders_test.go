package incident

import (
	"strings"
	"testing"
	"time"
)

// The id of a note is what anybody writes, and it is stored: what is too long is no note.
func TestANoteWithAnEndlessIDIsNone(t *testing.T) {
	longest := strings.Repeat("k", MaxKey)
	said := Note{Attribution: Attribution{By: "eve", Reason: "x", At: t0}}
	w := ResponderActions{Notes: map[string]Note{longest + "k": said}}
	i := New("i1", target, t0)
	if i.HasUpdates(w, t0) {
		t.Error("it is news for ever")
	}
	w.Notes[longest] = said
	if !i.HasUpdates(w, t0) {
		t.Error("the longest id is no news")
	}
	i, _ = Step(i, Tick{At: t0, Alerts: []Alert{paged(P1)}, Responders: w}, DefaultPolicy())
	if len(i.Noted) != 1 || i.Noted[0] != longest {
		t.Errorf("%d notes", len(i.Noted))
	}
}

// What was said a moment before the end is on the timeline, and nothing follows from it.
func TestALateWordIsToldAndChangesNothing(t *testing.T) {
	by := Attribution{By: "bob", Reason: "an index", At: t0}
	i := New("i1", target, t0)
	i.Phase, i.Severity, i.ResolvedAt = Resolved, P2, t0
	i.Acked = Attribution{By: "alice", At: t0, Severity: P2}
	w := ResponderActions{Notes: map[string]Note{"n1": {Attribution: by}}, Graded: Grade{Attribution: by, To: P0},
		Public: PublicAction{Attribution: by}}
	i, news := i.WithLateActions(w, t0.Add(time.Second))
	if !news || len(i.Noted) != 1 || i.Graded.By != "bob" || i.Public.By != "bob" {
		t.Errorf("%v, %+v", news, i)
	}
	if i.Phase != Resolved || i.Acked.By != "alice" || entries(i, KindUnacknowledged) != 0 || len(i.Timeline) != 3 {
		t.Errorf("%s, acknowledged by %q, %+v", i.Phase, i.Acked.By, i.Timeline)
	}
	if i, news = i.WithLateActions(w, t0.Add(time.Minute)); news || len(i.Timeline) != 3 {
		t.Error("it is told twice")
	}
}

// A denial sends the ladder to its next rung also when it is found after the last look.
func TestADenialJustBeforeTheWriteSkipsTheRung(t *testing.T) {
	for hold, want := range map[Hold]Hold{"": Wait, Skip: Skip} {
		i := New("i1", target, t0)
		i.Op = &Op{ID: "op1", Phase: Sent, Sends: 1, SentAt: t0}
		i, _ = Step(i, Acted{At: t0, Outcome: Unsent, Hold: hold, Reason: "denied by dora"}, DefaultPolicy())
		if i.Op == nil || i.Op.Verdict != Aborted || i.Op.Hold != want {
			t.Errorf("%+v", i.Op)
		}
	}
}
