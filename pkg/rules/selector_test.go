package rules

import (
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/promql"
)

func TestTheBuiltinExpressionsAreLocalToATarget(t *testing.T) {
	for _, m := range BuiltinMetrics() {
		b, _ := LookupBuiltin(m)
		r := Threshold{Expr: b.Expr}.withDefaults()
		if b.Expr != "" && !promql.ByTarget(treeOf(t, r.expand(r.Expr))) {
			t.Errorf("%s cannot be narrowed", m)
		}
	}
}

func TestReachIsHowFarBackARuleLooks(t *testing.T) {
	for expr, want := range map[string]time.Duration{
		`x`:            5 * time.Minute,
		`x offset 1h`:  65 * time.Minute,
		`rate(x[30m])`: 35 * time.Minute,
		`x > on () max_over_time(rate(x[10m] offset 1h)[2h:1m])`: 195 * time.Minute,
		`avg_over_time(x[$window])`:                              12 * time.Minute,
	} {
		if got := (Threshold{Expr: "vector(1)", Window: 7 * time.Minute,
			Floor: []FloorSpec{{Expr: expr}}}).Reach(); got != want {
			t.Errorf("%s: %s, want %s", expr, got, want)
		}
	}
}

func TestASpanIsFollowedThroughARecordedSeries_X14(t *testing.T) {
	b := newBench(t, `groups: [{name: g, rules: [{record: "job:errors:rate1h", expr: "sum(rate(errors[1h]))"}, `+
		`{alert: A, expr: "job:errors:rate1h > 1", labels: {target: a}}]}]`)
	if got := b.groups.groups[0].rules[1].span; got != time.Hour {
		t.Errorf("through a recorded series: %s", got)
	}
}
