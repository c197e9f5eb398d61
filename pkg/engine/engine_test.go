package engine

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// play runs an engine over the stage for d of virtual time, then stops it.
func play(t *testing.T, s *stage, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	s.start(ctx, done)
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(time.Second)
		synctest.Wait()
		s.engine.Wake("shop")
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	replay(t, s) // whatever a story is about, its decisions are replayed
}

func sickWhile(ok func(w *world) bool) func(w *world) bool { return ok }

func TestScaleHelpsIsVerifiedAndItsLeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		rush := time.Now().Add(5 * time.Minute)
		s.sick = sickWhile(func(w *world) bool { return w.replicas < 4 && time.Now().Before(rush) })
		play(t, s, 2*time.Minute)
		if got := s.accepted(); len(got) != 1 || s.replicas != 4 {
			t.Fatalf("writes %v, %d replicas; want one write to 4", got, s.replicas)
		}
		i := s.only()
		if i.Phase != incident.Resolved || i.Attempts[0].Verdict != incident.Helped {
			t.Fatalf("%s %+v", i.Phase, i.Attempts)
		}
		play(t, s, 10*time.Minute)
		if got := s.accepted(); len(got) != 2 || s.replicas != 3 {
			t.Fatalf("writes %v, %d replicas; want the lease to have brought back 3", got, s.replicas)
		}
		if l, _, _ := s.Ledger(t.Context()); len(l.Leases) != 0 || len(l.Ops) != 0 {
			t.Fatalf("left in the ledger: %+v", l)
		}
	})
}

func TestALeaseYieldsToAPerson_INV25(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		s.sick = sickWhile(func(w *world) bool { return w.replicas < 4 })
		play(t, s, time.Minute)
		s.mu.Lock()
		s.replicas, s.version = 6, s.version+1 // a person
		s.mu.Unlock()
		play(t, s, 15*time.Minute)
		if s.replicas != 6 || len(s.accepted()) != 1 {
			t.Fatalf("%d replicas, writes %v; want the person's 6", s.replicas, s.accepted())
		}
	})
}

func TestALostReplyIsOneEffect_F04(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		s.loseReply = 1
		s.sick = sickWhile(func(w *world) bool { return w.replicas < 4 })
		play(t, s, 2*time.Minute)
		if got := s.accepted(); len(got) != 1 || s.only().Phase != incident.Resolved {
			t.Fatalf("writes %v, phase %s", got, s.only().Phase)
		}
	})
}

func TestALostRequestIsSentAgainAsTheSameOp_F06(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		s.dropWrite = 1
		s.sick = sickWhile(func(w *world) bool { return w.replicas < 4 })
		play(t, s, 2*time.Minute)
		i := s.only()
		if got := s.accepted(); len(got) != 1 || got[0] != i.Attempts[0].OpID {
			t.Fatalf("writes %v, attempts %+v", got, i.Attempts)
		}
	})
}

func TestACrashAtAnyMomentIsOneEffect_F30(t *testing.T) {
	for ms := 0; ms < 40000; ms += 1700 {
		t.Run(fmt.Sprintf("after %d ms", ms), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(newWorld(), "scale", "page")
				s.loseReply = 1
				s.sick = sickWhile(func(w *world) bool { return w.replicas < 4 })
				play(t, s, time.Duration(ms)*time.Millisecond)
				play(t, s, 2*time.Minute)
				if got := s.accepted(); len(got) != 1 || s.replicas != 4 {
					t.Fatalf("writes %v, %d replicas", got, s.replicas)
				}
				if l, _, _ := s.Ledger(t.Context()); len(l.Ops) != 0 {
					t.Fatalf("left in flight: %+v", l.Ops)
				}
			})
		})
	}
}

func TestWhatCannotBeRecordedIsNotDone_F50(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		s.auditFails = true
		s.sick = sickWhile(func(w *world) bool { return w.replicas < 4 })
		play(t, s, 5*time.Minute)
		if got := s.accepted(); len(got) != 0 {
			t.Fatalf("written without a record: %v", got)
		}
	})
}

func TestAHoldStopsEverythingUntilItIsLifted_INV25(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		s.human = "migration"
		s.sick = sickWhile(func(w *world) bool { return w.replicas < 4 })
		play(t, s, 5*time.Minute)
		if got := s.accepted(); len(got) != 0 || s.only().Phase != incident.Suppressed {
			t.Fatalf("writes %v, phase %s", got, s.only().Phase)
		}
		s.mu.Lock()
		s.human = ""
		s.mu.Unlock()
		play(t, s, 2*time.Minute)
		if got := s.accepted(); len(got) != 1 {
			t.Fatalf("writes %v after the hold was lifted", got)
		}
	})
}

// A silence is a hold that ends by itself: nothing is done about the alert, nobody
// is told, also not by a restart, and all of it follows when it ends.
func TestASilencedAlertIsLeftAloneUntilTheSilenceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		s.silenced = "silenced by 0d1a"
		s.sick = sickWhile(func(w *world) bool { return w.replicas < 4 })
		play(t, s, 30*time.Minute)
		play(t, s, time.Minute)
		i := s.only()
		if got := s.accepted(); len(got) != 0 || i.Phase != incident.Suppressed || i.Silenced() != "silenced by 0d1a" ||
			i.Paged {
			t.Fatalf("writes %v, phase %s, silenced %q, paged %v", got, i.Phase, i.Silenced(), i.Paged)
		}
		if !s.audited("silenced by 0d1a; expire the silence") {
			t.Error("the record does not say why nothing was done")
		}
		s.mu.Lock()
		s.silenced = ""
		s.mu.Unlock()
		play(t, s, 2*time.Minute)
		if got, i := s.accepted(), s.only(); len(got) != 1 || i.Silenced() != "" ||
			i.Attempts[0].Verdict != incident.Helped {
			t.Fatalf("writes %v after the silence ended; silenced %q", got, i.Silenced())
		}
	})
}

// The receivers are told of the end of a silence although nothing else changes.
func TestTheEndOfASilenceIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "page")
		s.silenced = "silenced by 0d1a"
		s.sick = sickWhile(func(*world) bool { return true })
		play(t, s, time.Minute)
		if i := s.only(); !i.Paged || i.Silenced() == "" ||
			!s.audited("no notifications while all firing alerts are silenced") {
			t.Fatalf("paged %v, silenced %q", i.Paged, i.Silenced())
		}
		s.mu.Lock()
		s.silenced = ""
		s.mu.Unlock()
		play(t, s, 10*time.Second)
		if i := s.only(); !i.Paged || i.Silenced() != "" {
			t.Fatalf("paged %v, silenced %q", i.Paged, i.Silenced())
		}
	})
}

func TestTheKillSwitchStopsEverything_F104(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		if _, err := s.SwapLedger(t.Context(),
			incident.Ledger{Hold: &incident.Attribution{By: "alice", Reason: "move"}}, ""); err != nil {
			t.Fatal(err)
		}
		s.sick = sickWhile(func(w *world) bool { return true })
		play(t, s, 5*time.Minute)
		if got := s.accepted(); len(got) != 0 || s.only().Phase != incident.Suppressed {
			t.Fatalf("writes %v, phase %s", got, s.only().Phase)
		}
	})
}

func TestObserveTellsAndTouchesNothing_INV47(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		s.mode = incident.Observe
		s.sick = sickWhile(func(w *world) bool { return true })
		play(t, s, 5*time.Minute)
		i := s.only()
		if got := s.accepted(); len(got) != 0 || i.Phase != incident.Escalated || i.Paged {
			t.Fatalf("writes %v, phase %s, paged %v", got, i.Phase, i.Paged)
		}
		if !strings.Contains(i.Considered, "scale") {
			t.Fatalf("it is not said what would have been done: %q", i.Considered)
		}
	})
}

func TestTheBudgetOfATargetEndsInAPage_INV17(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		s.limits.Cooldown = time.Second
		// Sick again half a minute after each resolution: every incident asks for one more replica.
		wave := time.Now()
		s.sick = sickWhile(func(w *world) bool { return w.replicas < 4+int(time.Since(wave)/(4*time.Minute)) })
		play(t, s, 30*time.Minute)
		if got := s.accepted(); len(got) != 3 {
			t.Fatalf("%d writes, want the 3 of the budget: %v", len(got), got)
		}
	})
}

func TestBouncingOverAnUnchangedWorldDoesNothing_INV07(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		s.sick = sickWhile(func(w *world) bool { return true })
		play(t, s, 3*time.Minute) // scale has no effect, then the ladder pages
		before, phase := len(s.accepted()), s.only().Phase
		for range 100 {
			play(t, s, 3*time.Second)
		}
		if after := len(s.accepted()); after != before || len(s.opened) != 1 || s.only().Phase != phase {
			t.Fatalf("%d writes became %d, %d incidents, phase %s became %s", before, after, len(s.opened), phase,
				s.only().Phase)
		}
	})
}

func TestABadReleaseIsRolledBackToARevisionSeenGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "capture", "rollback", "page")
		s.sick = sickWhile(func(w *world) bool { return w.template == "bad" })
		play(t, s, 3*time.Minute) // long enough to be recorded as good
		s.mu.Lock()
		s.template, s.version = "bad", s.version+1
		s.revisions = append([]remediate.Revision{{Number: 2, UID: "rs-bad", Name: "shop-2", CreatedAt: time.Now(),
			Template: tmpl("bad"), Images: []string{"shop:bad"}}}, s.revisions...)
		s.mu.Unlock()
		play(t, s, 2*time.Minute)
		i := s.only()
		if s.template != "good" || i.Phase != incident.Resolved {
			t.Fatalf("template %s, phase %s, answers %+v", s.template, i.Phase, i.Answers)
		}
	})
}

func TestANeverSeenGoodRevisionIsNoRollbackTarget_INV31(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "rollback", "page")
		s.template = "bad"
		s.revisions = append([]remediate.Revision{{Number: 2, UID: "rs-bad", Name: "shop-2", CreatedAt: time.Now(),
			Template: tmpl("bad")}}, s.revisions...)
		s.sick = sickWhile(func(w *world) bool { return w.template == "bad" })
		play(t, s, 5*time.Minute)
		if got := s.accepted(); len(got) != 0 || s.only().Phase != incident.Escalated || !s.only().Paged {
			t.Fatalf("writes %v, phase %s", got, s.only().Phase)
		}
	})
}

func TestAPanicInAStepEndsOnlyThatStep_INV52(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		s.sick = sickWhile(func(*world) bool { return true })
		calls := 0
		s.options = func(incident.Action) remediate.Options {
			if calls++; calls == 1 {
				panic("boom")
			}
			return remediate.Options{By: "1", Max: 10, Lease: time.Hour}
		}
		play(t, s, time.Minute)
		// The process lives on, does nothing more, and says so.
		if got := s.accepted(); len(got) != 0 {
			t.Fatalf("writes %v", got)
		}
		if own := s.about(Self); !own.Paged || !strings.Contains(own.Title(), "unfit") ||
			!strings.Contains(own.Title(), "boom") {
			t.Fatalf("watchdog's own incident: %+v", own)
		}
	})
}

func TestOnlyTheActItselfUnrecordedIsNotDoneEither_INV37(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		s.auditFailsOn = "act"
		s.sick = sickWhile(func(w *world) bool { return w.replicas < 4 })
		play(t, s, 2*time.Minute)
		if got := s.accepted(); len(got) != 0 {
			t.Fatalf("written without a record: %v", got)
		}
	})
}

func TestAnOpThatOnlyTheLedgerKnowsIsFinished_F32(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		s.sick = sickWhile(func(w *world) bool { return w.replicas < 4 })
		// A leader reserved, and died before it wrote the incident: the incident is not even there.
		op := incident.Op{ID: "dead", Incident: "idead", Rule: "errors", PlannedAt: time.Now(), Verify: time.Minute,
			Settle: time.Second,
			Plan: incident.Plan{Action: "scale", Class: incident.C2, Target: shop,
				Object: incident.Object{Group: "apps", Version: "v1", Resource: "deployments", Namespace: "shop",
					Name: "shop", UID: "uid-1"}}}
		l, _ := incident.Ledger{}.Reserve(op, time.Now(), s.limits)
		if _, err := s.SwapLedger(t.Context(), l, ""); err != nil {
			t.Fatal(err)
		}
		play(t, s, 5*time.Minute)
		if got, _, _ := s.Ledger(t.Context()); len(got.Ops) != 0 {
			t.Fatalf("left in flight: %+v", got.Ops)
		}
		if got := s.accepted(); len(got) > 1 {
			t.Fatalf("writes %v", got)
		}
	})
}

func TestARestartSeedsTheRulesWithWhatWasFiring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		s.sick = sickWhile(func(*world) bool { return true })
		play(t, s, time.Minute)
		play(t, s, time.Second)
		if len(s.restored) != 1 || !s.restored[0].Alerts[0].Firing {
			t.Fatalf("%+v", s.restored)
		}
	})
}

func TestALostReplyToAReversalIsOneEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		rush := time.Now().Add(5 * time.Minute)
		s.sick = sickWhile(func(w *world) bool { return w.replicas < 4 && time.Now().Before(rush) })
		play(t, s, 9*time.Minute)
		s.mu.Lock()
		s.loseReply = 1
		s.mu.Unlock()
		play(t, s, 5*time.Minute)
		if got := s.accepted(); len(got) != 2 || s.replicas != 3 {
			t.Fatalf("writes %v, %d replicas", got, s.replicas)
		}
		if !s.audited("reverted") {
			t.Error("the record does not say that the lease was reverted")
		}
	})
}
