package rules

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
)

func builtin(t *testing.T, metric string, r Threshold) Threshold {
	t.Helper()
	b, ok := LookupBuiltin(metric)
	if !ok {
		t.Fatalf("there is no %s", metric)
	}
	r.Name = metric
	r, err := b.Apply(r)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// RUNBOOK-MAP 2.3: at least two vantages are bad, and no endpoint or no pod is ready.
func TestTheSystemIsDown_X94(t *testing.T) {
	now := start.Add(10 * time.Minute)
	s := storeAt(&now, storage.Options{})
	put := func(target string, healthy []float64, desired, ready, endpoints float64) {
		sample := func(v float64, name string, more ...string) {
			s.Append([]*model.Sample{one(now, v, name, append([]string{"target", target}, more...)...)})
		}
		for k, v := range healthy {
			sample(v, "watchdog_probe_healthy", "probe", string(rune('a'+k)))
		}
		sample(desired, "watchdog_workload_replicas_desired", "probe", "kubernetes")
		sample(ready, "watchdog_workload_replicas_ready", "probe", "kubernetes")
		if endpoints >= 0 {
			sample(endpoints, "watchdog_workload_endpoints_ready", "probe", "kubernetes")
		}
	}
	put("down", []float64{0, 0, 1}, 3, 0, 0)
	put("unreachable", []float64{0, 0}, 3, 3, 0)
	put("no-service", []float64{0, 0}, 3, 0, -1)
	put("serving", []float64{0, 0}, 3, 3, 3)
	put("one-probe", []float64{0, 1}, 3, 0, 0)
	put("well", []float64{1, 1}, 3, 3, 3)
	put("scaled-to-zero", []float64{0, 0}, 0, 0, 0)
	got := observed(t, promql.NewLocal(s, promql.LocalOptions{}),
		builtin(t, "system_down", Threshold{Targets: []string{"down",
			"unreachable", "no-service", "serving", "one-probe", "well", "scaled-to-zero"}}), now)
	for target, want := range map[string]string{"down": "BREACH", "unreachable": "BREACH", "no-service": "BREACH",
		"serving": "OK", "one-probe": "OK", "well": "OK", "scaled-to-zero": "OK"} {
		if !strings.HasPrefix(got[target], want+":") {
			t.Errorf("%s: %s, want %s", target, got[target], want)
		}
	}
}

func TestWhatAnExpressionLooksBackTo_A0(t *testing.T) {
	for expr, want := range map[string]time.Duration{
		`sum by (target) (1 - watchdog_probe_healthy)`: 0,
		`avg_over_time(x[5m])`:                         5 * time.Minute,
		`rate(x[2m] offset 1m) / rate(y[5m])`:          5 * time.Minute,
		`max_over_time(rate(x[1m])[10m:])`:             11 * time.Minute,
		`job:errors:rate5m > 1`:                        5 * time.Minute,
	} {
		tree, err := promql.NewParser().ParseExpr(expr)
		if err != nil {
			t.Fatal(err)
		}
		if got := promql.LooksBackTo(tree); got != want {
			t.Errorf("%s: %s, want %s", expr, got, want)
		}
	}
	c, err := compile(builtin(t, "error_rate", Threshold{Window: 2 * time.Minute, Staleness: 45 * time.Second,
		Targets: []string{"a"}}))
	if err != nil || c.cells[0].alert().Lookback != 2*time.Minute+45*time.Second {
		t.Errorf("%v, %v", err, c.cells[0].alert().Lookback)
	}
}
