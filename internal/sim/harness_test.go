package sim

import (
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"
)

// TestHarness plays worlds until something objects, or SIM_HARNESS incidents were
// seen. internal/mutants runs it with a bug built in; without one it says so.
func TestHarness(t *testing.T) {
	budget, err := strconv.Atoi(os.Getenv("SIM_HARNESS"))
	if err != nil {
		budget = 50
	}
	debug.SetGCPercent(400)
	r := Report{}
	for seed := uint64(1); r.Score.Incidents < budget; seed += uint64(r.Runs) {
		r = Many(seed, min(budget, 400), runtime.GOMAXPROCS(0), Swarm)
		budget -= r.Score.Incidents
		if r.Violations() > 0 || r.Score.Harmful > 0 || float64(r.Score.Missed) > 0.02*float64(r.Score.Episodes)+2 {
			by := slices.Sorted(maps.Keys(r.Broken))
			for id := range r.Broken {
				t.Logf("%s: %s", id, r.Texts[id])
			}
			t.Fatalf("CAUGHT by %v, %d harmful and %d missed, within %d worlds", by, r.Score.Harmful, r.Score.Missed, int(seed)+r.Runs-1)
		}
	}
}
