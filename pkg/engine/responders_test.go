package engine

import (
	"context"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// within lies between two looks that happen anyway.
const within = time.Hour + 2500*time.Millisecond

type hour struct{}

func (hour) Due(_ incident.Severity, _ int, from time.Time) time.Time { return from.Add(within) }

// half lies between two looks, too.
const half = 30*time.Minute + 1500*time.Millisecond

func (hour) Phases(incident.Severity) []incident.Stage {
	return []incident.Stage{{Name: "investigate", Within: half, Needs: []incident.Need{incident.NeedsHypothesis}}}
}

// alone runs an engine for d of virtual time that nobody wakes.
func alone(t *testing.T, s *stage, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	s.start(ctx, done)
	s.engine.Wake("shop")
	time.Sleep(d)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// The leader ends at any moment of a deadline's time and another takes over: each
// deadline and phase is told once, and at most 2 s late.
func TestADeadlineOutlivesItsLeader(t *testing.T) {
	for _, cut := range []time.Duration{time.Second, 20 * time.Minute, half - time.Second, half + time.Second,
		within - 3*time.Second, within - time.Second, within + time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(newWorld(), "page")
			s.response = hour{}
			s.sick = sickWhile(func(*world) bool { return true })
			began := time.Now()
			alone(t, s, cut)
			alone(t, s, 2*within+30*time.Minute-cut)
			i := s.only()
			paged, n, phases := time.Time{}, 0, 0
			for _, e := range i.Timeline {
				switch e.Kind {
				case "paged":
					paged = e.At
				case "overdue":
					phases++
					if late := e.At.Sub(paged) - half; late < 0 || late > 2*time.Second {
						t.Errorf("cut after %s: the phase is told %s late", cut, late)
					}
				case "unanswered":
					n++
					if late := e.At.Sub(paged) - time.Duration(n)*within; late < 0 || late > 2*time.Second {
						t.Errorf("cut after %s: deadline %d is told %s late", cut, n, late)
					}
				}
			}
			if phases != 1 || i.Step != 3 {
				t.Errorf("cut after %s: %d phases told, step %d", cut, phases, i.Step)
			}
			if n != 2 || i.Unanswered != 2 || paged.Sub(began) > 10*time.Second {
				t.Errorf("cut after %s: %d deadlines told, %d counted, paged after %s", cut, n, i.Unanswered,
					paged.Sub(began))
			}
		})
	}
}

// The word may come at the last moment: who is about to say that nobody answered
// looks first.
func TestAnAnswerAtTheLastMomentCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "page")
		s.response = hour{}
		s.sick = sickWhile(func(*world) bool { return true })
		play(t, s, time.Minute)
		i := s.only()
		go func() {
			time.Sleep(time.Until(i.AckBy) - time.Millisecond)
			s.patch(i.ID, incident.ResponderActions{Acked: incident.Attribution{By: "alice", At: time.Now()}})
		}()
		play(t, s, 3*time.Hour)
		if i = s.only(); i.Acked.By != "alice" || i.Unanswered != 0 || !s.audited("by alice") {
			t.Errorf("acknowledged by %q, %d unanswered", i.Acked.By, i.Unanswered)
		}
	})
}

// A deadline that a new configuration brings begins with it, and not with the next
// leader or the next news.
func TestADeadlineOfANewConfigurationOutlivesItsLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "page")
		s.sick = sickWhile(func(*world) bool { return true })
		alone(t, s, time.Minute)
		s.response = hour{}
		began := time.Now()
		alone(t, s, 20*time.Minute)
		alone(t, s, 20*time.Minute)
		if i := s.stored(t)[0]; i.AckBy.IsZero() || i.AckBy.Sub(began) > within+lookAgain ||
			i.NeededAt.Sub(began) > lookAgain {
			t.Errorf("due %s after it was set, needed after %s", i.AckBy.Sub(began), i.NeededAt.Sub(began))
		}
	})
}

// So may a note that a phase waits for.
func TestANoteAtTheLastMomentCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "page")
		s.response = hour{}
		s.sick = sickWhile(func(*world) bool { return true })
		play(t, s, time.Minute)
		i := s.only()
		go func() {
			time.Sleep(time.Until(i.PhaseBy) - time.Millisecond)
			s.patch(i.ID, incident.ResponderActions{Notes: map[string]incident.Note{"n1": {
				Attribution: incident.Attribution{By: "alice", At: time.Now()}, As: incident.Hypothesis}}})
		}()
		alone(t, s, half)
		if i = s.only(); i.Overdue != 0 || i.Step != 0 || len(i.Noted) != 1 {
			t.Errorf("%d overdue, step %d, notes %q", i.Overdue, i.Step, i.Noted)
		}
	})
}

// What is said is on record once the leader takes it over, under the person's name: also
// what claims to have come by a replica, which may be nobody's claim but the person's.
func TestTheLeaderRecordsWhatItTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "page")
		s.sick = sickWhile(func(*world) bool { return true })
		alone(t, s, time.Minute)
		id := s.only().ID
		s.patch(id, incident.ResponderActions{
			Acked: incident.Attribution{By: "alice", Reason: "on it", At: time.Now()},
			Notes: map[string]incident.Note{
				"n1": {Attribution: incident.Attribution{By: "bob", Reason: "an index", At: time.Now()}},
				"n2": {Attribution: incident.Attribution{By: "carol", Reason: "a lock", At: time.Now(),
					Source: "slack"}},
			},
			Graded: incident.Grade{Attribution: incident.Attribution{By: "dora", Reason: "checkout", At: time.Now()},
				To: incident.P0},
		})
		alone(t, s, time.Minute)
		alone(t, s, time.Minute)
		by := map[string]int{}
		for _, r := range s.audits {
			if r.Kind == "responder" {
				by[r.Actor]++
			}
		}
		if want := map[string]int{"alice": 1, "bob": 1, "carol": 1, "dora": 1}; !maps.Equal(by, want) {
			t.Errorf("on record: %v, want %v", by, want)
		}
		if i := s.only(); i.Acked.By != "alice" || i.Severity != incident.P0 || len(i.Noted) != 2 {
			t.Errorf("%+v, %s, %q", i.Acked, i.Severity, i.Noted)
		}
	})
}

// answer is what a person says of what the incident asks.
func (s *stage) answer(id, op, who, plan string, denied bool) {
	s.patch(id, incident.ResponderActions{Approved: map[string]map[string]incident.Approval{op: {who: {
		Attribution: incident.Attribution{By: who, At: time.Now(), Source: "slack"}, Plan: plan, Denied: denied}}}})
}

// saving is a store that lets something happen before each write of an incident.
type saving struct {
	*world
	before func(i incident.Incident)
	deaf   bool // the watch tells nothing
}

func (s *saving) SaveIncident(ctx context.Context, i incident.Incident, version string) (string, error) {
	s.before(i)
	return s.world.SaveIncident(ctx, i, version)
}

func (s *saving) ChangedResponderActions(ctx context.Context) map[string]incident.ResponderActions {
	if s.deaf {
		return nil
	}
	return s.world.ChangedResponderActions(ctx)
}

// runOver runs an engine over another store for d.
func runOver(t *testing.T, s *stage, store Store, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s.instead = store
	done := make(chan error, 1)
	s.start(ctx, done)
	s.engine.Wake("shop")
	time.Sleep(d)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// A no that is taken after the guard has looked, until the incident is stored as being
// sent, keeps the op from being sent. Each answer is on record.
func TestANoThatIsTakenAfterTheLastLookCounts(t *testing.T) {
	for _, says := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(newWorld(), "scale", "page")
			s.mode = incident.Approve
			s.sick = sickWhile(func(w *world) bool { return w.replicas < 4 })
			yes := false
			runOver(t, s, &saving{world: s.world, before: func(i incident.Incident) {
				switch {
				case i.Asked != nil && !yes:
					yes = true
					s.answer(i.ID, i.Asked.Op, "ada", i.Asked.Plan.Hash, false)
				case says && i.Op != nil && i.Op.Phase == incident.Sent:
					s.answer(i.ID, i.Op.ID, "dora", i.Op.Plan.Hash, true)
				}
			}}, 10*time.Minute)
			i := s.only()
			if n := len(s.accepted()); says && (n != 0 || !i.Paged) || !says && n != 1 {
				t.Errorf("denied %v: %d writes, paged %v", says, n, i.Paged)
			}
			by := map[string]int{}
			for _, r := range s.audits {
				if r.Kind == "responder" {
					by[r.Actor+" "+r.Text]++
				}
			}
			want := map[string]int{"ada approved by ada (slack)": 1}
			if says {
				want["dora denied by dora (slack)"] = 1
			}
			if !maps.Equal(by, want) || says && !s.audited("denied by dora at") {
				t.Errorf("on record: %v, want %v", by, want)
			}
		})
	}
}

// Without a watch words are heard with the next read of the incidents.
func TestWithoutAWatchWordsAreHeardWithinAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "page")
		s.sick = sickWhile(func(*world) bool { return true })
		var id string
		time.AfterFunc(time.Minute, func() {
			id = s.only().ID
			by := incident.Attribution{By: "dora", Reason: "checkout", At: time.Now()}
			s.patch(id, incident.ResponderActions{Graded: incident.Grade{Attribution: by, To: incident.P0},
				Notes: map[string]incident.Note{"n1": {Attribution: by}}})
		})
		runOver(t, s, &saving{world: s.world, before: func(incident.Incident) {}, deaf: true}, 2*time.Minute+10*time.Second)
		if i := s.only(); i.Severity != incident.P0 || len(i.Noted) != 1 {
			t.Errorf("%s, notes %q", i.Severity, i.Noted)
		}
	})
}

// A word just before the write that resolves the incident is on its timeline and on record.
func TestAWordJustBeforeTheEndIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "page")
		ends, said := time.Now().Add(time.Minute), false
		s.sick = sickWhile(func(*world) bool { return time.Now().Before(ends) })
		runOver(t, s, &saving{world: s.world, before: func(i incident.Incident) {
			if i.Phase == incident.Resolved && !said {
				said = true
				s.patch(i.ID, incident.ResponderActions{Notes: map[string]incident.Note{
					"n1": {Attribution: incident.Attribution{By: "bob", Reason: "an index", At: time.Now()}}}})
			}
		}}, 10*time.Minute)
		if i := s.only(); i.Phase != incident.Resolved || len(i.Noted) != 1 || !s.audited("by bob: an index") {
			t.Errorf("%s, notes %q", i.Phase, i.Noted)
		}
	})
}
