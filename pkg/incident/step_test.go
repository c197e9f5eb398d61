package incident

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

var (
	t0     = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	target = Target{Name: "shop", Namespace: "shop", Kind: "deployment", Workload: "shop", UID: "u1"}
)

// story drives Step by hand and keeps the clock.
type story struct {
	t       *testing.T
	inc     Incident
	at      time.Time
	policy  Policy
	effects []Effect
}

func tell(t *testing.T, alerts ...Alert) *story {
	t.Helper()
	s := &story{t: t, inc: New("i1", target, t0), at: t0, policy: DefaultPolicy()}
	s.policy.Looks = 1
	s.tick(Rollout{Known: true, Done: true, Ready: 3}, alerts...)
	return s
}

func (s *story) step(e Event) *story {
	s.inc, s.effects = Step(s.inc, e, s.policy)
	return s
}

func (s *story) tick(r Rollout, alerts ...Alert) *story {
	for i := range alerts {
		alerts[i].EvaluatedAt = s.at
	}
	return s.step(Tick{At: s.at, Alerts: alerts, Rollout: r})
}

func (s *story) after(d time.Duration) *story { s.at = s.at.Add(d); return s }

func (s *story) want(phase Phase, effects ...Effect) *story {
	s.t.Helper()
	if s.inc.Phase != phase || fmt.Sprint(s.effects) != fmt.Sprint(effects) {
		s.t.Fatalf("phase %s, effects %v; want %s, %v\ntimeline: %v", s.inc.Phase, s.effects, phase, effects,
			s.inc.Timeline)
	}
	return s
}

// run takes an op from plan to settled with nothing in the way.
func (s *story) run(action Action, class Class) *story {
	s.t.Helper()
	s.step(Considered{At: s.at, OpID: string(action) + "1", Ready: 3,
		Plan: Plan{Action: action, Class: class, Target: target, Summary: string(action) + " it", Lease: time.Hour,
			Inverse: []byte("{}")}}).want(Acting, Reserve)
	s.step(Reserved{At: s.at})
	if class >= C3 {
		s.want(Acting, Capture).step(Captured{At: s.at, Ref: "evidence/1"})
	}
	s.want(Acting, Recheck).step(Rechecked{At: s.at,
		Plan: Plan{Object: Object{UID: "u1", ResourceVersion: "7"}}}).want(Acting, Act)
	return s.step(Acted{At: s.at, Outcome: Applied}).want(Verifying)
}

func breach(rule string, sev Severity, value float64, actions ...Action) Alert {
	a := Alert{Rule: rule, Severity: sev, Firing: true, Verdict: Breach, Value: value, Bound: 1, Above: true,
		Reason: fmt.Sprintf("%v > 1", value), ActiveAt: t0}
	for i, act := range actions {
		a.Ladder = append(a.Ladder, Rung{Action: act, Index: i, Settle: 10 * time.Second, Verify: time.Minute})
	}
	return a
}

func with(a Alert, v Verdict, firing bool) Alert { a.Verdict, a.Firing = v, firing; return a }

var steady = Rollout{Known: true, Done: true, Ready: 3}

func TestABadReleaseIsRolledBackAndResolved(t *testing.T) {
	a := breach("errors", P1, 5, "capture", "rollback", "page")
	s := tell(t, a).want(Acting, Capture)
	s.step(Captured{At: s.at, Ref: "evidence/0"}).want(Open, Consider)
	// The capture rung's evidence is fresh: it is not taken twice.
	s.step(Considered{At: s.at, OpID: "rollback1", Ready: 3,
		Plan: Plan{Action: "rollback", Class: C4, Target: target, Summary: "rollback it"}}).want(Acting, Reserve)
	s.step(Reserved{At: s.at}).want(Acting, Recheck).step(Rechecked{At: s.at}).want(Acting,
		Act).step(Acted{At: s.at, Outcome: Applied}).want(Verifying)
	s.after(2*time.Second).tick(steady, a).want(Verifying)
	s.after(11*time.Second).tick(steady, with(a, OK, true)).want(Verifying, Release)
	s.step(Released{At: s.at}).want(Verifying)
	if got := s.inc.Attempts[0].Verdict; got != Helped {
		t.Fatalf("verdict %q, want helped", got)
	}
	s.after(time.Minute).tick(steady, with(a, OK, false)).want(Resolved)
	if s.inc.Paged {
		t.Fatal("a fix that helped paged a person")
	}
}

func TestOnlyBreachLeadsToAnAction_INV08(t *testing.T) {
	for _, v := range []Verdict{OK, NoData, Stale, Error, Conflict} {
		a := with(breach("errors", P1, 5, "restart", "page"), v, true)
		s := tell(t, a)
		if len(s.effects) != 0 {
			t.Errorf("verdict %s led to %v", v, s.effects)
		}
	}
}

func TestBlindnessIsToldAfterTheWaitLimitAndNeverActedOn(t *testing.T) {
	a := with(breach("errors", P1, 5, "restart"), NoData, true)
	s := tell(t, a).want(Frozen)
	for range 9 {
		s.after(time.Minute).tick(steady, a).want(Frozen)
	}
	if s.inc.Paged {
		t.Fatal("paged too early")
	}
	s.after(time.Minute).tick(steady, a).want(Frozen)
	if !s.inc.Paged {
		t.Fatal("nobody was told that watchdog is blind")
	}
	s.after(time.Second).tick(steady, with(a, Breach, true)).want(Frozen, Consider)
}

func TestAColdStartIsNotARecovery(t *testing.T) {
	a := breach("errors", P1, 5, "restart")
	s := tell(t, a).want(Open, Consider)
	s.after(time.Second).tick(steady, with(a, NoData, true)).want(Frozen)
	s.after(time.Hour).tick(steady, with(a, NoData, true)).want(Frozen)
}

func TestHoldsMeanWhatTheySay(t *testing.T) {
	for _, tc := range []struct {
		hold  Hold
		phase Phase
		paged bool
		next  []Effect
	}{
		{Wait, Open, false, nil},
		{Skip, Open, false, []Effect{Consider}},
		{Freeze, Frozen, false, nil},
		{Suppress, Suppressed, false, nil},
		{HandOver, Escalated, true, nil},
		{Advise, Escalated, false, nil},
	} {
		t.Run(string(tc.hold), func(t *testing.T) {
			s := tell(t, breach("errors", P1, 5, "restart", "rollback", "page")).want(Open, Consider)
			s.step(Considered{At: s.at, OpID: "o", Hold: tc.hold, Reason: "because",
				Plan: Plan{Summary: "restart it"}}).want(tc.phase, tc.next...)
			if s.inc.Op != nil {
				t.Error("a refused plan left an op")
			}
			if s.inc.Paged != tc.paged {
				t.Errorf("paged %v, want %v", s.inc.Paged, tc.paged)
			}
		})
	}
}

func TestAWaitLongerThanTheLimitPagesAtOnce(t *testing.T) {
	s := tell(t, breach("errors", P1, 5, "restart")).want(Open, Consider)
	s.step(Considered{At: s.at, Hold: Wait, Reason: "3 of 3 ops used", RetryAt: s.at.Add(time.Hour)}).want(Escalated)
	if !s.inc.Paged {
		t.Fatal("not paged")
	}
}

func TestAHoldIsAskedAgainAndThenActedOn(t *testing.T) {
	a := breach("errors", P1, 5, "restart")
	s := tell(t, a)
	s.step(Considered{At: s.at, Hold: Suppress, Reason: "held by alice"}).want(Suppressed)
	s.after(time.Second).tick(steady, a).want(Suppressed)
	s.after(5*time.Second).tick(steady, a).want(Suppressed, Consider)
	s.run("restart", C3)
}

func TestNoAnswerIsResolvedByReadingNeverByResending_INV06(t *testing.T) {
	a := breach("errors", P1, 5, "scale")
	s := tell(t, a)
	s.step(Considered{At: s.at, OpID: "o1", Plan: Plan{Action: "scale", Class: C2,
		Target: target}}).step(Reserved{At: s.at}).step(Rechecked{At: s.at}).want(Acting, Act)
	s.step(Acted{At: s.at, Outcome: Unknown, Reason: "timeout"}).want(Acting)
	s.after(2*time.Second).tick(steady, a).want(Acting, Find)
	s.step(Found{At: s.at, Known: true, Applied: true}).want(Verifying)
	if s.inc.Op.ID != "o1" || s.inc.Op.Sends != 1 {
		t.Fatalf("op %+v", s.inc.Op)
	}
}

func TestAnInDoubtOpIsNotLetGoWhileItsWriteMayStillLand(t *testing.T) {
	a := breach("errors", P1, 5, "scale")
	s := tell(t, a)
	s.step(Considered{At: s.at, OpID: "o1", Plan: Plan{Action: "scale", Class: C2,
		Target: target}}).step(Reserved{At: s.at}).step(Rechecked{At: s.at}).step(Acted{At: s.at, Outcome: Unknown})
	s.after(2*time.Second).tick(steady, a).step(Found{At: s.at, Known: true}).want(Acting, Recheck)
	s.step(Rechecked{At: s.at, Hold: Suppress, Reason: "held"}).want(Acting)
	if s.inc.Op == nil || s.inc.Op.Phase != InDoubt {
		t.Fatalf("let go: %+v", s.inc.Op)
	}
	s.after(80*time.Second).tick(steady, a).step(Found{At: s.at, Known: true}).step(Rechecked{At: s.at, Hold: Suppress,
		Reason: "held"}).want(Acting, Release)
	s.step(Released{At: s.at}).want(Suppressed)
}

// The explorer found this one: looked too early, ended too late.
func TestWhatMayHaveLandedSinceTheLastLookIsLookedForAgain_INV06(t *testing.T) {
	a := breach("errors", P1, 5, "scale")
	s := tell(t, a)
	s.step(Considered{At: s.at, OpID: "o1", Plan: Plan{Action: "scale", Class: C2,
		Target: target}}).step(Reserved{At: s.at}).step(Rechecked{At: s.at}).step(Acted{At: s.at, Outcome: Unknown})
	s.after(69*time.Second).tick(steady, a).step(Found{At: s.at, Known: true}).want(Acting, Recheck)
	s.after(2 * time.Second).step(Rechecked{At: s.at, Hold: Wait, Reason: "the workload changed"}).want(Acting)
	s.after(6*time.Second).tick(steady, a).want(Acting, Find).step(Found{At: s.at, Known: true,
		Applied: true}).want(Verifying)
}

// The explorer found this one: the denial of a second request says nothing about the first.
func TestADenialDoesNotEndAnOpWhoseEarlierWriteMayLand_INV17(t *testing.T) {
	a := breach("errors", P1, 5, "scale")
	s := tell(t, a)
	s.step(Considered{At: s.at, OpID: "o1", Plan: Plan{Action: "scale", Class: C2,
		Target: target}}).step(Reserved{At: s.at}).step(Rechecked{At: s.at}).step(Acted{At: s.at, Outcome: Unknown})
	s.after(2*time.Second).tick(steady, a).step(Found{At: s.at, Known: true}).step(Rechecked{At: s.at}).want(Acting,
		Act)
	s.step(Acted{At: s.at, Outcome: Denied, Reason: "forbidden"}).want(Acting)
	s.after(6*time.Second).tick(steady, a).want(Acting, Find).step(Found{At: s.at, Known: true,
		Applied: true}).want(Verifying)
}

// The explorer found this one: who reserved the op may send it after we looked.
func TestAnAdoptedOpIsNotLetGoWhileItsOwnerMaySendIt_INV17(t *testing.T) {
	a := breach("errors", P1, 5, "scale")
	s := tell(t, a)
	s.inc = Adopt(s.inc, Op{ID: "o9", Rule: "errors", Plan: Plan{Action: "scale", Class: C2, Target: target},
		Phase: Intent}, s.at)
	s.tick(steady, a).want(Acting, Find).step(Found{At: s.at, Known: true}).step(Rechecked{At: s.at, Hold: Wait,
		Reason: "recovered"}).want(Acting)
	s.after(80*time.Second).tick(steady, a).want(Acting, Find).step(Found{At: s.at,
		Known: true}).step(Rechecked{At: s.at, Hold: Wait, Reason: "recovered"}).want(Acting, Release)
}

func TestRecoveredBetweenDecisionAndWriteMeansNoWrite_F71(t *testing.T) {
	a := breach("errors", P1, 5, "restart")
	s := tell(t, a)
	s.step(Considered{At: s.at, OpID: "o1", Plan: Plan{Action: "restart", Class: C3,
		Target: target}}).step(Reserved{At: s.at}).step(Captured{At: s.at, Ref: "e"})
	s.step(Rechecked{At: s.at, Hold: Wait, Reason: "the condition no longer holds"}).want(Acting, Release)
	s.step(Released{At: s.at}).want(Open)
	if got := s.inc.Attempts[0].Verdict; got != Aborted {
		t.Fatalf("verdict %q", got)
	}
}

func TestADeniedWriteIsTriedOnceAndTold_F17(t *testing.T) {
	a := breach("errors", P1, 5, "restart")
	s := tell(t, a)
	s.step(Considered{At: s.at, OpID: "o1", Plan: Plan{Action: "scale", Class: C2,
		Target: target}}).step(Reserved{At: s.at}).step(Rechecked{At: s.at})
	s.step(Acted{At: s.at, Outcome: Denied, Reason: "forbidden"}).want(Acting,
		Release).step(Released{At: s.at}).want(Escalated)
	if !s.inc.Paged || !strings.Contains(s.inc.PageReason, "forbidden") {
		t.Fatalf("paged %v: %q", s.inc.Paged, s.inc.PageReason)
	}
	s.after(time.Hour).tick(steady, a).want(Escalated)
}

func TestStopLossEndsTheLadder_INV21(t *testing.T) {
	a := breach("errors", P1, 5, "scale", "restart", "rollback", "page")
	s := tell(t, a)
	for _, act := range []Action{"scale", "restart"} {
		s.run(act, C2).after(time.Second).tick(steady, a).after(2*time.Minute).tick(steady, a).want(Verifying, Release)
		s.step(Released{At: s.at}).after(time.Second).tick(steady, a)
	}
	s.want(Escalated)
	if !strings.Contains(s.inc.PageReason, "stop-loss: 2 actions without improvement (limit 2)") {
		t.Fatal(s.inc.PageReason)
	}
}

func TestARungIsTriedAsOftenAsItSaysAndNeverAgain_INV21(t *testing.T) {
	a := breach("errors", P1, 5, "scale", "page")
	s := tell(t, a).run("scale", C2)
	s.after(time.Second).tick(steady, a).after(15*time.Second).tick(steady, with(a, OK, true)).step(Released{At: s.at})
	s.after(time.Second).tick(steady, a).want(Escalated)
}

func TestHarmHandsOverToAPerson(t *testing.T) {
	a := breach("errors", P1, 5, "scale", "restart")
	s := tell(t, a).run("scale", C2)
	worse := a
	worse.Value = 20
	s.after(time.Second).tick(steady, worse).after(2*time.Minute).tick(steady,
		worse).step(Released{At: s.at}).want(Escalated)
	if got := s.inc.Attempts[0].Verdict; got != Harmed {
		t.Fatalf("verdict %q", got)
	}
}

func TestHelpedIsNeverSaidWhileTheConditionHolds(t *testing.T) {
	a := breach("errors", P1, 5, "scale")
	s := tell(t, a).run("scale", C2)
	for range 60 {
		s.after(time.Second).tick(steady, a)
		if s.inc.Op != nil && s.inc.Op.Verdict == Helped {
			t.Fatal("helped while in breach")
		}
	}
}

func TestSeverityRisesByItselfAndNeverFalls(t *testing.T) {
	a, b := breach("latency", P2, 5, "page"), breach("errors", P0, 5, "page")
	s := tell(t, a)
	if s.inc.Severity != P2 {
		t.Fatal(s.inc.Severity)
	}
	s.after(time.Second).tick(steady, a, b)
	s.after(time.Second).tick(steady, a, with(b, OK, false))
	if s.inc.Severity != P0 {
		t.Fatalf("severity %s, want P0", s.inc.Severity)
	}
}

func TestARemovedRuleIsSaidAndDoesNotFire(t *testing.T) {
	s := tell(t, breach("errors", P1, 5, "restart"))
	s.after(time.Second).tick(steady).want(Resolved)
	if got := s.inc.Timeline[len(s.inc.Timeline)-2].Text; !strings.Contains(got, "removed from the configuration") {
		t.Fatal(got)
	}
}

func TestAnEventThatDoesNotFitChangesNothing(t *testing.T) {
	s := tell(t, breach("errors", P1, 5, "restart")).want(Open, Consider)
	for _, e := range []Event{Reserved{At: t0}, Refused{At: t0}, Captured{At: t0}, Rechecked{At: t0},
		Acted{At: t0, Outcome: Applied}, Found{At: t0, Known: true, Applied: true}, Released{At: t0}} {
		s.step(e).want(Open)
		if s.inc.Op != nil {
			t.Fatalf("%T made an op", e)
		}
	}
}

func TestAnOpKnownOnlyToTheLedgerIsLookedForFirst_F32(t *testing.T) {
	a := breach("errors", P1, 5, "restart")
	s := tell(t, a)
	s.inc = Adopt(s.inc, Op{ID: "o9", Rule: "errors", Plan: Plan{Action: "restart", Class: C3, Target: target},
		Phase: Intent}, s.at)
	s.tick(steady, a).want(Acting, Find)
	s.step(Found{At: s.at, Known: true, Applied: false}).want(Acting, Capture)
}

func TestTheTimelineIsBoundedAndKeepsItsBeginning(t *testing.T) {
	a := breach("errors", P1, 5, "page")
	s := tell(t, a)
	for i := range 500 {
		v := Breach
		if i%2 == 0 {
			v = NoData
		}
		s.after(time.Second).tick(steady, with(a, v, true))
	}
	if n := len(s.inc.Timeline); n != TimelineLimit {
		t.Fatalf("%d entries", n)
	}
	if s.inc.Timeline[0].Kind != "firing" || s.inc.Dropped == 0 {
		t.Fatalf("%+v, dropped %d", s.inc.Timeline[0], s.inc.Dropped)
	}
}

// TestARelapseTakesAsManyLooksAsTheRecovery: one bad look after an action that
// helped is noise, and takes nobody out of bed.
func TestARelapseTakesAsManyLooksAsTheRecovery(t *testing.T) {
	a := breach("errors", P1, 5, "scale", "page")
	s := tell(t, a)
	s.policy.Looks = 3
	s.run("scale", C2)
	s.tick(steady, a)
	s.after(11 * time.Second)
	for range 3 {
		s.after(time.Second).tick(steady, with(a, OK, true))
	}
	s.want(Verifying, Release).step(Released{At: s.at})
	for range 2 {
		s.after(time.Second).tick(steady, a).want(Verifying)
	}
	s.after(time.Second).tick(steady, with(a, OK, true)).want(Verifying)
	for range 2 {
		s.after(time.Second).tick(steady, a).want(Verifying)
	}
	if s.inc.Paged {
		t.Fatal("paged for two bad looks")
	}
	s.after(time.Second).tick(steady, a).want(Escalated)
}

// TestTheRungOfAnAdoptedOpCounts: the crash came before it was stored how far the
// ladder had been climbed. The simulator found the rung taken twice.
func TestTheRungOfAnAdoptedOpCounts(t *testing.T) {
	a := breach("errors", P1, 5, "capture", "restart", "page")
	s := tell(t, a).want(Acting, Capture)
	s.inc = Adopt(s.inc, Op{ID: "op1", Incident: "i1", Rule: "errors", Rung: 1,
		Plan: Plan{Action: "restart", Class: C3, Target: target}, Settle: 10 * time.Second, Verify: time.Minute}, s.at)
	s.tick(steady, a).want(Acting, Find).step(Found{At: s.at, Known: true, Applied: true}).want(Verifying)
	s.after(2*time.Minute).tick(steady, a).want(Verifying)
	s.after(time.Minute).tick(steady, a).want(Verifying, Release)
	s.step(Released{At: s.at})
	if got := s.inc.Alerts[0].Next; got != 2 {
		t.Fatalf("the next rung is %d, want the page (2)", got)
	}
}

// The end of one rule's ladder is no end for the others: a rule that is only told
// must not keep another from being worked.
func TestTheEndOfALadderIsNotTheOthers(t *testing.T) {
	for name, c := range map[string]struct {
		first []Action
		hold  Hold
		paged bool
	}{
		"it says page":              {[]Action{"page"}, "", true},
		"its mode allows no action": {[]Action{"restart", "page"}, Advise, false},
		"it is only told":           {nil, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			health, errs := breach("health", P1, 5, c.first...), breach("errors", P1, 5, "rollback", "page")
			s := tell(t, health)
			if c.hold != "" {
				s.step(Considered{At: s.at, OpID: "o", Hold: c.hold, Reason: "mode observe",
					Plan: Plan{Summary: "restart it"}})
			}
			s.want(Escalated)
			if s.inc.Paged != c.paged || s.inc.HandedOver {
				t.Fatalf("paged %v, handed over %v", s.inc.Paged, s.inc.HandedOver)
			}
			s.after(time.Minute).tick(steady, health).want(Escalated)
			s.after(time.Minute).tick(steady, health, errs).want(Open, Consider)
			s.step(Considered{At: s.at, OpID: "o", Plan: Plan{Action: "rollback", Class: C4,
				Summary: "roll it back"}}).want(Acting, Reserve)
			if s.inc.Lead != "errors" {
				t.Errorf("%s leads", s.inc.Lead)
			}
		})
	}
}

// What ends the whole incident ends every ladder.
func TestWhatIsHandedOverIsForAllRules(t *testing.T) {
	health, errs := breach("health", P1, 5, "restart", "page"), breach("errors", P1, 5, "rollback", "page")
	s := tell(t, health)
	s.step(Considered{At: s.at, OpID: "o", Hold: HandOver, Reason: "Argo CD owns it",
		Plan: Plan{Summary: "restart it"}}).want(Escalated)
	s.after(time.Minute).tick(steady, health, errs).want(Escalated)
	if !s.inc.HandedOver || !s.inc.Paged {
		t.Errorf("handed over %v, paged %v", s.inc.HandedOver, s.inc.Paged)
	}
}

// Every ladder has ended: watchdog only watches, and one page went out.
func TestWhenAllLaddersHaveEndedAPersonMustAct(t *testing.T) {
	a, b := breach("a", P1, 5, "page"), breach("b", P2, 5, "page")
	s := tell(t, a, b).want(Escalated)
	pages := 0
	for _, e := range s.inc.Timeline {
		if e.Kind == "paged" {
			pages++
		}
	}
	if !s.inc.Paged || pages != 2 || s.inc.PageReason != "page is the next rung of the ladder of a" {
		t.Errorf("paged %v for %q, %d lines", s.inc.Paged, s.inc.PageReason, pages)
	}
	b.Firing, b.Verdict = false, OK
	s.after(time.Minute).tick(steady, a, b).want(Escalated)
	a.Firing, a.Verdict = false, OK
	s.after(time.Minute).tick(steady, a, b).want(Resolved)
}

// Sources that contradict each other are for people at once, and for nothing else.
func TestAConflictIsToldAndNotActedUpon_INV08(t *testing.T) {
	told := breach("told", P1, 5, "page")
	told.Verdict = Conflict
	if s := tell(t, told).want(Escalated); !s.inc.Paged {
		t.Error("nobody was paged")
	}
	acts := breach("acts", P1, 5, "restart", "page")
	acts.Verdict = Conflict
	tell(t, acts).want(Frozen)
}

func silenced(a Alert, by string) Alert { a.Silenced = by; return a }

// What people do not want to hear of keeps nothing else from being worked and told.
func TestASilencedAlertHidesNoOther(t *testing.T) {
	loud, quiet := breach("cpu", P2, 2, "scale", "page"), breach("errors", P1, 5, "rollback", "page")
	s := tell(t, silenced(quiet, "silenced by a")).want(Open, Consider)
	if s.inc.Lead != "errors" || s.inc.Silenced() != "silenced by a" {
		t.Fatalf("lead %s, silenced %q", s.inc.Lead, s.inc.Silenced())
	}
	s.step(Considered{At: s.at, OpID: "1", Hold: Suppress, Reason: "silence: silenced by a"}).want(Suppressed)
	s.after(time.Second).tick(Rollout{}, silenced(quiet, "silenced by a"), loud).want(Suppressed, Consider)
	if s.inc.Lead != "cpu" || s.inc.Silenced() != "" {
		t.Fatalf("lead %s, silenced %q: the other alert is not worked", s.inc.Lead, s.inc.Silenced())
	}
	s.after(time.Second).tick(Rollout{}, silenced(quiet, "silenced by a"), silenced(loud, "silenced by b"))
	if s.inc.Lead != "errors" || s.inc.Silenced() != "silenced by a" {
		t.Fatalf("lead %s, silenced %q", s.inc.Lead, s.inc.Silenced())
	}
	s.after(time.Second).tick(Rollout{}, quiet, loud)
	if s.inc.Lead != "errors" || s.inc.Silenced() != "" {
		t.Fatalf("lead %s, silenced %q", s.inc.Lead, s.inc.Silenced())
	}
	calm := quiet
	calm.Firing, calm.Verdict = false, OK
	s.after(time.Second).tick(Rollout{}, calm, silenced(loud, "silenced by b"))
	if s.inc.Silenced() != "silenced by b" {
		t.Error("what does not fire any more speaks against a silence")
	}
	var said []string
	for _, e := range s.inc.Timeline {
		if e.Kind == "silenced" || e.Kind == "unmuted" {
			said = append(said, e.Text)
		}
	}
	want := "[errors: silenced by a cpu: silenced by b errors is no longer silenced cpu is no longer silenced " +
		"cpu: silenced by b]"
	if fmt.Sprint(said) != want {
		t.Errorf("the timeline says %q, want %s", said, want)
	}
}

func TestAPageWhileAllIsSilencedSaysSo(t *testing.T) {
	s := tell(t, silenced(breach("errors", P1, 5, "page"), "silenced by a")).want(Escalated)
	if last := s.inc.Timeline[len(s.inc.Timeline)-1].Text; !s.inc.Paged ||
		strings.Contains(s.inc.PageReason, "silenced") || !strings.Contains(last, "no notifications while") {
		t.Errorf("paged %v: %s; %s", s.inc.Paged, s.inc.PageReason, last)
	}
}

// A new leader knows of a rule that was not evaluated yet little more than its
// name: that no silence matches that is no news.
func TestARestartDoesNotEndASilence(t *testing.T) {
	quiet := breach("errors", P1, 5, "page")
	s := tell(t, silenced(quiet, "silenced by a"))
	quiet.Verdict, quiet.EvaluatedAt = NoData, time.Time{}
	s.after(time.Second).step(Tick{At: s.at, Alerts: []Alert{quiet}})
	if s.inc.Silenced() != "silenced by a" {
		t.Errorf("silenced %q", s.inc.Silenced())
	}
}

// A breach is seen for some time before it fires, and a ladder may act the moment
// it does: the values of that time are what the effect is held against.
func TestTheTimeBeforeItFiredCountsForTheEffect(t *testing.T) {
	for _, tt := range []struct {
		name   string
		rising []float64
		want   OpVerdict
	}{
		{"one low value among many", []float64{0.30, 0.31, 0.29, 0.32, 0.30, 0.28, 0.31, 0.22}, NoEffect},
		{"it grew all the while", []float64{0.05, 0.08, 0.11, 0.14, 0.17, 0.19, 0.21, 0.22}, NoEffect},
		{"it was steady", []float64{0.22, 0.21, 0.22, 0.23, 0.22, 0.22, 0.21, 0.22}, Harmed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := breach("r", P1, 0.22, "scale", "page")
			a.Recent, a.Bound = tt.rising, 0.04
			s := tell(t, a).run("scale", C2)
			a.Value = 0.36
			for range 30 {
				a.EvaluatedAt = s.at
				if s.after(10*time.Second).tick(Rollout{Known: true, Done: true, Ready: 4}, a); s.inc.Op.Verdict != "" {
					break
				}
			}
			if op := s.inc.Op; op.Verdict != tt.want {
				t.Fatalf("want %q, got %q: %s", tt.want, op.Verdict, op.Reason)
			}
		})
	}
}
