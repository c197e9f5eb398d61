package incident

import (
	"testing"
	"time"
)

// after is the ledger once an op of the incident on target "a" has changed it and ended.
func after(t *testing.T, l Ledger, id, inc string, at time.Time) Ledger {
	t.Helper()
	op := opOn(id, inc, "a", "n")
	op.AppliedAt = at
	return reserve(t, l, op, at).Release(op, Helped, at, limits)
}

func TestThePauseBetweenIncidentsDoubles_INV22(t *testing.T) {
	defer func(l Limits) { limits = l }(limits)
	limits.PerTarget.Count, limits.Quarantine = 100, Rate{10, 6 * time.Hour}
	l := after(t, Ledger{}, "o1", "i1", t0)
	refused(t, l, opOn("o2", "i2", "a", "n"), t0.Add(4*time.Minute), "cooldown", "cooldown is 5m0s")
	l = after(t, l, "o2", "i2", t0.Add(6*time.Minute))
	refused(t, l, opOn("o3", "i3", "a", "n"), t0.Add(15*time.Minute),
		"cooldown", "cooldown is 10m0s after 2 such incidents in 6h0m0s")
	l = after(t, l, "o3", "i3", t0.Add(17*time.Minute))
	refused(t, l, opOn("o4", "i4", "a", "n"), t0.Add(36*time.Minute), "cooldown", "cooldown is 20m0s")
	// What is out of the window no longer counts.
	after(t, l, "o4", "i4", t0.Add(7*time.Hour))
}

func TestATargetThatKeepsComingBackIsQuarantined_INV22(t *testing.T) {
	defer func(l Limits) { limits = l }(limits)
	limits.PerTarget.Count, limits.Quarantine = 100, Rate{3, 6 * time.Hour}
	l := after(t, Ledger{}, "o1", "i1", t0)
	l = after(t, l, "o2", "i2", t0.Add(time.Hour))
	l = after(t, l, "o3", "i3", t0.Add(2*time.Hour))
	reserve(t, l, opOn("o4", "i3", "a", "n"), t0.Add(3*time.Hour)) // its own ladder goes on
	late := t0.Add(40 * time.Hour)                                 // no window ends a quarantine
	refused(t, l, opOn("o5", "i4", "a", "n"), late, "quarantine", "in 3 incidents on n/deployment/a within 6h0m0s")
	reserve(t, l, opOn("o5", "i4", "b", "n"), late)

	l.Lifted = map[string]string{"n/deployment/a": "another"}
	refused(t, l, opOn("o5", "i4", "a", "n"), late, "quarantine", "watchdog resume n/a")
	l.Lifted = map[string]string{"n/deployment/a": "o3"}
	l = after(t, l, "o5", "i4", t0.Add(2*time.Hour+30*time.Minute))
	if len(l.Quarantines) != 0 {
		t.Fatalf("what led to a lifted quarantine counts again: %+v", l.Quarantines)
	}
}

func TestAnAbortedOpIsNoCycle_INV22(t *testing.T) {
	defer func(l Limits) { limits = l }(limits)
	limits.Quarantine = Rate{1, time.Hour}
	op := opOn("o1", "i1", "a", "n")
	if l := reserve(t, Ledger{}, op, t0).Release(op, Aborted, t0, limits); len(l.Quarantines) != 0 ||
		len(l.Moves) != 0 {
		t.Fatalf("%+v", l)
	}
}

func TestDisruptiveOpsBeginApart_INV24(t *testing.T) {
	defer func(l Limits) { limits = l }(limits)
	limits.MinInterval = 10 * time.Second
	first, second, scale := opOn("o1", "i1", "a", "n1"), opOn("o2", "i2", "b", "n2"), opOn("o3", "i3", "c", "n3")
	first.Plan.Class, second.Plan.Class = C3, C4
	l := reserve(t, Ledger{}, first, t0)
	refused(t, l, second, t0.Add(9*time.Second), "min interval", "another disruptive op began 9s ago")
	reserve(t, l, scale, t0)
	reserve(t, l, second, t0.Add(15*time.Second)) // with all of its jitter
}

func TestTimesThatLieAheadCountFromNow_INV55(t *testing.T) {
	year := 365 * 24 * time.Hour
	op := opOn("o1", "i1", "a", "n")
	op.Plan.Lease, op.Plan.Inverse, op.AppliedAt = time.Hour, []byte("{}"), t0.Add(year)
	l := reserve(t, Ledger{}, op, t0.Add(year)).Release(op, Helped, t0.Add(year), limits)
	l, changed := l.Sane(t0)
	if !changed || !l.Leases[0].ExpiresAt.Equal(t0.Add(time.Hour)) {
		t.Fatalf("changed %v, lease until %s", changed, l.Leases[0].ExpiresAt)
	}
	refused(t, l, opOn("o2", "i2", "a", "n"), t0.Add(4*time.Minute), "cooldown", "ended 4m0s ago")
	reserve(t, l, opOn("o2", "i2", "a", "n"), t0.Add(6*time.Minute))
	if _, again := l.Sane(t0); again {
		t.Fatal("what is sane was changed")
	}
}
