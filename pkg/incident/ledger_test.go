package incident

import (
	"strings"
	"testing"
	"time"
)

var limits = Limits{PerTarget: Rate{3, time.Hour}, PerNamespace: Rate{5, time.Hour}, Cluster: Rate{10, time.Hour},
	Concurrent: 2, Cooldown: 5 * time.Minute}

func opOn(id, incident, workload, namespace string) Op {
	t := Target{Name: workload, Namespace: namespace, Kind: "deployment", Workload: workload}
	return Op{ID: id, Incident: incident, Plan: Plan{Action: "scale", Target: t, Summary: "scale " + workload}}
}

// reserve takes an op or fails the test.
func reserve(t *testing.T, l Ledger, op Op, at time.Time) Ledger {
	t.Helper()
	next, no := l.Reserve(op, at, limits)
	if no != nil {
		t.Fatalf("%s refused: %s", op.ID, no.Reason)
	}
	return next
}

func refused(t *testing.T, l Ledger, op Op, at time.Time, guard, says string) {
	t.Helper()
	_, no := l.Reserve(op, at, limits)
	if no == nil || no.Guard != guard || !strings.Contains(no.Reason, says) {
		t.Fatalf("answer %+v, want %s saying %q", no, guard, says)
	}
}

func TestOneOpPerTargetAtATime_INV01(t *testing.T) {
	l := reserve(t, Ledger{}, opOn("o1", "i1", "a", "n"), t0)
	refused(t, l, opOn("o2", "i2", "a", "n"), t0, "single flight", "op o1 (scale) is in flight")
	if again := reserve(t, l, opOn("o1", "i1", "a", "n"), t0); len(again.Ops) != 1 || len(again.Spent) != 1 {
		t.Fatalf("reserving twice counted twice: %+v", again)
	}
	reserve(t, l, opOn("o2", "i2", "b", "n"), t0)
}

func TestABoundOfOpsAtOnce_INV17(t *testing.T) {
	l := reserve(t, Ledger{}, opOn("o1", "i1", "a", "n1"), t0)
	l = reserve(t, l, opOn("o2", "i2", "b", "n2"), t0)
	refused(t, l, opOn("o3", "i3", "c", "n3"), t0, "concurrent ops", "2 of 2")
}

func TestBudgetsSlide_INV17(t *testing.T) {
	l := Ledger{}
	for k, id := range []string{"o1", "o2", "o3"} {
		op := opOn(id, "i1", "a", "n")
		l = reserve(t, l, op, t0.Add(time.Duration(k)*time.Minute)).Release(op, NoEffect,
			t0.Add(time.Duration(k)*time.Minute), limits)
	}
	refused(t, l, opOn("o4", "i1", "a", "n"), t0.Add(10*time.Minute), "budget per target", "3 of 3 ops used in 1h")
	reserve(t, l, opOn("o4", "i1", "a", "n"), t0.Add(61*time.Minute))
	// An aborted op wrote nothing and costs nothing.
	op := opOn("o5", "i1", "b", "n")
	l = reserve(t, l, op, t0.Add(3*time.Minute)).Release(op, Aborted, t0.Add(3*time.Minute), limits)
	if len(l.Spent) != 3 {
		t.Fatalf("%d spent", len(l.Spent))
	}
}

func TestCooldownIsBetweenIncidentsNotWithinOne(t *testing.T) {
	op := opOn("o1", "i1", "a", "n")
	l := reserve(t, Ledger{}, op, t0).Release(op, Helped, t0.Add(time.Minute), limits)
	refused(t, l, opOn("o2", "i2", "a", "n"), t0.Add(2*time.Minute), "cooldown", "ended 1m0s ago; cooldown is 5m0s")
	reserve(t, l, opOn("o2", "i1", "a", "n"), t0.Add(2*time.Minute))
	reserve(t, l, opOn("o2", "i2", "a", "n"), t0.Add(7*time.Minute))
}

func TestTheKillSwitchStopsReversalsToo_INV25(t *testing.T) {
	l := Ledger{Hold: &Attribution{By: "alice", Reason: "move", At: t0}}
	for _, action := range []Action{ActionScale, ActionRevert} {
		op := opOn("o1", "i1", "a", "n")
		op.Plan.Action = action
		refused(t, l, op, t0, "kill switch", "by alice: move")
	}
}

func TestAReversalCostsNothing(t *testing.T) {
	op := opOn("o1", "i1", "a", "n")
	op.Plan.Action = ActionRevert
	if l := reserve(t, Ledger{}, op, t0); len(l.Spent) != 0 || len(l.Ops) != 1 {
		t.Fatalf("%+v", l)
	}
}

func TestAnAppliedChangeBecomesALeaseAndHarmEndsItAtOnce(t *testing.T) {
	op := opOn("o1", "i1", "a", "n")
	op.Plan.Lease, op.Plan.Inverse, op.AppliedAt = time.Hour, []byte("{}"), t0
	for verdict, want := range map[OpVerdict]time.Time{Helped: t0.Add(time.Hour), NoEffect: t0.Add(time.Hour),
		Harmed: t0.Add(time.Minute)} {
		l := reserve(t, Ledger{}, op, t0).Release(op, verdict, t0.Add(time.Minute), limits)
		if len(l.Leases) != 1 || !l.Leases[0].ExpiresAt.Equal(want) {
			t.Errorf("%s: %+v", verdict, l.Leases)
		}
	}
	if l := reserve(t, Ledger{}, op, t0).Release(op, Aborted, t0, limits); len(l.Leases) != 0 {
		t.Errorf("aborted: %+v", l.Leases)
	}
}

func TestTheLedgerKeepsTheAnchorsOfTheLastLogs_SEC26(t *testing.T) {
	var l Ledger
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	names := "abcdefghij"
	for n, c := range names {
		was := l
		l = l.WithAnchor(string(c), Anchor{Seq: uint64(n), At: at.Add(time.Duration(n) * time.Minute)})
		if _, there := was.Anchors[string(c)]; there {
			t.Fatal("the ledger that was read changed")
		}
	}
	l = l.WithAnchor("j", Anchor{Seq: 100, At: at.Add(time.Hour)})
	if len(l.Anchors) != 8 || l.Anchors["j"].Seq != 100 || l.Anchors["c"].Seq != 2 {
		t.Errorf("%v", l.Anchors)
	}
}
