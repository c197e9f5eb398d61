package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Report sums up many runs.
type Report struct {
	Runs  int
	Score Score
	Took  time.Duration
	// Broken counts violations by invariant, and First is the smallest seed of each.
	Broken map[string]int
	First  map[string]uint64
	Texts  map[string]string
}

// Many plays the scenarios of the seeds from the first on, on several workers,
// until enough incidents were seen or stop says so. What it returns does not
// depend on the workers, but for the time it took.
func Many(first uint64, incidents, workers int, scenario func(seed uint64) *Scenario) Report {
	batch := min(64, max(8, incidents/40)) // a world has some 40 incidents
	begin := time.Now()
	r := Report{Broken: map[string]int{}, First: map[string]uint64{}, Texts: map[string]string{}}
	for r.Score.Incidents < incidents {
		results := make([]Result, batch)
		next := make(chan int, batch)
		for k := range batch {
			next <- k
		}
		close(next)
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for k := range next {
					results[k] = Run(scenario(first+uint64(k)), nil)
				}
			})
		}
		wg.Wait()
		for k, one := range results {
			r.add(first+uint64(k), one)
		}
		first += uint64(batch)
	}
	r.Took = time.Since(begin)
	return r
}

func (r *Report) add(seed uint64, one Result) {
	r.Runs++
	r.Score = r.Score.Add(one.Score)
	for _, v := range one.Violations {
		if r.Broken[v.Invariant]++; r.Broken[v.Invariant] == 1 {
			r.First[v.Invariant], r.Texts[v.Invariant] = seed, v.Text
		}
	}
}

// Violations is how many were found.
func (r Report) Violations() int {
	n := 0
	for _, k := range r.Broken {
		n += k
	}
	return n
}

// String is the report as people read it.
func (r Report) String() string {
	var b strings.Builder
	s := r.Score
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "%-40s "+format+"\n", append([]any{what}, args...)...)
	}
	line("incidents", "%d in %d worlds, %d steps of the engine, %s (%.0f incidents/s)", s.Incidents, r.Runs, s.Passes,
		r.Took.Round(time.Second), float64(s.Incidents)/r.Took.Seconds())
	line("violations", "%d", r.Violations())
	line("actions", "%d, and %d leases taken back", s.Effects, s.Reverts)
	line("  useful", "%d", s.Useful)
	line("  needless", "%d (%.1f %%)", s.Needless, 100*float64(s.Needless)/float64(max(1, s.Effects)))
	for _, k := range slices.Sorted(maps.Keys(s.Rungs)) {
		t := s.Rungs[k]
		line("    "+k, "%d of %d (%.1f %%) needless", t.All-t.Useful, t.All, 100*float64(t.All-t.Useful)/float64(t.All))
	}
	line("  late", "%d landed long after they were sent", s.Late)
	line("  harmful", "%d", s.Harmful)
	line("missed", "%d of %d episodes that could be cured (%.3f %%)", s.Missed, s.Episodes,
		100*float64(s.Missed)/float64(max(1, s.Episodes)))
	line("time to act", "%s on average", (s.Acted / time.Duration(max(1, s.Cured))).Round(100*time.Millisecond))
	line("verdicts on effects", "%d of %d right (%.1f %%)", s.Right, s.Verdicts,
		100*float64(s.Right)/float64(max(1, s.Verdicts)))
	line("  harm", "%d of %d changes that did harm were taken back", s.Undone, s.Harms)
	line("pages", "%d", s.Pages)
	for _, id := range slices.Sorted(maps.Keys(r.Broken)) {
		line("BROKEN "+id, "%d times, first at seed %d: %s", r.Broken[id], r.First[id], r.Texts[id])
	}
	return b.String()
}
