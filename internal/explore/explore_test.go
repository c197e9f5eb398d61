package explore

import (
	"reflect"
	"testing"

	"watchdog.io/watchdog/pkg/incident"
)

// TestEveryState visits every state of each configuration without a Limit, and the
// first states, nearest ones first, of those with one. Under the race detector
// one small configuration shows that the workers share nothing they should not.
func TestEveryState(t *testing.T) {
	all := []Config{
		{Name: "2 replicas, crashes, faults, people", Replicas: 2, Targets: 1,
			Budget: Budget{Crashes: 1, Faults: 1, People: 1, World: 1}, Ladder: restartThenPage},
		{Name: "2 replicas, 2 crashes, 2 faults, a person", Replicas: 2, Targets: 1,
			Budget: Budget{Crashes: 2, Faults: 2, People: 1}, Ladder: restartThenPage},
		{Name: "2 replicas, a ladder of 2 actions", Replicas: 2, Targets: 1,
			Budget: Budget{Crashes: 1, Faults: 1, People: 1, World: 1}, Ops: 2, Ladder: scaleThenRestart},
		{Name: "2 replicas, a lease lost", Replicas: 2, Targets: 1, Budget: Budget{Leases: 1}, Ladder: restartThenPage},
		{Name: "3 replicas, 3 crashes, a fault, a person", Replicas: 3, Targets: 1,
			Budget: Budget{Crashes: 3, Faults: 1, People: 1}, Ladder: restartThenPage},
		{Name: "2 replicas, 2 targets, a crash, a person", Replicas: 2, Targets: 2,
			Budget: Budget{Crashes: 1, People: 1}, Ladder: restartThenPage},
		{Name: "2 replicas, a second rule that is only told", Replicas: 2, Targets: 1,
			Budget: Budget{Crashes: 1, Faults: 1, People: 1, World: 1}, Ladder: restartThenPage, Twin: true},
		{Name: "2 replicas, everything, the first states", Replicas: 2, Targets: 1, Budget: Budget{1, 1, 1, 1, 1},
			Ladder: restartThenPage, Limit: 3_000_000},
		{Name: "3 replicas, 2 leases lost, the first states", Replicas: 3, Targets: 1,
			Budget: Budget{Leases: 2, Faults: 1}, Ladder: restartThenPage, Limit: 2_000_000},
	}
	if raceDetector || testing.Short() {
		all = []Config{{Name: "small", Replicas: 2, Targets: 1, Budget: Budget{Crashes: 1, Faults: 1},
			Ladder: restartThenPage, Twin: true}}
	}
	states, seconds := 0, 0.0
	for _, c := range all {
		c.Ops, c.Workers = max(c.Ops, 1), 2
		r := Run(c)
		t.Log(r)
		if r.Broken != "" {
			t.Error("\n" + r.Tell())
		}
		states, seconds = states+r.States, seconds+r.Took.Seconds()
	}
	t.Logf("together %d states in %.1fs, %.0f states/s", states, seconds, float64(states)/seconds)
}

// TestEachGuardIsNeeded leaves out one guard of the op protocol at a time: without
// it an invariant breaks, and the story tells how.
func TestEachGuardIsNeeded(t *testing.T) {
	for _, c := range []Config{
		{Name: "Without durable intent", Guards: Guards{NoIntent: true}},
		{Name: "Without verification before acting (again)", Guards: Guards{NoVerify: true},
			Budget: Budget{Faults: 1, People: 1}},
		{Name: "Without the resourceVersion precondition", Guards: Guards{NoPrecondition: true},
			Budget: Budget{Faults: 1, People: 1}},
		{Name: "Without compare-and-swap on the ledger", Targets: 2, Guards: Guards{NoLedgerCAS: true}},
		{Name: "Without the op id on the object", Guards: Guards{NoOpID: true}, Budget: Budget{Crashes: 1, Faults: 1}},
	} {
		mustBreak(t, c)
	}
}

// TestTheOrderOfTheShellIsNeeded gives the shell one bad habit at a time.
func TestTheOrderOfTheShellIsNeeded(t *testing.T) {
	all := []Config{
		{Name: "If a pass begins new work before the last one is stored",
			Shell: Shell{BeginUnsaved: true, LeaveOps: true}, Budget: Budget{Crashes: 1, Faults: 1, People: 1}},
		{Name: "If an incident that is over is kept when it is read again", Shell: Shell{KeepResolved: true},
			Budget: Budget{Faults: 1, World: 2}},
	}
	if !raceDetector && !testing.Short() {
		all = append(all,
			Config{Name: "If nobody looks for ops in the ledger that nobody works on", Shell: Shell{LeaveOps: true},
				Budget: Budget{Leases: 1}},
			Config{Name: "If budget is given back before the incident is stored", Shell: Shell{ReleaseUnstored: true},
				Budget: Budget{Leases: 1, Faults: 1}},
			Config{Name: "If an op is taken over before its incident is ended", Shell: Shell{AdoptEarly: true},
				Budget: Budget{Leases: 1, Faults: 1}},
		)
	}
	for _, c := range all {
		mustBreak(t, c)
	}
}

func mustBreak(t *testing.T, c Config) {
	t.Helper()
	c.Replicas, c.Targets, c.Ops, c.Ladder, c.Limit = 2, max(c.Targets, 1), 1, restartThenPage, 4_000_000
	r := Run(c) // with one worker: always the same story
	t.Log(r)
	if r.Broken == "" {
		t.Errorf("%s: nothing breaks", c.Name)
		return
	}
	t.Log("\n" + r.Tell())
}

// TestANewFieldIsNoticed fails when the core keeps more than it did when the key
// of a state was written. Decide whether a decision depends on it: then it belongs
// into compact.go. That the fields left out decide nothing is read, not proved.
// Incident.Remedy and Alert.OKAt decide only for alerts with a Lookback; none has one here.
// Op.TookAt and WellAt choose between helped and recovered by itself, which the same follows;
// EndpointsThen, Fewer and TakeBack need Services, and there are none here. Incident.CalmSince
// is set only if other systems alone tell of trouble, and none does here. ConsideredRule, ConsideredAction,
// Keys, Labels, Annotations, Link and Refused only reach people, and Spent.ByItself counts towards quarantine,
// which is switched off here. Alert.Extent is of watchdog's own alerts, which nobody acts on. Ledger.Anchors are noted
// for readers of the audit record alone.
func TestANewFieldIsNoticed(t *testing.T) {
	for _, v := range []struct {
		of     any
		fields int
	}{{incident.Incident{}, 50}, {incident.Op{}, 31}, {incident.Alert{}, 30}, {incident.Ledger{}, 10},
		{incident.Spent{}, 11}} {
		if n := reflect.TypeOf(v.of).NumField(); n != v.fields {
			t.Errorf("%T has %d fields, had %d", v.of, n, v.fields)
		}
	}
}

// TestKeysSurvive turns keys into the core's own values and back.
func TestKeysSurvive(t *testing.T) {
	m := newMachine(Config{Targets: 1, Ops: 1, Ladder: restartThenPage}, newShared())
	k := incKey{phase: phases.code(incident.Acting), seen: true, lead: true, next: 1, tries: 1, firing: true,
		verdict: verdicts.code(incident.Breach), useless: 1, held: 2, paged: true, nextIn: 1, evidence: true, last: 1,
		op: opKey{id: 3, rung: 1, phase: opPhases.code(incident.Sent), before: 17, rv: 4, sends: 2, sent: 2,
			evidence: true}}
	for _, more := range []func(){func() { k.ended = true }, func() { k.handedOver = true },
		func() { m.Twin, k.twinEnded, k.twinLead = true, true, true }} {
		if again := m.pack(m.unpack(k), 0, 0); again != k {
			t.Errorf("an incident does not survive: %+v, was %+v", again, k)
		}
		more()
	}
	if again := m.pack(m.unpack(k), 0, 0); again != k {
		t.Errorf("an incident does not survive: %+v, was %+v", again, k)
	}
	l := ledgerKey{kill: true, ops: [4]opKey{{id: 1, phase: opPhases.code(incident.Intent), before: 1}},
		spent: [8]spentKey{{op: 1}}}
	if again := m.packLedger(m.unpackLedger(l)); again != l {
		t.Errorf("a ledger does not survive: %+v, was %+v", again, l)
	}
}
