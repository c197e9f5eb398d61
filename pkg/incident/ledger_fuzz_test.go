package incident

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// FuzzLedger: reservations and releases in any order keep one op per target,
// the bound on ops at once, and every budget in every window of effects.
func FuzzLedger(f *testing.F) {
	for seed := range uint64(64) {
		f.Add(seed, []byte{})
	}
	f.Fuzz(func(t *testing.T, seed uint64, b []byte) {
		s := &ledgerFuzz{stepFuzz: stepFuzz{t: t, b: b, rest: rand.New(rand.NewPCG(seed, 13)), at: t0}}
		s.limits = Limits{PerTarget: s.rate(), PerNamespace: s.rate(), Cluster: s.rate(), Concurrent: int(s.byte() % 4),
			Cooldown: time.Duration(s.byte()) * time.Second}
		for range 100 {
			s.once()
		}
		s.checkWindows()
	})
}

type ledgerFuzz struct {
	stepFuzz
	limits   Limits
	ledger   Ledger
	released []Op // with AppliedAt set where there was an effect
}

func (s *ledgerFuzz) rate() Rate {
	return Rate{Count: int(s.byte() % 4), Per: pick(&s.stepFuzz, time.Minute, 5*time.Minute, time.Hour)}
}

func (s *ledgerFuzz) once() {
	s.at = s.at.Add(pick(&s.stepFuzz, 0, time.Second, 20*time.Second, time.Minute, 20*time.Minute, 3*time.Hour))
	before := s.encoded(s.ledger)
	switch kind := s.byte() % 16; {
	case kind < 7:
		s.reserve()
	case kind < 13 && len(s.ledger.Ops) > 0:
		s.release(s.ledger.Ops[int(s.byte())%len(s.ledger.Ops)])
	case kind == 13 && len(s.released) > 0:
		// A release whose answer was lost is asked for again.
		old := s.released[int(s.byte())%len(s.released)]
		if s.encoded(s.ledger.Release(old, old.Verdict, s.at, s.limits)) != before {
			s.t.Fatalf("released twice, op %s changes the ledger from\n%s to\n%s", old.ID, before,
				s.encoded(s.ledger.Release(old, old.Verdict, s.at, s.limits)))
		}
	case kind == 14:
		s.ledger.Hold = pick(&s.stepFuzz, nil, &Attribution{Reason: "stop"})
	case kind == 15 && len(s.ledger.Leases) > 0:
		s.ledger = s.ledger.WithoutLease(s.ledger.Leases[0].Op)
	}
}

func (s *ledgerFuzz) reserve() {
	s.ops++
	workload := pick(&s.stepFuzz, "a", "b", "c")
	op := Op{ID: fmt.Sprint("op", s.ops), Incident: pick(&s.stepFuzz, "i1", "i2"),
		Plan: Plan{Action: pick(&s.stepFuzz, "scale", "restart", ActionRevert),
			Target: Target{Namespace: pick(&s.stepFuzz, "one", "two"), Kind: "deployment", Workload: workload}}}
	before := s.encoded(s.ledger)
	next, no := s.ledger.Reserve(op, s.at, s.limits)
	if s.encoded(s.ledger) != before {
		s.t.Fatalf("reserving changed the ledger it was given")
	}
	if no != nil {
		if no.Hold == "" || no.Reason == "" || s.encoded(next) != before {
			s.t.Fatalf("refused with %+v, and yet %s", no, s.encoded(next))
		}
		return
	}
	if s.ledger.Hold != nil {
		s.t.Fatalf("reserved under a hold (INV-25)")
	}
	if again, no := next.Reserve(op, s.at, s.limits); no != nil || s.encoded(again) != s.encoded(next) {
		s.t.Fatalf("asked again, the same op is refused or reserved twice: %+v", no)
	}
	s.ledger = s.reread(next)
	s.check()
}

// release ends an op: aborted, or with an effect some time after it was reserved.
func (s *ledgerFuzz) release(op Op) {
	op.Verdict = pick(&s.stepFuzz, Aborted, Helped, NoEffect, Harmed, Unclear)
	if op.Verdict != Aborted {
		op.AppliedAt = s.at.Add(-time.Duration(s.byte()) * time.Second)
		for _, spent := range s.ledger.Spent {
			if spent.Op == op.ID && op.AppliedAt.Before(spent.At) {
				op.AppliedAt = spent.At
			}
		}
		if s.byte()%2 == 0 {
			op.Plan.Lease, op.Plan.Inverse = time.Hour, []byte("{}")
		}
	}
	before := s.encoded(s.ledger)
	next := s.ledger.Release(op, op.Verdict, s.at, s.limits)
	if s.encoded(s.ledger) != before {
		s.t.Fatalf("releasing changed the ledger it was given")
	}
	if _, flying := next.InFlight(op.Plan.Target); flying {
		s.t.Fatalf("op %s was released and is in flight: %s", op.ID, s.encoded(next))
	}
	s.released = append(s.released, op)
	s.ledger = s.reread(next)
	s.check()
}

func (s *ledgerFuzz) check() {
	s.t.Helper()
	targets, flying := map[string]bool{}, 0
	for _, op := range s.ledger.Ops {
		if targets[op.Plan.Target.String()] {
			s.t.Fatalf("two ops on %s (INV-01): %s", op.Plan.Target, s.encoded(s.ledger))
		}
		targets[op.Plan.Target.String()] = true
		if op.Plan.Action != ActionRevert {
			flying++
		}
	}
	if flying > s.limits.Concurrent {
		s.t.Fatalf("%d ops in flight of %d (INV-17): %s", flying, s.limits.Concurrent, s.encoded(s.ledger))
	}
}

// checkWindows counts effects in every window that ends with an effect.
func (s *ledgerFuzz) checkWindows() {
	var effects []Op
	for _, op := range s.released {
		if op.Verdict != Aborted && op.Plan.Action != ActionRevert {
			effects = append(effects, op)
		}
	}
	for _, last := range effects {
		for _, w := range []struct {
			name   string
			rate   Rate
			counts func(Op) bool
		}{
			{"target", s.limits.PerTarget,
				func(o Op) bool { return o.Plan.Target.String() == last.Plan.Target.String() }},
			{"namespace", s.limits.PerNamespace,
				func(o Op) bool { return o.Plan.Target.Namespace == last.Plan.Target.Namespace }},
			{"cluster", s.limits.Cluster, func(Op) bool { return true }},
		} {
			n := 0
			for _, o := range effects {
				if age := last.AppliedAt.Sub(o.AppliedAt); w.counts(o) && age >= 0 && age < w.rate.Per {
					n++
				}
			}
			if n > w.rate.Count {
				s.t.Fatalf("%d effects per %s in %s, the limit is %d (INV-17)", n, w.name, w.rate.Per, w.rate.Count)
			}
		}
	}
}

// reread stores the ledger and reads it again, as every swap does.
func (s *ledgerFuzz) reread(l Ledger) Ledger {
	s.t.Helper()
	var read Ledger
	if err := json.Unmarshal([]byte(s.encoded(l)), &read); err != nil {
		s.t.Fatal(err)
	}
	return read
}

func (s *ledgerFuzz) encoded(l Ledger) string {
	s.t.Helper()
	b, err := json.Marshal(l)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}
