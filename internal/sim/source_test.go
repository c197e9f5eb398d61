package sim

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// TestSourcesSwarm plays only worlds that have sources: SIM_SOURCES of them, or a few.
func TestSourcesSwarm(t *testing.T) {
	worlds, err := strconv.Atoi(os.Getenv("SIM_SOURCES"))
	if err != nil {
		worlds = 4
	}
	began, played, incidents := time.Now(), 0, 0
	for seed := uint64(1); played < worlds; seed++ {
		s := Swarm(seed)
		if s.Sources == nil {
			continue
		}
		played++
		r := Run(s, nil)
		incidents += r.Score.Incidents
		notified := map[string]bool{}
		for _, v := range r.Violations {
			if !notified[v.Invariant] || len(v.Text) > 0 && os.Getenv("SIM_ALL") != "" {
				t.Errorf("seed %d (%+v): %s after %s: %s", seed, *s.Sources, v.Invariant, v.At, v.Text)
			}
			notified[v.Invariant] = true
		}
	}
	t.Logf("%d worlds, %d incidents, %s", played, incidents, time.Since(began).Round(time.Second))
}
