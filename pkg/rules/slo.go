package rules

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/promql"
)

// SLO is a service level objective: which share of events must be good over a
// window. It becomes groups of ordinary rules, see Groups.
//
// The burn rates and their windows are those of the Site Reliability Workbook,
// chapter 5: a budget that burns 14.4 times too fast is spent in two days.
type SLO struct {
	Name string
	// Objective is the share of good events, for instance 0.9995.
	Objective float64
	// Window is the time over which it is promised. Default 30d.
	Window time.Duration
	// Bad and All give, per label target, how many events of the last minute were
	// bad and how many there were. Time counts as one event each minute.
	Bad, All string
	// MinEvents is how many events the short window of an alert must hold.
	MinEvents float64
	// Targets limits the objective to some targets, of source Local; empty: all.
	Targets []string
	Source  string
	File    string
}

// minute is how often events are counted; slow is how often what looks back for
// days is judged.
const (
	minute = time.Minute
	slow   = 5 * minute
)

// Names of the series that an SLO is made of, all with the labels slo and target.
const (
	SLOBad    = "slo:events_bad:count1m"
	SLOAll    = "slo:events:count1m"
	SLOBudget = "slo:error_budget_remaining:ratio"
	// SLOExcluded is 1, per label target, while the target's time does not count.
	SLOExcluded = "watchdog_maintenance_excluded"
)

// only limits an expression to the objective's targets.
func (s SLO) only(expr string) string {
	if len(s.Targets) == 0 {
		return expr
	}
	narrowed, err := promql.Narrow(expr, s.Targets)
	if err != nil {
		return expr // Check has said so
	}
	return narrowed
}

// counted leaves out the events of minutes of which some part lay in a maintenance
// window that is excluded. A server that has no such series leaves out nothing. A minute
// in which either number is none (a quantile of no requests is NaN) is in neither sum: one
// such minute would make a sum NaN for as long as its window reaches (X15).
func (s SLO) counted(expr string) string {
	return fmt.Sprintf("(%s) unless on (target) (max by (target) (max_over_time(%s[1m])) == 1) unless on (target) "+
		"(%s) unless on (target) (%s)", expr, SLOExcluded, noNumber(s.only(s.All)), noNumber(s.only(s.Bad)))
}

// noNumber is PromQL for the series of an expression whose value is NaN or infinite: only
// a number times zero is zero.
func noNumber(expr string) string { return fmt.Sprintf("0 * (%s) != 0", expr) }

// Ratio is PromQL for the share of bad events over a window, per target.
func (s SLO) Ratio(over time.Duration) string {
	return fmt.Sprintf("(%s / %s)", s.sum(SLOBad, s.Bad, over), s.sum(SLOAll, s.All, over))
}

// Remaining is PromQL for the share of the error budget that is left of a window;
// below 0, more was spent than there was.
func (s SLO) Remaining(over time.Duration) string {
	return fmt.Sprintf("1 - %s / %s", s.Ratio(over), strconv.FormatFloat(1-s.Objective, 'g', 6, 64))
}

// sum is PromQL for the number of events over a window.
func (s SLO) sum(recorded, expr string, over time.Duration) string {
	if s.Source == Prometheus {
		return fmt.Sprintf("sum by (target) (sum_over_time((%s)[%s:1m]))", s.counted(expr), text(over))
	}
	return fmt.Sprintf("sum by (target) (sum_over_time(%s{slo=%q}[%s]))", recorded, s.Name, text(over))
}

// AllOver and BadOver are PromQL for how many events there were in a window, per
// target, and how many of them were bad.
func (s SLO) AllOver(window time.Duration) string { return s.sum(SLOAll, s.All, window) }

// BadOver is described with AllOver.
func (s SLO) BadOver(window time.Duration) string { return s.sum(SLOBad, s.Bad, window) }

// Raw is the objective for a server that has the samples and not the recorded
// events.
func (s SLO) Raw() SLO {
	s.All, s.Bad, s.Source = s.only(s.All), s.only(s.Bad), Prometheus
	return s
}

// Minutes is PromQL for how many minutes of a window were counted, per target.
func (s SLO) Minutes(over time.Duration) string {
	if s.Source == Prometheus {
		return fmt.Sprintf("max by (target) (count_over_time((%s)[%s:1m]))", s.counted(s.All), text(over))
	}
	return fmt.Sprintf("max by (target) (count_over_time(%s{slo=%q}[%s]))", SLOAll, s.Name, text(over))
}

func text(d time.Duration) string { return model.Duration(d).String() }

// percent prints a share with as many digits as it has.
func percent(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(v*100, 'f', 6, 64), "0"), ".") + "%"
}

// Check returns why the objective cannot be judged, or nil.
func (s SLO) Check() error {
	for what, expr := range map[string]string{"bad": s.Bad, "all": s.All} {
		tree, err := promql.NewParser().ParseExpr(expr)
		if err == nil {
			err = experimental(tree, s.Source)
		}
		if err != nil {
			return fmt.Errorf("slo %q: %s: %w", s.Name, what, err)
		}
	}
	if s.Objective <= 0 || s.Objective >= 1 {
		return fmt.Errorf("slo %q: invalid objective %s: it must be above 0%% and below 100%%", s.Name,
			percent(s.Objective))
	}
	return nil
}

// BuiltinSLO returns Bad and All of a named indicator. The application's own
// count of requests weighs its share of errors; availability is judged by time.
//
//   - availability: the share of time in which all probes of the target were well
//   - latency: the share of time in which the 95th percentile was below the bound
//   - errors: the share of requests that did not fail
func BuiltinSLO(metric string, bound time.Duration) (bad, all string, ok bool) {
	const requests = `sum by (target) (avg_over_time(watchdog_sla_requests[1m]) / avg_over_time(watchdog_sla_window_seconds[1m])) * 60`
	switch metric {
	case "availability":
		well := `min by (target) (avg_over_time(watchdog_probe_healthy[1m]))`
		return "1 - " + well, "0 * " + well + " + 1", true
	case "latency":
		p95 := `max by (target) (avg_over_time(watchdog_sla_response_time_seconds{quantile="0.95"}[1m]))`
		return p95 + " > bool " + strconv.FormatFloat(bound.Seconds(), 'g', -1, 64), "0 * " + p95 + " + 1", true
	case "errors":
		return `max by (target) (avg_over_time(watchdog_sla_error_ratio[1m])) * ` + requests, requests, true
	}
	return "", "", false
}

// SelfReport returns the group that compares what applications say of themselves
// with what watchdog measures. tolerance is a share.
func SelfReport(file string, tolerance float64) Group {
	t := strconv.FormatFloat(tolerance, 'g', -1, 64)
	rule := func(what, expr, text string) Rule {
		return Rule{
			Alert: "SelfReportDiffers", Expr: expr, For: 10 * minute,
			Labels:      labels.FromStrings("severity", "P3", "what", what),
			Annotations: labels.FromStrings("summary", text),
		}
	}
	return Group{Name: "self report", File: file, Source: Local, Interval: minute, Rules: []Rule{
		rule("uptime", `abs(min by (target) (watchdog_sla_uptime_ratio) - min by (target) `+
			`(avg_over_time(watchdog_probe_healthy[5m]))) > `+t+` and on (target) min by (target) `+
			`(watchdog_sla_window_seconds) <= 600`,
			`the uptime reported by the application differs from watchdog's probes by `+
				`{{ $value | humanizePercentage }}`),
		rule("errors", `max by (target) (1 - avg_over_time(probe_success[5m])) - on (target) max by (target) `+
			`(avg_over_time(watchdog_sla_error_ratio[5m])) > `+t,
			`the failure ratio of watchdog's probes exceeds the error ratio reported by the application by `+
				`{{ $value | humanizePercentage }}`),
		rule("latency", `min by (target) (quantile_over_time(0.5, probe_duration_seconds[5m])) > on (target) max by `+
			`(target) (watchdog_sla_response_time_seconds{quantile="0.95"}) + 0.25`,
			`the median duration of watchdog's probes ({{ $value | humanizeDuration }}) exceeds the 95th percentile `+
				`reported by the application`),
	}}
}
