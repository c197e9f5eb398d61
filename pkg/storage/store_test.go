package storage

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

func TestTheEngineSeesWhatWasAppended(t *testing.T) {
	now := start
	s := storeAt(&now, Options{})
	for range 20 {
		now = now.Add(15 * time.Second)
		s.Append([]*model.Sample{one(now, float64(now.Unix()-start.Unix()), "x", "target", "a"),
			one(now, 1, "x", "target", "b"), one(now, 7, "y", "target", "a")})
	}
	for expr, want := range map[string]map[string]float64{
		`x`:                              {"a": 300, "b": 1},
		`x{target="a"}`:                  {"a": 300},
		`x{target=~"a|c"}`:               {"a": 300},
		`x{target!="a"}`:                 {"b": 1},
		`x offset 1m`:                    {"a": 240, "b": 1},
		`avg_over_time(x[1m])`:           {"a": (255 + 270 + 285 + 300) / 4., "b": 1},
		`count_over_time(x[2h])`:         {"a": 20, "b": 20},
		`{__name__=~"y|z"}`:              {"a": 7},
		`{target="a", __name__!="x"}`:    {"a": 7},
		`max by (target) (timestamp(x))`: {"a": float64(now.Unix()), "b": float64(now.Unix())},
	} {
		if d := cmp.Diff(want, ask(t, s, expr, now)); d != "" {
			t.Errorf("%s: %s", expr, d)
		}
	}
	if got := ask(t, s, `x`, now.Add(5*time.Minute+time.Second)); len(got) != 0 {
		t.Errorf("after the lookback still there: %v", got)
	}
}

func TestWhatTheStoreCannotHoldIsRefusedAndCounted(t *testing.T) {
	now := start
	reg := prometheus.NewRegistry()
	s := storeAt(&now, Options{MaxSeries: 1, Registerer: reg})
	s.Append([]*model.Sample{one(now, 1, "x", "target", "a")})
	histogram := one(now.Add(time.Second), 0, "x", "target", "a")
	histogram.Histogram = &model.SampleHistogram{}
	nameless := one(now, 1, "x")
	delete(nameless.Metric, model.MetricNameLabel)
	for reason, p := range map[string]*model.Sample{
		"too_many_series": one(now, 1, "x", "target", "b"),
		"duplicate":       one(now, 1, "x", "target", "a"),
		"out_of_order":    one(now.Add(-time.Second), 1, "x", "target", "a"),
		"future":          one(now.Add(31*time.Second), 1, "x", "target", "a"),
		"too_old":         one(now.Add(-3*time.Hour), 1, "x", "target", "a"),
		"histogram":       histogram,
		"invalid":         nameless,
	} {
		s.Append([]*model.Sample{p})
		if n := testutil.ToFloat64(s.metrics.refused.WithLabelValues(reason)); n != 1 {
			t.Errorf("%s: refused %v, want 1", reason, n)
		}
	}
	s.Append([]*model.Sample{nil})
	if s.Len() != 1 {
		t.Errorf("%d series, want 1", s.Len())
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}

func TestTheStoreForgetsSilentSeriesAndOldSamples(t *testing.T) {
	now := start
	s := storeAt(&now, Options{Retention: 10 * time.Minute, MaxSamples: 20})
	s.Append([]*model.Sample{one(now, 1, "gone", "target", "a"), one(now, 1, "x", "target", "gone")})
	for range 60 {
		now = now.Add(15 * time.Second)
		s.Append([]*model.Sample{one(now, 1, "x", "target", "a")})
	}
	if s.Len() != 1 {
		t.Errorf("%d series, want 1", s.Len())
	}
	if got := ask(t, s, `count_over_time(x[2h])`, now); got["a"] < 20 || got["a"] > 25 {
		t.Errorf("%v samples kept, want 20 and at most a quarter more", got["a"])
	}
	s.Forget("a")
	if s.Len() != 0 || len(s.byID) != 0 || len(s.byName) != 0 {
		t.Errorf("after Forget: %d series, %d ids, %d names", s.Len(), len(s.byID), len(s.byName))
	}
}

func TestAppendTellsWhatChanged(t *testing.T) {
	now := start
	s := storeAt(&now, Options{})
	told := map[string][]string{}
	s.OnAppend(func(target string, changed []string) { told[target] = changed })
	for _, step := range []struct {
		after time.Duration
		b     float64
		want  map[string][]string
	}{
		{0, 1, map[string][]string{"a": {"x"}, "b": {"x", "y"}}},
		{15 * time.Second, 1, map[string][]string{"a": nil, "b": nil}},
		{15 * time.Second, 2, map[string][]string{"a": nil, "b": {"y"}}},
		{15 * time.Second, math.NaN(), map[string][]string{"a": nil, "b": {"y"}}},
		{15 * time.Second, math.NaN(), map[string][]string{"a": nil, "b": nil}},
		{61 * time.Second, math.NaN(), map[string][]string{"a": {"x"}, "b": {"x", "y"}}},
		{0, 3, map[string][]string{}}, // refused, as there are samples of this moment
	} {
		now = now.Add(step.after)
		clear(told)
		s.Append([]*model.Sample{one(now, 1, "x", "target", "b"), one(now, step.b, "y", "target", "b"),
			one(now, 1, "x", "target", "a"), one(now, 1, "x")})
		if d := cmp.Diff(step.want, told); d != "" {
			t.Errorf("%s later, %v: %s", step.after, step.b, d)
		}
	}
}

func TestReadersAndWritersDoNotDisturbEachOther(t *testing.T) {
	s := New(Options{MaxSamples: 8, MaxSeries: 64})
	e := engine()
	base := time.Now().Add(-time.Minute)
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := range 300 {
				s.Append([]*model.Sample{one(base.Add(time.Duration(i)*time.Millisecond), 1,
					"x", "target", strconv.Itoa(w))})
				if i%100 == 0 {
					s.Forget("0")
				}
			}
		})
		wg.Go(func() {
			for range 100 {
				points := vector(t, e, s, `sum by (target) (avg_over_time(x[5m]))`, time.Now())
				if slices.ContainsFunc(points, func(p promql.Sample) bool { return p.F != 1 }) {
					t.Errorf("read %v", points)
				}
			}
		})
	}
	wg.Wait()
}

func TestLabelsAreListed(t *testing.T) {
	now := start
	s := storeAt(&now, Options{})
	s.Append([]*model.Sample{one(now, 1, "x", "target", "b"), one(now, 1, "x", "target", "a", "check", "db")})
	q, err := s.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	values, _, _ := q.LabelValues(t.Context(), "target", nil)
	names, _, _ := q.LabelNames(t.Context(), nil)
	if d := cmp.Diff([][]string{{"a", "b"}, {"__name__", "check", "target"}}, [][]string{values, names}); d != "" {
		t.Error(d)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, series := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("series=%d", series), func(b *testing.B) {
			now := start
			s := storeAt(&now, Options{})
			batch := make([]*model.Sample, series)
			for i := range batch {
				batch[i] = one(now, 1, "watchdog_sla_requests", "target", "t"+strconv.Itoa(i),
					"probe", "sla", "namespace", "prod")
			}
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(15 * time.Second)
				for _, p := range batch {
					p.Timestamp += 15_000
				}
				s.Append(batch)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(series), "ns/sample")
		})
	}
}

// TestAChunkedSeriesReadsAsAPlainOne compares what comes out between any two
// times, by Next and by Seek, with a slice of what went in.
func TestAChunkedSeriesReadsAsAPlainOne(t *testing.T) {
	now := start
	s := storeAt(&now, Options{})
	type point struct {
		At    time.Time
		Value float64
	}
	var in []point
	for i := range 3*chunkSamples + 7 {
		now = now.Add(time.Duration(1+i%3) * time.Second)
		in = append(in, point{now, float64(i * i % 17)})
		s.Append([]*model.Sample{one(now, in[i].Value, "x", "target", "a")})
	}
	name := labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "x")
	for from := 0; from < len(in); from += 29 {
		for to := from; to < len(in); to += 31 {
			q, err := s.Querier(in[from].At.UnixMilli(), in[to].At.UnixMilli())
			if err != nil {
				t.Fatal(err)
			}
			set := q.Select(t.Context(), false, nil, name)
			if !set.Next() {
				t.Fatalf("from %d to %d: no series", from, to)
			}
			var got []float64
			it := set.At().Iterator(nil)
			for it.Next() != chunkenc.ValNone {
				_, v := it.At()
				got = append(got, v)
			}
			var want []float64
			for _, p := range in[from : to+1] {
				want = append(want, p.Value)
			}
			if d := cmp.Diff(want, got); d != "" || it.Err() != nil {
				t.Fatalf("from %d to %d: %v\n%s", from, to, it.Err(), d)
			}
			for at := from; at <= to; at += 50 {
				it = set.At().Iterator(it)
				if it.Seek(in[at].At.UnixMilli()) == chunkenc.ValNone || it.AtT() != in[at].At.UnixMilli() {
					t.Fatalf("from %d to %d: seek %d", from, to, at)
				}
				if more := it.Next() != chunkenc.ValNone; more != (at < to) {
					t.Fatalf("from %d to %d: after seek %d: more %t", from, to, at, more)
				}
			}
			if it = set.At().Iterator(it); it.Seek(in[to].At.UnixMilli()+1) != chunkenc.ValNone {
				t.Fatalf("from %d to %d: seek beyond the end found something", from, to)
			}
		}
	}
}
