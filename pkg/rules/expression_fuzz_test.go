package rules

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
)

// values are the ones that arithmetic stumbles over.
func values() []float64 {
	return []float64{0, 1, -1, .3, .9, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64,
		math.SmallestNonzeroFloat64, math.Copysign(0, -1)}
}

// FuzzStoreAndEval: samples of any value, age and label go into the store or
// are refused and counted, an expression over them is answered or fails, and OK
// and BREACH are said of one finite, fresh number and of nothing else (INV-15).
func FuzzStoreAndEval(f *testing.F) {
	f.Add([]byte{1, 4, 0, 1, 4, 1, 1, 4, 2}, "job", "a", uint8(0))
	f.Add([]byte{0, 5, 0, 0, 6, 1, 2, 7, 2, 0, 9, 30}, "target", strings.Repeat("x", 9000), uint8(3))
	exprs := []string{"x", "max by (target) (x)", "x / x", "rate(x[1m])", "avg_over_time(x[5m])", "x ^ x", "x * 1e308",
		"sum by (target) (x) - sum by (target) (x)",
		`quantile by (target) (2, x)`, "stddev by (target) (x)",
		"label_replace(x, \"target\", \"$1\", \"label\", \"(.*)\")", "x % 0", "histogram_quantile(0.9, x)",
		"x unless x > 1", "sqrt(-x)", "vector(1)"}
	f.Fuzz(func(t *testing.T, b []byte, label, value string, which uint8) {
		now := start.Add(time.Hour)
		s := storeAt(&now, storage.Options{MaxSeries: 8, MaxSamples: 32})
		for n := 0; len(b) >= 3 && n < 200; n, b = n+1, b[3:] {
			p := one(now.Add(time.Duration(int8(b[2]))*15*time.Second), values()[int(b[1])%len(values())],
				"x", "target", fmt.Sprint("t", b[0]%3), label, value)
			if b[0] > 250 && len(b) >= 11 {
				p.Value = model.SampleValue(math.Float64frombits(binary.LittleEndian.Uint64(b[3:11])))
			}
			if b[0] == 249 {
				p.Histogram = &model.SampleHistogram{}
			}
			s.Append([]*model.Sample{p, nil})
		}
		if s.Len() > 8 {
			t.Fatalf("%d series, the limit is 8 (INV-50)", s.Len())
		}
		r := latency()
		r.Expr, r.Targets, r.Staleness, r.For = exprs[int(which)%len(exprs)], []string{"t0",
			"t1", value}, 2*time.Minute, 0
		r.Floor = nil
		c, err := compile(r)
		if err != nil {
			t.Fatal(err)
		}
		ask := promql.NewLocal(s, promql.LocalOptions{Timeout: time.Second, MaxSamples: 10_000})
		seen, _ := c.observe(t.Context(), ask, c.index, now)
		points, _ := ask(t.Context(), c.value, now)
		for target, i := range c.index {
			state := Eval(&c.Threshold, State{}, seen[i], now)
			if state.Verdict.Unknown() {
				if state.State == Firing || state.Unknown == "" {
					t.Fatalf("%s: %+v", target, state)
				}
				continue
			}
			checkJudged(t, points, target, state)
		}
	})
}

// checkJudged: what was judged is the one number that the expression gives.
func checkJudged(t *testing.T, points []promql.Point, target string, s State) {
	t.Helper()
	n := 0
	for _, p := range points {
		if p.Labels.Get(storage.TargetLabel) == target {
			n++
		}
	}
	if n != 1 || !finite(s.Value) {
		t.Fatalf("%s is %s of %d series with the value %v", target, s.Verdict, n, s.Value)
	}
	if (s.Verdict == Breach) != (s.Value > latency().Bound) {
		t.Fatalf("%s is %s with the value %v", target, s.Verdict, s.Value)
	}
}

// FuzzExpression: an expression of the configuration compiles or is refused with
// a reason, and one that compiles can be asked and never makes a verdict of
// nothing: over an empty store nothing fires.
func FuzzExpression(f *testing.F) {
	for _, s := range []string{"x", `max by (target) (rate(x{code=~"5.."}[$window]))`, "x[5m]", "1", `"s"`, "x @ end()",
		"absent(x)", "vector(NaN)", `label_replace(vector(9), "target", "t0", "", "")`} {
		f.Add(s, "rps")
	}
	f.Fuzz(func(t *testing.T, expr, floor string) {
		if len(expr)+len(floor) > 200 {
			return
		}
		r := latency()
		r.Expr, r.Targets, r.Floor = expr, []string{"t0"}, []FloorSpec{{Expr: floor, Min: 1}}
		c, err := compile(r)
		if err != nil {
			if !strings.Contains(err.Error(), r.Name) {
				t.Fatalf("which rule? %v", err)
			}
			return
		}
		now := start.Add(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		seen, _ := c.observe(ctx, promql.NewLocal(storeAt(&now, storage.Options{}),
			promql.LocalOptions{Timeout: time.Second, MaxSamples: 1000}), c.index, now)
		state := Eval(&c.Threshold, State{}, seen[0], now)
		// What needs no series at all, as vector(9), is a number all the same.
		if !state.Verdict.Unknown() && (!finite(state.Value) || len(c.fresh) > 0) {
			t.Fatalf("%s of nothing: %+v", state.Verdict, state)
		}
	})
}
