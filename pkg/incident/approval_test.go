package incident

import (
	"testing"
	"time"
)

// asking plays consider after consider: each moment's plan and what the guards
// say of it, in the order of the moments.
type asking struct {
	at     time.Duration
	op     string
	plan   Plan
	hold   Hold
	reason string
}

func askAll(t *testing.T, all ...asking) Incident {
	t.Helper()
	i := New("i1", target, t0)
	a := Alert{Rule: "errors", Severity: P2, Firing: true, Verdict: Breach, Value: 5, Bound: 1, Above: true,
		Reason: "5 > 1", Ladder: []Rung{{Action: "restart", Class: C3}, {Action: "rollback", Class: C4}}}
	for _, x := range all {
		a.EvaluatedAt = t0.Add(x.at)
		i, _ = Step(i, Tick{At: t0.Add(x.at), Alerts: []Alert{a}, Rollout: Rollout{Known: true, Done: true, Ready: 3}},
			DefaultPolicy())
		i, _ = Step(i, Considered{At: t0.Add(x.at), OpID: x.op, Plan: x.plan, Hold: x.hold, Reason: x.reason,
			Answers: []Answer{{Guard: ApprovalGuard, Reason: "by alice"}}}, DefaultPolicy())
	}
	return i
}

var (
	planA = Plan{Action: "restart", Class: C3, Summary: "restart it", Hash: "aaaaaaaaaaaaaaaa"}
	planB = Plan{Action: "restart", Class: C3, Summary: "restart it, too", Hash: "bbbbbbbbbbbbbbbb"}
)

func TestAPersonIsAskedOnceAndTheOpGoesOn(t *testing.T) {
	i := askAll(t, asking{0, "o1", planA, Ask, "0 of 1"}, asking{time.Minute, "o1", planA, Ask, "0 of 1"},
		asking{2 * time.Minute, "o1", planA, Ask, "0 of 1"})
	if !i.Asks("errors", 0) || i.Asked.Op != "o1" || !i.Asked.Until.Equal(t0.Add(time.Hour)) || !i.Paged ||
		entries(i, "paged") != 1 || i.Op != nil {
		t.Fatalf("%+v %+v", i.Asked, i.Timeline)
	}
	i = askAll(t, asking{0, "o1", planA, Ask, "0 of 1"}, asking{time.Minute, "o1", planA, Ask, "eve approved another"},
		asking{2 * time.Minute, "o1", planA, "", ""})
	if i.Asked != nil || i.Op == nil || i.Op.ID != "o1" || entries(i, "approved") != 1 ||
		entries(i, "not approved") != 1 {
		t.Fatalf("%+v %+v %+v", i.Asked, i.Op, i.Timeline)
	}
}

// What another op needs no approval for is not what was asked: nobody approved that.
func TestAnotherOpIsNoApproval(t *testing.T) {
	i := askAll(t, asking{0, "o1", planA, Ask, "0 of 1"}, asking{time.Minute, "o2", planB, "", ""})
	if i.Asked != nil || i.Op == nil || i.Op.ID != "o2" || entries(i, "approved") != 0 {
		t.Fatalf("%+v %+v %+v", i.Asked, i.Op, i.Timeline)
	}
}

func TestAnotherPlanIsAnotherRequest(t *testing.T) {
	i := askAll(t, asking{0, "o1", planA, Ask, "0 of 1"}, asking{time.Minute, "o2", planB, Ask, "0 of 1"})
	if i.Asked.Op != "o2" || i.Asked.Plan.Hash != planB.Hash || !i.Asked.At.Equal(t0.Add(time.Minute)) ||
		entries(i, "paged") != 1 || entries(i, "asked") != 1 {
		t.Fatalf("%+v %+v", i.Asked, i.Timeline)
	}
}

func TestARequestEnds(t *testing.T) {
	for _, tc := range []struct {
		name string
		then asking
		kept bool
		note Kind
	}{
		{"nobody answers", asking{time.Hour, "o1", planA, Ask, "0 of 1"}, false, "paged"},
		{"a moment before", asking{time.Hour - 1, "o1", planA, Ask, "0 of 1"}, true, "paged"},
		{"denied", asking{time.Minute, "o1", planA, Skip, "denied by eve"}, false, "skipped"},
		{"a person must decide", asking{time.Minute, "o1", planA, HandOver, "changed by eve"}, false, "paged"},
		{"only a moment", asking{time.Minute, "o1", planA, Wait, "a rollout"}, true, "held"},
		{"blind for a moment", asking{time.Minute, "o1", planA, Freeze, "no data"}, true, "frozen"},
		{"put on hold", asking{time.Minute, "o1", planA, Suppress, "migration"}, true, "held"},
		{"the mode is lowered", asking{time.Minute, "o1", planA, Advise, "mode observe"}, false, "handed over"},
	} {
		i := askAll(t, asking{0, "o1", planA, Ask, "0 of 1"}, tc.then)
		if (i.Asked != nil) != tc.kept || i.Op != nil || entries(i, tc.note) == 0 {
			t.Errorf("%s: %+v %+v", tc.name, i.Asked, i.Timeline)
		}
	}
	i := askAll(t, asking{0, "o1", planA, Ask, "0 of 1"})
	i, _ = Step(i, Tick{At: t0.Add(time.Minute),
		Alerts: []Alert{{Rule: "errors", Severity: P2, Verdict: OK, EvaluatedAt: t0.Add(time.Minute)}}},
		DefaultPolicy())
	if i.Phase != Resolved || i.Asked != nil {
		t.Errorf("over, and it still asks: %+v", i.Asked)
	}
}
