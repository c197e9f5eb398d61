package rules

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
)

// runbook is the six thresholds of the runbook with their floors.
func runbook(targets []string) []Threshold {
	row := func(metric string, bound, clear float64, floor ...FloorSpec) Threshold {
		b, _ := LookupBuiltin(metric)
		r, err := b.Apply(Threshold{Name: metric, Severity: "P2", Bound: bound, Clear: clear, For: 5 * time.Minute,
			ClearFor: 10 * time.Minute, Targets: targets, Floor: floor})
		if err != nil {
			panic(err)
		}
		return r
	}
	return []Threshold{
		row("response_time", .5, .4, MinRate(1)),
		row("error_rate", .001, .0005, MinRequests(1000, 5*time.Minute)),
		row("cpu", .8, .65),
		row("memory", .85, .75),
		row("ready_replicas", .9, .9),
		row("active_agents", 2, 2),
	}
}

// filled returns a store with 10 minutes of samples of n targets and the time of
// the last one.
func filled(n int) (*storage.Store, []string, time.Time) {
	now := start
	s := storeAt(&now, storage.Options{})
	var targets []string
	var batch []*model.Sample
	for i := range n {
		target := "t" + strconv.Itoa(i)
		targets = append(targets, target)
		add := func(name string, v float64, pairs ...string) {
			batch = append(batch, one(now, v, name, append([]string{"target", target, "namespace", "prod"},
				pairs...)...))
		}
		add("watchdog_sla_response_time_seconds", .3, "quantile", "0.95")
		add("watchdog_sla_response_time_seconds", .4, "quantile", "0.99")
		add("watchdog_sla_error_ratio", .0001)
		add("watchdog_sla_requests", 6000)
		add("watchdog_sla_window_seconds", 60)
		add("watchdog_workload_cpu_usage_ratio", .4)
		add("watchdog_workload_memory_usage_ratio", .5)
		add("watchdog_workload_ready_ratio", 1)
		add("watchdog_agents_active", 3)
	}
	for range 40 {
		now = now.Add(15 * time.Second)
		for _, p := range batch {
			p.Timestamp += 15_000
		}
		s.Append(batch)
	}
	return s, targets, now
}

// judgeOver returns a manager of the runbook's thresholds over the store.
func judgeOver(tb testing.TB, s *storage.Store, targets []string) (*Manager, *source) {
	tb.Helper()
	j := newManager(tb, Options{Local: promql.NewLocal(s, promql.LocalOptions{})})
	if _, err := j.Update(Config{Thresholds: runbook(targets)}); err != nil {
		tb.Fatal(err)
	}
	return j, j.source(Local)
}

// BenchmarkThresholds is one full round over six thresholds.
func BenchmarkThresholds(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprintf("targets=%d", n), func(b *testing.B) {
			s, targets, now := filled(n)
			j, src := judgeOver(b, s, targets)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := j.evaluate(b.Context(), memoize(src.ask), j.of(Local), nil, now); err != nil {
					b.Fatal(err)
				}
				j.selfCheck(src, nil)
			}
			b.StopTimer()
			for _, a := range j.AlertsOf("t0") {
				if a.Verdict != OK {
					b.Fatalf("%s is %s: %s", a.Rule, a.Verdict, a.Reason)
				}
			}
		})
	}
}

// BenchmarkAppended is the evaluation of some targets among many, as new
// samples cause it.
func BenchmarkAppended(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		s, targets, now := filled(n)
		j, src := judgeOver(b, s, targets)
		for _, some := range []int{1, 30} {
			b.Run(fmt.Sprintf("targets=%d/of=%d", some, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := j.evaluate(b.Context(), memoize(src.ask), j.of(Local), targets[:some],
						now); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkGroup compares one evaluation of an alerting rule by the loop of the groups
// with the bare engine on the same expression, in turns. The goal is a ratio of 1.1.
func BenchmarkGroup(b *testing.B) {
	for _, c := range []struct {
		name  string
		bound string
	}{{"quiet", "2"}, {"a-tenth-fires", "0.9"}} {
		b.Run(c.name, func(b *testing.B) {
			now := start
			s := storage.New(storage.Options{Now: func() time.Time { return now }})
			for ; now.Before(start.Add(10 * time.Minute)); now = now.Add(15 * time.Second) {
				var all []*model.Sample
				for k := range 1000 {
					all = append(all, &model.Sample{Metric: model.Metric{"__name__": "load",
						"target": model.LabelValue(fmt.Sprint("t", k))}, Value: model.SampleValue(float64(k%10+1) / 10),
						Timestamp: model.TimeFromUnixNano(now.UnixNano())})
				}
				s.Append(all)
			}
			expr := "avg by (target) (avg_over_time(load[5m])) > " + c.bound
			ask := promql.NewLocal(s, promql.LocalOptions{})
			g, err := NewManager(Options{Local: ask, Target: func(l labels.Labels) (string,
				bool) {
				return l.Get("target"), true
			}, Now: func() time.Time { return now }})
			if err == nil {
				_, err = g.Update(Config{Groups: []Group{{Name: "g", File: "f", Source: Local,
					Rules: []Rule{{Alert: "A", Expr: expr}}}}})
			}
			if err != nil {
				b.Fatal(err)
			}
			var bare, loop time.Duration
			for b.Loop() {
				now = now.Add(time.Millisecond)
				t := time.Now()
				if _, err := ask(b.Context(), expr, now); err != nil {
					b.Fatal(err)
				}
				bare += time.Since(t)
				t = time.Now()
				g.EvalGroups(b.Context(), now)
				loop += time.Since(t)
			}
			b.ReportMetric(float64(bare.Microseconds())/float64(b.N)/1000, "bare-ms")
			b.ReportMetric(float64(loop.Microseconds())/float64(b.N)/1000, "group-ms")
			b.ReportMetric(float64(loop)/float64(bare), "ratio")
		})
	}
}
