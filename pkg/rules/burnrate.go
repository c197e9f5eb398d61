package rules

import (
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// BurnAlert is the name of the alerts that SLOs raise.
const BurnAlert = "ErrorBudgetBurn"

// burn is one pair of windows: the budget burns so many times too fast over
// both, the long one to be sure and the short one to end soon.
type burn struct {
	rate        float64
	long, short time.Duration
	severity    string
}

var burns = []burn{
	{14.4, time.Hour, 5 * time.Minute, "P1"},
	{6, 6 * time.Hour, 30 * time.Minute, "P2"},
	{1, 3 * 24 * time.Hour, 6 * time.Hour, "P3"},
}

// Groups returns the rules of the objective: events are recorded each minute, the
// budget that is left, and an alert for each pair of windows. Over a Prometheus
// source nothing can be recorded, so the alerts ask for the events themselves.
func (s SLO) Groups() []Group {
	fast := Group{Name: "slo " + s.Name, File: s.File, Source: s.Source, Interval: minute}
	days := Group{Name: "slo " + s.Name + " over days", File: s.File, Source: s.Source, Interval: slow}
	if s.Source != Prometheus {
		own := labels.FromStrings("slo", s.Name)
		fast.Rules = []Rule{{Record: SLOAll, Expr: s.counted(s.only(s.All)), Labels: own},
			{Record: SLOBad, Expr: s.counted(s.only(s.Bad)), Labels: own}}
		days.Rules = []Rule{{Record: SLOBudget, Expr: s.Remaining(s.Window), Labels: own}}
	}
	for _, b := range burns {
		if b.short < slow+minute {
			fast.Rules = append(fast.Rules, s.alert(b))
		} else {
			days.Rules = append(days.Rules, s.alert(b))
		}
	}
	return []Group{fast, days}
}

// alert is the rule of one pair of windows.
func (s SLO) alert(b burn) Rule {
	limit := strconv.FormatFloat(b.rate*(1-s.Objective), 'g', 6, 64)
	expr := fmt.Sprintf("%s > %s and %s > %s", s.Ratio(b.long), limit, s.Ratio(b.short), limit)
	// Less than half of the long window says little about it: the first hours would
	// pass for days.
	expr += fmt.Sprintf(" and %s >= %d", s.Minutes(b.long), int(b.long/minute)/2)
	if s.MinEvents > 0 {
		expr += fmt.Sprintf(" and %s >= %g", s.sum(SLOAll, s.All, b.short), s.MinEvents)
	}
	return Rule{
		Alert: BurnAlert, Expr: expr, For: 2 * minute,
		Labels: labels.FromStrings("slo", s.Name, "severity", b.severity, "window", text(b.long)),
		Annotations: labels.FromStrings("summary",
			fmt.Sprintf("%s of {{ $labels.target }} burns its error budget more than %g times too fast: {{ $value | "+
				"humanizePercentage }} bad in %s, objective %s",
				s.Name, b.rate, text(b.long), percent(s.Objective))),
	}
}
