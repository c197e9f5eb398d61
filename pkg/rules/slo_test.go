package rules

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
)

// promise is a bench with objectives; a minute is one step.
func promise(t *testing.T, all ...SLO) *bench {
	t.Helper()
	b := newBench(t, "groups: []")
	b.store.Retain(time.Hour, map[string]time.Duration{SLOBad: 30 * 24 * time.Hour, SLOAll: 30 * 24 * time.Hour})
	var groups []Group
	for _, s := range all {
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		groups = append(groups, s.Groups()...)
	}
	b.use(groups)
	return b
}

// minutes feeds an application's account for some minutes: requests a minute and
// the share of them that fails.
func (b *bench) minutes(n int, requests, failing float64) {
	for range n {
		b.now = b.now.Add(45 * time.Second) // a step adds 15s
		b.step(
			one(b.now, requests, "watchdog_sla_requests", "target", "shop"),
			one(b.now, 60, "watchdog_sla_window_seconds", "target", "shop"),
			one(b.now, failing, "watchdog_sla_error_ratio", "target", "shop"),
			one(b.now, 1, "watchdog_probe_healthy", "target", "shop"),
			one(b.now, 0.1, "watchdog_sla_response_time_seconds", "target", "shop", "quantile", "0.95"),
		)
	}
}

func (b *bench) value(expr string) float64 {
	b.t.Helper()
	points, err := promql.NewLocal(b.store, promql.LocalOptions{})(b.t.Context(), expr, b.now)
	if err != nil || len(points) != 1 {
		b.t.Fatalf("%s gives %v, %v", expr, points, err)
	}
	return points[0].Value
}

func errorsSLO() SLO {
	bad, all, _ := BuiltinSLO("errors", 0)
	return SLO{Name: "errors", Objective: 0.999, Window: 30 * 24 * time.Hour, Bad: bad, All: all, MinEvents: 100,
		Source: Local, File: "watchdog.yaml"}
}

// 0.1 % of errors are allowed. 2 % burn the budget 20 times too fast: in two
// hours a twelfth of a day's 30th is gone.
func TestABudgetThatBurnsFastIsToldInMinutes(t *testing.T) {
	b := promise(t, errorsSLO())
	b.minutes(120, 6000, 0)
	if all := b.groups.Alerts(); len(all) != 0 {
		t.Fatalf("alerts without an error: %+v", all)
	}
	b.minutes(1, 6000, 0.02)
	for n := 1; ; n++ {
		if all := b.groups.AlertsOf("shop"); len(all) > 0 && all[0].State == Firing && all[0].Labels["window"] == "1h" {
			if n < 40 || n > 60 {
				t.Errorf("2%% of errors fire after %d minutes; 14.4 times the budget over an hour are reached after 44",
					n)
			}
			a := all[0]
			if a.Rule != BurnAlert || a.Labels["severity"] != "P1" || a.Labels["slo"] != "errors" ||
				a.Labels["window"] != "1h" || !strings.Contains(a.Reason,
				"errors of shop burns its error budget more than 14.4 times too fast") {
				t.Errorf("%+v", a)
			}
			break
		}
		if n > 100 {
			t.Fatal("nothing fires")
		}
		b.minutes(1, 6000, 0.02)
	}
	// The short window ends it soon after the errors end.
	b.minutes(8, 6000, 0)
	if a := b.groups.AlertsOf("shop")[0]; a.State != Inactive || a.Verdict != OK {
		t.Errorf("8 minutes after the errors: %+v", a)
	}
}

func TestAHandfulOfRequestsBurnsNoBudget(t *testing.T) {
	b := promise(t, errorsSLO())
	b.minutes(120, 10, 0.5)
	if all := b.groups.Alerts(); len(all) != 0 {
		t.Errorf("50 requests in 5 minutes: %+v", all)
	}
}

func TestTheBudgetThatIsLeft(t *testing.T) {
	b := promise(t, errorsSLO())
	b.minutes(60, 1000, 0)
	b.minutes(60, 1000, 0.001)
	b.minutes(5, 1000, 0)
	// Half of the requests failed at the rate that is allowed for all.
	if v := b.value(SLOBudget); math.Abs(v-0.5) > 0.05 {
		t.Errorf("%v of the budget is left, want about 0.5", v)
	}
}

func TestABudgetsPastOutlivesARestart(t *testing.T) {
	b := promise(t, errorsSLO())
	b.minutes(120, 1000, 0.001)
	before := b.value(`sum_over_time(` + SLOBad + `[2h])`)
	var file bytes.Buffer
	if err := b.store.Dump(&file); err != nil {
		t.Fatal(err)
	}
	next := promise(t, errorsSLO())
	next.now = b.now
	if err := next.store.Load(&file); err != nil {
		t.Fatal(err)
	}
	if after := next.value(`sum_over_time(` + SLOBad + `[2h])`); after != before || after == 0 {
		t.Errorf("%v bad events after the restart, %v before", after, before)
	}
	if next.store.Len() != 2 {
		t.Errorf("%d series were taken up, want the two of the objective", next.store.Len())
	}
}

func TestADamagedFileOfEventsIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON": "x", "no chunk": `{"metric":{"__name__":"x"},"chunks":["AA=="]}`,
	} {
		if err := storage.New(storage.Options{}).Load(strings.NewReader(text)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestAvailabilityAndLatencyCountTime(t *testing.T) {
	bad, all, _ := BuiltinSLO("availability", 0)
	late, every, _ := BuiltinSLO("latency", 500*time.Millisecond)
	b := promise(t, SLO{Name: "up", Objective: 0.9995, Window: 30 * 24 * time.Hour, Bad: bad, All: all, Source: Local},
		SLO{Name: "fast", Objective: 0.99, Window: 30 * 24 * time.Hour, Bad: late, All: every, Source: Local})
	b.minutes(10, 1000, 0)
	for range 2 {
		b.now = b.now.Add(45 * time.Second)
		b.step(one(b.now, 0, "watchdog_probe_healthy", "target", "shop"),
			one(b.now, 0.9, "watchdog_sla_response_time_seconds", "target", "shop", "quantile", "0.95"))
	}
	for _, slo := range []string{"up", "fast"} {
		if all, bad := b.value(`sum_over_time(`+SLOAll+`{slo="`+slo+`"}[1h])`),
			b.value(`sum_over_time(`+SLOBad+`{slo="`+slo+`"}[1h])`); all != 12 || bad != 2 {
			t.Errorf("%s: %v of %v minutes bad, want 2 of 12", slo, bad, all)
		}
	}
}

// An application that says that all is well while watchdog sees it fail.
func TestASelfReportThatDiffersIsAnAlert(t *testing.T) {
	b := newBench(t, "groups: []")
	b.use([]Group{SelfReport("watchdog.yaml", 0.05)})
	step := func(uptime, healthy float64) {
		b.now = b.now.Add(45 * time.Second)
		b.step(one(b.now, uptime, "watchdog_sla_uptime_ratio", "target", "shop"),
			one(b.now, 60, "watchdog_sla_window_seconds", "target", "shop"),
			one(b.now, healthy, "watchdog_probe_healthy", "target", "shop"))
	}
	for range 30 {
		step(1, 1)
	}
	if all := b.groups.Alerts(); len(all) != 0 {
		t.Fatalf("both say that all is well: %+v", all)
	}
	for range 17 {
		step(1, 0)
	}
	a := b.want("shop", "SelfReportDiffers", Firing, Breach)
	if a.Labels["what"] != "uptime" || a.Labels["severity"] != "P3" {
		t.Errorf("%+v", a)
	}
}

// Ten minutes of complete failure in a maintenance window whose time is excluded
// spend nothing; what follows does, from the first minute on that has no part of it.
func TestTheTimeOfAMaintenanceWindowSpendsNoBudget(t *testing.T) {
	b := promise(t, errorsSLO())
	excluded := func(n int, value, failing float64) {
		for range n {
			for range 3 { // watchdog says it more often than events are counted
				b.step(one(b.now, value, SLOExcluded, "target", "shop"))
			}
			b.step(one(b.now, value, SLOExcluded, "target", "shop"),
				one(b.now, 1000, "watchdog_sla_requests", "target", "shop"),
				one(b.now, 60, "watchdog_sla_window_seconds", "target", "shop"),
				one(b.now, failing, "watchdog_sla_error_ratio", "target", "shop"))
		}
	}
	b.minutes(60, 1000, 0)
	events, spent := b.value(`sum_over_time(`+SLOAll+`[3h])`), b.value(`sum_over_time(`+SLOBad+`[3h])`)
	excluded(10, 1, 1)
	if more, worse := b.value(`sum_over_time(`+SLOAll+`[3h])`)-events,
		b.value(`sum_over_time(`+SLOBad+`[3h])`)-spent; more > 1000 || worse > 0 {
		t.Errorf("%v events counted in the window, %v of them bad", more, worse)
	}
	if v := b.value(SLOBudget); v != 1 {
		t.Errorf("%v of the budget is left after the window", v)
	}
	// Each of these rounds counts a minute: of 20, those of the first minute are not counted.
	excluded(5, 0, 1)
	if worse := b.value(`sum_over_time(`+SLOBad+`[3h])`) - spent; math.Round(worse) != 17000 {
		t.Errorf("%v bad events counted in the 5 minutes after the window, want 17000", worse)
	}
}
