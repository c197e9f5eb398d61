package sim

import (
	"runtime/debug"
	"testing"
	"time"
)

func TestSeeds(t *testing.T) {
	debug.SetGCPercent(400)
	begin := time.Now()
	var total Score
	for seed := range uint64(100) {
		r := Run(Swarm(seed), nil)
		total = total.Add(r.Score)
		for _, v := range r.Violations {
			t.Errorf("seed %d: %s at %s: %s", seed, v.Invariant, v.At, v.Text)
		}
	}
	t.Logf("%+v", total)
	t.Logf("%.0f incidents/s", float64(total.Incidents)/time.Since(begin).Seconds())
}
