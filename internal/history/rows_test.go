package history

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"watchdog.io/watchdog/pkg/promql"
)

// wild are samples that jump, end, come back, reset, are stale, no number, or very large.
func wild(dice *rand.Rand, length time.Duration) *recording {
	r := &recording{first: t0.UnixMilli(), last: t0.Add(length).UnixMilli()}
	for k := range 12 {
		s := &recorded{labels: labels.FromStrings(model.MetricNameLabel, []string{"m", "c_total"}[k%2],
			"target", fmt.Sprint("t", k/4), "pod", fmt.Sprint("p", k/2))}
		every := time.Duration(5+dice.IntN(60)) * time.Second
		sum := dice.Float64() * 100
		for at := t0; at.Before(t0.Add(length)); at = at.Add(every + time.Duration(dice.IntN(2000))*time.Millisecond) {
			v := dice.NormFloat64() * math.Pow(10, float64(dice.IntN(6)))
			if k%2 == 1 {
				sum += math.Abs(v)
				v = sum
			}
			switch x := dice.IntN(400); {
			case x < 3:
				at = at.Add(time.Duration(dice.IntN(900)) * time.Second)
			case x < 6:
				v = math.Float64frombits(value.StaleNaN)
			case x < 9:
				sum, v = 0, 0
			case x == 9:
				v = math.NaN()
			case x == 10:
				v = math.Inf(1 - 2*dice.IntN(2))
			case x == 11:
				v = math.MaxFloat64
			case x == 12:
				v = math.Copysign(0, -1)
			}
			s.samples = append(s.samples, number{at.UnixMilli(), v})
		}
		r.series = append(r.series, s)
	}
	return r
}

// usual are expressions that are evaluated without the engine.
var usual = []string{
	"m", "m offset 3m", `{__name__=~"m|c_total",pod="p1"}`, "-m", "timestamp(m)", "timestamp(c_total offset 1m)",
	"avg_over_time(m[5m])", "sum_over_time(m[90s])", "min_over_time(m[2m])", "max_over_time(m[2m])",
	"count_over_time(m[10m])", "last_over_time(m[20m])", "avg_over_time(m[1m] offset 7m)",
	"rate(c_total[2m])", "rate(m[1m])", "increase(c_total[5m])", "delta(m[3m])", "rate(c_total[5m] offset 1m)",
	"sum by (target) (m)", "avg by (target) (m)", "min by (target) (m)", "max by (target) (m)", "count by (target) (m)",
	"group by (target) (m)", "sum without (pod) (c_total)", "avg(m)", "sum(rate(c_total[2m]))",
	"max by (target) (timestamp(m))", "sum by (target) (1 - m)", "m * 100", "100 / m", "2 ^ 3 * m", "m % 7", "m > 0",
	"0 > m", "m > bool 0", "m == m", "m != bool 0", "m <= 0", "m >= 1 + 2", "m - on (target, pod) m",
	"sum by (target) (rate(c_total[4m])) / sum by (target) (rate(c_total[2m]))",
	"avg by (target) (avg_over_time(m[3m])) > 0.5", "m / ignoring (pod) group_left sum by (target) (m)",
	"max by (target) (m) < bool min by (target) (c_total)",
	"m or c_total", `m{pod="p0"} or on (target) m`, "m or m offset 5m", "(sum by (target) (m) > 0) or sum by (target) (m)",
	"(min by (target) (m) or min by (target) (c_total)) * on (target) max by (target) (m)", "m > 0 or ignoring (pod) c_total",
	"(sum by (target) (m) >= bool 2) * on (target) sum by (target) (m offset 1m)",
}

// What is evaluated row by row is, to the last bit, what the engine says: of ranges, and of
// each moment alone.
func TestRowsAreTheEngines(t *testing.T) {
	dice := rand.New(rand.NewPCG(14, 4))
	own := map[string]int{}
	for world := range 6 {
		s := From("wild", wild(dice, 3*time.Hour))
		instant := Instant(s.Raw, func(_ context.Context, expr string, _ time.Time) ([]promql.Point, error) {
			return nil, fmt.Errorf("%s was left to the engine", expr)
		})
		for _, q := range append(questions, usual...) {
			start := t0.Add(time.Duration(dice.IntN(3600*1000)) * time.Millisecond)
			if world%2 == 0 {
				start = start.Truncate(15 * time.Second)
			}
			step := []time.Duration{15 * time.Second, time.Minute, 7300 * time.Millisecond}[dice.IntN(3)]
			end := start.Add(time.Duration(100+dice.IntN(300)) * step)
			got, err := evaluateRows(t.Context(), s.Raw, q, gridOf(start, end, step))
			lines, e := s.Range(t.Context(), q, start, end, step)
			if err != nil {
				continue
			}
			own[q]++
			if e != nil {
				t.Fatalf("%s: the engine says %v", q, e)
			}
			g := gridOf(start, end, step)
			want := rowsOf(lines, g.start, g.step, g.n)
			same(t, q, got, want)
			for range 5 {
				k := dice.IntN(g.n)
				alone, err := s.Query(t.Context(), q, start.Add(time.Duration(k)*step))
				again, failed := instant(t.Context(), q, start.Add(time.Duration(k)*step))
				if a, b := text(again, failed), text(alone, err); a != b {
					t.Fatalf("%s at step %d:\n%s\nat once\n%s", q, k, a, b)
				}
				if a, b := text((&promql.Page{Rows: got}).Points(k), nil), text(alone, err); a != b {
					t.Fatalf("%s at step %d:\n%s\nalone\n%s", q, k, a, b)
				}
			}
		}
	}
	for _, q := range usual {
		if own[q] == 0 && q != "m / ignoring (pod) group_left sum by (target) (m)" {
			t.Errorf("%s was left to the engine each time", q)
		}
	}
}

func same(t *testing.T, q string, got, want []row) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d rows, the engine has %d", q, len(got), len(want))
	}
	for i := range want {
		if !labels.Equal(got[i].Labels, want[i].Labels) {
			t.Fatalf("%s: row %d is %s, not %s", q, i, got[i].Labels, want[i].Labels)
		}
		for k, v := range want[i].Values {
			g := got[i].Values[k]
			if math.Float64bits(g) != math.Float64bits(v) &&
				(isNone(g) != isNone(v) || !math.IsNaN(g) || !math.IsNaN(v)) {
				t.Fatalf("%s: %s at step %d is %v, the engine says %v", q, want[i].Labels, k, g, v)
			}
		}
	}
}
