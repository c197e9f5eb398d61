package rules

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
)

// observed is verdict and reason of each target of r at the given moment.
func observed(t *testing.T, q promql.QueryFunc, r Threshold, at time.Time) map[string]string {
	t.Helper()
	c, err := compile(r)
	if err != nil {
		t.Fatal(err)
	}
	seen, _ := c.observe(t.Context(), q, c.index, at)
	got := map[string]string{}
	for target, i := range c.index {
		s := Eval(&c.Threshold, State{}, seen[i], at)
		got[target] = string(s.Verdict) + ": " + c.Reason(s)
	}
	return got
}

// F-62, F-63 and the floors: one row per kind of input, through both sources.
func TestOnlyAFreshFiniteSingleValueAboveItsFloorIsJudged(t *testing.T) {
	now := start.Add(10 * time.Minute)
	s := storeAt(&now, storage.Options{})
	put := func(age time.Duration, v float64, name string, pairs ...string) {
		s.Append([]*model.Sample{one(now.Add(-age), v, name, pairs...)})
	}
	for target, v := range map[string]float64{"good": .3, "bad": .9, "nan": math.NaN(), "inf": math.Inf(1),
		"minus": math.Inf(-1), "quiet": .9, "unfloored": .9, "nanfloor": .9} {
		put(time.Second, v, "p95", "target", target)
	}
	for target, v := range map[string]float64{"good": 20, "bad": 20, "nan": 20, "inf": 20, "minus": 20, "two": 20,
		"old": 20, "quiet": .3, "nanfloor": math.NaN()} {
		put(time.Second, v, "rps", "target", target)
	}
	put(time.Second, .3, "p95", "target", "two", "probe", "1")
	put(time.Second, .9, "p95", "target", "two", "probe", "2")
	put(3*time.Minute, .9, "p95", "target", "old")
	put(time.Second, .9, "p95", "target", "stranger")
	r := latency()
	r.Expr, r.Staleness = "p95", 2*time.Minute
	r.Floor = []FloorSpec{{Expr: "rps", Min: 1, Unit: "rps", Text: "request rate"}}
	r.Targets = []string{"good", "bad", "nan", "inf", "minus", "two", "old", "quiet", "unfloored", "nanfloor",
		"missing"}
	want := map[string]string{
		"good":      "OK: p95 300ms, not > 500ms",
		"bad":       "BREACH: p95 900ms > 500ms for 0s",
		"nan":       "ERROR: p95: the value is NaN",
		"inf":       "ERROR: p95: the value is +Inf",
		"minus":     "ERROR: p95: the value is -Inf",
		"two":       "ERROR: p95: 2 series for this target, expected one",
		"old":       "STALE: p95: newest sample is 3m0s old, limit 2m0s",
		"quiet":     "NO_DATA: 0.3 rps is below the floor of 1 rps",
		"unfloored": "NO_DATA: request rate: no series for this target, so the floor cannot be checked",
		"nanfloor":  "ERROR: request rate: the value is NaN",
		"missing":   "NO_DATA: p95: no series for this target",
	}
	local := promql.NewLocal(s, promql.LocalOptions{})
	if d := cmp.Diff(want, observed(t, local, r, now)); d != "" {
		t.Errorf("local: %s", d)
	}
	remote := remoteOf(t, promql.RemoteOptions{URL: prometheusOver(t, local).URL})
	if d := cmp.Diff(want, observed(t, remote, r, now)); d != "" {
		t.Errorf("remote: %s", d)
	}
}

func TestAWindowDoesNotHideThatSamplesStopped(t *testing.T) {
	now := start
	s := storeAt(&now, storage.Options{})
	for range 20 {
		now = now.Add(15 * time.Second)
		s.Append([]*model.Sample{one(now, .9, "p95", "target", "a")})
	}
	r := latency()
	r.Expr, r.Staleness = "avg_over_time(p95[$window])", 45*time.Second
	q := promql.NewLocal(s, promql.LocalOptions{Lookback: 2 * time.Minute})
	for after, want := range map[time.Duration]string{0: "BREACH", 45 * time.Second: "BREACH",
		46 * time.Second: "STALE", 3 * time.Minute: "STALE", 6 * time.Minute: "NO_DATA"} {
		if got := observed(t, q, r, now.Add(after))["a"]; !strings.HasPrefix(got, want) {
			t.Errorf("after %s: %s, want %s", after, got, want)
		}
	}
}

func TestASilentProbeIsNotCountedAsHealthy(t *testing.T) {
	now := start.Add(10 * time.Minute)
	s := storeAt(&now, storage.Options{})
	s.Append([]*model.Sample{
		one(now, 1, "watchdog_probe_healthy", "target", "a", "probe", "http"),
		one(now.Add(-3*time.Minute), 1, "watchdog_probe_healthy", "target", "a", "probe", "health"),
	})
	b, _ := LookupBuiltin("health")
	r, err := b.Apply(Threshold{Name: "health", Targets: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := observed(t, promql.NewLocal(s, promql.LocalOptions{}), r, now)["a"]; !strings.HasPrefix(got, "STALE") {
		t.Errorf("got %s, want STALE", got)
	}
}

func TestAHistogramAndASeriesWithoutTargetAreSaidSo(t *testing.T) {
	r := latency()
	histogram := func(_ context.Context, expr string, _ time.Time) ([]promql.Point, error) {
		return []promql.Point{{Labels: labels.FromStrings("target", "a"), Value: .1, Histogram: true}}, nil
	}
	if got := observed(t, histogram, r, start)["a"]; !strings.HasPrefix(got, "ERROR: p95: the value is a histogram") {
		t.Error(got)
	}
	nameless := func(context.Context, string, time.Time) ([]promql.Point, error) {
		return []promql.Point{{Value: .1}}, nil
	}
	if got := observed(t, nameless, r, start)["a"]; !strings.HasPrefix(got,
		"NO_DATA: p95: the expression gives 1 series without the label target") {
		t.Error(got)
	}
	failing := func(context.Context, string, time.Time) ([]promql.Point, error) { return nil, errors.New("refused") }
	if got := observed(t, failing, r, start)["a"]; got != "ERROR: refused" {
		t.Error(got)
	}
	ahead := func(_ context.Context, expr string, at time.Time) ([]promql.Point, error) {
		return []promql.Point{{Labels: labels.FromStrings("target", "a"), Value: float64(at.Unix() + 60)}}, nil
	}
	if got := observed(t, ahead, r, start)["a"]; got != "ERROR: p95: newest sample is 1m0s ahead of the clock" {
		t.Error(got)
	}
}

// The table's expressions over the probes' samples, good and bad.
func TestBuiltinsJudgeTheProbesSamples(t *testing.T) {
	now := start.Add(10 * time.Minute)
	type in struct {
		metric string
		good   float64
		bad    float64
		labels []string
		bound  float64
	}
	rows := map[string]in{
		"response_time":       {"watchdog_sla_response_time_seconds", .2, .9, []string{"quantile", "0.95"}, .5},
		"error_rate":          {"watchdog_sla_error_ratio", .0001, .01, nil, .001},
		"error_rate_critical": {"watchdog_sla_error_ratio", .01, .2, nil, .05},
		"no_agents":           {"watchdog_agents_active", 1, 0, nil, 1},
		"rollout_stalled":     {"watchdog_workload_rollout_stalled", 0, 1, nil, 0},
		"cpu":                 {"watchdog_workload_cpu_usage_ratio", .3, .9, nil, .8},
		"memory":              {"watchdog_workload_memory_usage_ratio", .3, .9, nil, .85},
		"active_agents":       {"watchdog_agents_active", 3, 1, nil, 2},
		"health":              {"watchdog_probe_healthy", 1, 0, []string{"probe", "health"}, 0},
		"ready_replicas":      {"watchdog_workload_ready_ratio", 1, .2, nil, .5},
		"crash_looping":       {"watchdog_workload_crash_looping_pods", 0, 2, nil, 0},
		"scaled_to_zero":      {"watchdog_workload_scaled_to_zero", 0, 1, nil, 0},
		"dependency":          {"watchdog_dependency_up", 1, 0, []string{"check", "database"}, 0},
		"unseen":              {"watchdog_probe_unknown", 0, 1, []string{"probe", "front"}, 0},
	}
	for _, metric := range BuiltinMetrics() {
		row, ok := rows[metric]
		b, _ := LookupBuiltin(metric)
		if metric == "system_down" || metric == "restarts" {
			continue // of several series, and of a range: TestTheSystemIsDown_X94, TestRepeatedKillsAreOneAlert_X31
		}
		if !ok {
			if _, err := b.Apply(Threshold{}); err == nil {
				t.Errorf("%s: no row in this table, and no error", metric)
			}
			continue
		}
		s := storeAt(&now, storage.Options{})
		for target, v := range map[string]float64{"good": row.good, "bad": row.bad, "nan": math.NaN()} {
			s.Append([]*model.Sample{
				one(now, v, row.metric, append([]string{"target", target}, row.labels...)...),
				one(now, 100, "watchdog_sla_requests", "target", target),
				one(now, 50, "watchdog_sla_window_seconds", "target", target),
			})
		}
		r, err := b.Apply(Threshold{Name: metric, Bound: row.bound, Clear: row.bound,
			Targets: []string{"good", "bad", "nan", "none"},
			Floor:   []FloorSpec{MinRate(2), MinRequests(600, 5*time.Minute)}})
		if err != nil {
			t.Fatal(err)
		}
		got := observed(t, promql.NewLocal(s, promql.LocalOptions{}), r, now)
		for target, want := range map[string]string{"good": "OK", "bad": "BREACH", "nan": "ERROR", "none": "NO_DATA"} {
			if !strings.HasPrefix(got[target], want+":") {
				t.Errorf("%s of %s: %s, want %s", metric, target, got[target], want)
			}
		}
		r.Floor = []FloorSpec{MinRequests(601, 5*time.Minute)}
		if got := observed(t, promql.NewLocal(s, promql.LocalOptions{}), r,
			now)["bad"]; got != "NO_DATA: 600 requests in 5m is below the floor of 601 requests in 5m" {
			t.Errorf("%s under its floor: %s", metric, got)
		}
	}
}

func TestRulesThatCannotBeJudgedDoNotLoad(t *testing.T) {
	for want, change := range map[string]func(*Threshold){
		"name is missing":                func(r *Threshold) { r.Name = "" },
		"parse error":                    func(r *Threshold) { r.Expr = "sum(" },
		"the result is a scalar":         func(r *Threshold) { r.Expr = "1" },
		"the result is a matrix":         func(r *Threshold) { r.Expr = "x[5m]" },
		"breaching side":                 func(r *Threshold) { r.Clear = .6 },
		"bound or clear bound":           func(r *Threshold) { r.Bound = math.NaN() },
		"durations must not be negative": func(r *Threshold) { r.For = -1 },
		`source "thanos" is neither`:     func(r *Threshold) { r.Source = "thanos" },
		"unknown function":               func(r *Threshold) { r.Floor = []FloorSpec{{Expr: "nope(x)"}} },
	} {
		r := latency()
		change(&r)
		if _, err := compile(r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

// Asking for some targets gives what asking for all gives.
func TestNarrowedQuestionsGiveTheSameAnswers(t *testing.T) {
	s, targets, now := filled(30)
	q := promql.NewLocal(s, promql.LocalOptions{})
	some := map[string]int{"t3": 0, "t17": 1}
	for _, r := range runbook(targets) {
		c, err := compile(r)
		if err != nil {
			t.Fatal(err)
		}
		if !c.narrowable {
			t.Errorf("%s is not narrowable", r.Name)
		}
		all, _ := c.observe(t.Context(), q, c.index, now)
		few, _ := c.observe(promql.ForTargets(t.Context(), slices.Collect(maps.Keys(some))), q, some, now)
		for target, i := range some {
			if a, b := all[c.index[target]], few[i]; a.Unknown != b.Unknown || a.Value != b.Value {
				t.Errorf("%s of %s: %+v among all, %+v alone", r.Name, target, a, b)
			}
		}
	}
}
