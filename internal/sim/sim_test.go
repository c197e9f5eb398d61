package sim

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"
)

// TestSwarm plays worlds until SIM_INCIDENTS were seen, or a few.
func TestSwarm(t *testing.T) {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(2 << 30)
	incidents, err := strconv.Atoi(os.Getenv("SIM_INCIDENTS"))
	if err != nil {
		incidents = 300
	}
	r := Many(1, incidents, runtime.GOMAXPROCS(0), Swarm)
	t.Logf("\n%s", r)
	report(t, r)
	for id, seed := range r.First {
		small := Shrink(Swarm(seed), func(s *Scenario) bool { return breaks(Run(s, nil), id) })
		t.Errorf("%s is broken, first at seed %d: %s\nthe smallest story found:\n%s", id, seed, r.Texts[id],
			Story(small))
	}
	if r.Score.Harmful > 0 {
		t.Errorf("%d harmful actions", r.Score.Harmful)
	}
	if missed := float64(r.Score.Missed) / float64(max(1, r.Score.Episodes)); missed > 0.001 && incidents >= 10_000 {
		t.Errorf("%.2f %% of the episodes that could be cured were missed, at most 0.1 %% may be", 100*missed)
	}
}

// report writes what came out to SIM_REPORT, for docs/sim-million.md.
func report(t *testing.T, r Report) {
	path := os.Getenv("SIM_REPORT")
	if path == "" {
		return
	}
	text := fmt.Sprintf(`# %d simulated incidents

- date: %s
- commit: %s
- command: make sim-million, on %d cores, %s

%s%s%s
What the words mean: a world is one seed, with its own policy, targets, trouble and faults. "Violations" are broken promises
of [safety.md](safety.md), as the oracle of internal/sim sees them. "Useful" actions can end the cause of the trouble, "needless" ones
cannot, "harmful" ones disturb pods of a target that was well. "Missed" episodes could have been cured by the policy, with
nothing in the way, and watchdog neither acted nor notified anybody.
`, r.Score.Incidents, time.Now().UTC().Format("2006-01-02"),
		cmp.Or(os.Getenv("SIM_COMMIT"), "unknown"),
		runtime.GOMAXPROCS(0), runtime.Version(), "```\n", r, "```\n")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func breaks(r Result, id string) bool {
	for _, v := range r.Violations {
		if v.Invariant == id {
			return true
		}
	}
	return false
}

// TestASeedGivesOneHistory: whatever fails can be played again.
func TestASeedGivesOneHistory(t *testing.T) {
	for seed := range uint64(3) {
		if first, again := Story(Swarm(seed)), Story(Swarm(seed)); first != again {
			t.Errorf("seed %d gave two histories", seed)
		}
	}
}
