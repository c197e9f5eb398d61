package incident

import (
	"strings"
	"testing"
	"time"
)

// rolledBack is an incident whose rollback was applied a moment ago; three
// endpoints of Service shop were ready when it was planned.
func rolledBack(t *testing.T) (*story, Alert) {
	t.Helper()
	a := breach("errors", P1, 5, "rollback", "page")
	s := tell(t, a)
	s.step(Considered{At: s.at, OpID: "rollback1", Ready: 3, Endpoints: map[string]int{"shop": 3},
		Plan: Plan{Action: "rollback", Class: C4, Target: target, Summary: "roll it back", Inverse: []byte("{}"),
			Is: "b", Was: "a"}}).want(Acting, Reserve)
	s.step(Reserved{At: s.at}).step(Captured{At: s.at, Ref: "evidence/1"}).step(Rechecked{At: s.at,
		Plan: Plan{Object: Object{UID: "u1", ResourceVersion: "7"}}}).step(Acted{At: s.at,
		Outcome: Applied}).want(Verifying)
	return s, a
}

func endpoints(n int) Rollout {
	return Rollout{Known: true, Done: true, Ready: 3, Endpoints: map[string]int{"shop": n}}
}

// Fewer ready endpoints after an act than before are harm, also if the rule says
// that all is well: nobody who is not reached can see errors.
func TestFewerEndpointsAreHarm_X20_INV56(t *testing.T) {
	for name, well := range map[string]bool{"the rule holds still": false, "the rule holds no more": true} {
		t.Run(name, func(t *testing.T) {
			s, a := rolledBack(t)
			if well {
				a = with(a, OK, true)
			}
			for range 10 {
				s.after(time.Second).tick(endpoints(0), a).want(Verifying)
			}
			s.after(time.Second).tick(endpoints(0), a).want(Verifying, Release)
			op := s.inc.Op
			if op.Verdict != Harmed || !op.TakeBack || !strings.Contains(op.Reason,
				"Service shop has 0 ready endpoints of the workload (before: 3), although 3 pods are ready") {
				t.Errorf("%s: %s", op.Verdict, op.Reason)
			}
			s.step(Released{At: s.at}).want(Escalated)
		})
	}
}

func TestEndpointsThatLagAreNoHarm_X20(t *testing.T) {
	s, a := rolledBack(t)
	for range 8 {
		s.after(time.Second).tick(endpoints(1), a)
	}
	s.after(time.Second).tick(endpoints(3), a)
	for range 8 {
		s.after(time.Second).tick(endpoints(2), a)
	}
	if s.inc.Op == nil || s.inc.Op.Phase != Settling {
		t.Errorf("%+v", s.inc.Attempts)
	}
}

func TestWhatIsNoHarmToEndpoints_X20(t *testing.T) {
	for name, r := range map[string]Rollout{
		"they are not known":              {Known: true, Done: true, Ready: 3},
		"an autoscaler took pods away":    {Known: true, Done: true, Ready: 2, Endpoints: map[string]int{"shop": 2}},
		"the pods are still being rolled": {Known: true, Ready: 3, Endpoints: map[string]int{}},
		"another Service has fewer": {Known: true, Done: true, Ready: 3,
			Endpoints: map[string]int{"shop": 3, "other": 0}},
		"the workload could not be looked": {Endpoints: map[string]int{}},
	} {
		t.Run(name, func(t *testing.T) {
			s, a := rolledBack(t)
			for range 40 {
				s.after(time.Second).tick(r, a)
			}
			if s.inc.Op == nil || s.inc.Op.Phase != Settling {
				t.Errorf("%+v", s.inc.Attempts)
			}
		})
	}
}

func TestAtTheDeadlineOfARolloutEndpointsAreCounted_X20(t *testing.T) {
	s, a := rolledBack(t)
	s.after(time.Minute).tick(Rollout{Known: true, Ready: 3, Stalled: "a pod cannot start",
		Endpoints: map[string]int{"shop": 1}}, a).want(Verifying, Release)
	if op := s.inc.Op; op.Verdict != Harmed || !op.TakeBack {
		t.Errorf("%s: %s", op.Verdict, op.Reason)
	}
}

// A rollback has no lease, so that nothing ends it by itself; what it did to pods
// or endpoints is taken back at once, and what a rule only measures worse is not.
func TestOnlyARollbackThatTookPodsOrEndpointsHasALease_X20(t *testing.T) {
	op := opOn("o1", "i1", "a", "n")
	op.Plan.Lease, op.Plan.Inverse, op.AppliedAt = 0, []byte("{}"), t0
	for _, tc := range []struct {
		verdict  OpVerdict
		takeBack bool
		leases   int
	}{{Harmed, true, 1}, {Harmed, false, 0}, {NoEffect, true, 0}, {Helped, false, 0}} {
		op.TakeBack = tc.takeBack
		l := reserve(t, Ledger{}, op, t0).Release(op, tc.verdict, t0.Add(time.Minute), limits)
		if len(l.Leases) != tc.leases || tc.leases > 0 && !l.Leases[0].ExpiresAt.Equal(t0.Add(time.Minute)) {
			t.Errorf("%s, %v: %+v", tc.verdict, tc.takeBack, l.Leases)
		}
	}
}

func TestPodsThatDoNotComeBackAreTakenBack_X20(t *testing.T) {
	s, a := rolledBack(t)
	s.after(time.Minute).tick(Rollout{Known: true, Ready: 1, Stalled: "a pod cannot start",
		Endpoints: map[string]int{"shop": 1}}, a).want(Verifying, Release)
	if op := s.inc.Op; op.Verdict != Harmed || !op.TakeBack {
		t.Errorf("%s: %s", op.Verdict, op.Reason)
	}
}
