package rules

import (
	"testing"
	"time"
)

// TestAMinuteWithoutANumberIsInNeitherSum_X15: without requests a quantile is NaN. Three such minutes leave the sums,
// and
// half an hour of failure behind them burns the budget as ever.
func TestAMinuteWithoutANumberIsInNeitherSum_X15(t *testing.T) {
	b := newBench(t, "groups: []")
	for _, what := range []string{"slow", "ratio"} {
		s := SLO{Name: what, Objective: 0.99, Window: 30 * 24 * time.Hour, Source: Local, File: "f.yaml",
			All: `0 * max by (target) (p95) + 1`, Bad: `max by (target) (p95) > bool 0.5`}
		if what == "ratio" {
			// The other way round: the number of bad ones is none.
			s.All, s.Bad = `sum by (target) (all)`, `sum by (target) (bad)`
		}
		b.use(s.Groups())
		begin := b.now
		for minute := range 4 * 60 {
			p95, bad := 0.1, 0.0
			switch {
			case minute >= 60 && minute < 63:
				p95, bad = nan(), nan()
			case minute >= 200:
				p95, bad = 2, 1
			}
			b.now = begin.Add(time.Duration(minute) * time.Minute)
			b.store.Append(samplesOf(one(b.now, p95, "p95", "target", "a"), one(b.now, 1, "all", "target", "a"),
				one(b.now, bad, "bad", "target", "a")))
			b.groups.EvalGroups(t.Context(), b.now)
		}
		all, bad := b.value(`sum(sum_over_time(`+SLOAll+`{slo="`+what+`"}[4h]))`),
			b.value(`sum(sum_over_time(`+SLOBad+`{slo="`+what+`"}[4h]))`)
		if all != 237 || bad != 40 {
			t.Errorf("%s: %v events, %v of them bad, want 237 and 40", what, all, bad)
		}
		if a := b.groups.AlertsOf("a"); len(a) == 0 || a[0].State != Firing {
			t.Errorf("%s: half an hour of failure does not burn the budget: %+v", what, a)
		}
		b.now = b.now.Add(6 * time.Hour)
	}
}
