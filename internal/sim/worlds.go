package sim

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Worlds makes the scenario of a seed from the trial's policy and targets: the
// swarm's happenings and faults, and people who come when they are paged.
func (t Trial) Worlds(seed uint64) *Scenario {
	d := &draw{rand.New(rand.NewPCG(seed, 3))}
	policy, own := *t.Policy, *t.Policy.Own
	own.Alone, policy.Own = false, &own
	s := &Scenario{Name: fmt.Sprintf("seed %d", seed), Seed: seed, Length: time.Duration(1+d.IntN(3)) * time.Hour,
		Replicas: 1 + d.IntN(2), Targets: t.Targets, Policy: &policy}
	s.Faults = d.faults()
	s.Happens = d.happenings(s)
	return s
}
