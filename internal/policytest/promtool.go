package policytest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/parser"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/rules"
)

// alertSeries is what Prometheus writes of an alert while it lasts.
type alertSeries struct{ state, since labels.Labels }

// writeAlerts writes ALERTS and ALERTS_FOR_STATE, as Prometheus does, and the end of
// those that were there before.
func (s *samples) writeAlerts(report []rules.GroupReport, before []alertSeries, at time.Time) []alertSeries {
	var now []alertSeries
	for _, g := range report {
		t := at.Add(-g.QueryOffset).UnixMilli()
		for _, r := range g.Rules {
			for _, a := range r.Alive {
				b := labels.NewBuilder(a.Labels)
				b.Set(model.MetricNameLabel, "ALERTS_FOR_STATE")
				x := alertSeries{since: b.Labels()}
				b.Set(model.MetricNameLabel, "ALERTS")
				b.Set("alertstate", string(a.State))
				x.state = b.Labels()
				now = append(now, x)
				s.add(x.state, sample{t: t, f: 1})
				s.add(x.since, sample{t: t, f: float64(a.ActiveAt.Unix())})
			}
		}
	}
	end := sample{t: at.UnixMilli(), f: math.Float64frombits(value.StaleNaN)}
	for _, old := range before {
		if !slices.ContainsFunc(now, func(x alertSeries) bool { return labels.Equal(x.state, old.state) }) {
			s.add(old.state, end)
		}
		if !slices.ContainsFunc(now, func(x alertSeries) bool { return labels.Equal(x.since, old.since) }) {
			s.add(old.since, end)
		}
	}
	return now
}

// alerts compares the alerts of one name that fire.
func (f *File) alerts(all *failures, x AlertTest, report []rules.GroupReport) {
	var got, want []string
	for _, g := range report {
		for _, r := range g.Rules {
			for _, a := range r.Alive {
				if r.Alert == x.Alertname && a.State == rules.Firing {
					got = append(got, alertText(a.Labels, a.Annotations))
				}
			}
		}
	}
	for _, e := range x.ExpAlerts {
		b := labels.NewBuilder(labels.FromMap(e.ExpLabels))
		b.Set(model.AlertNameLabel, x.Alertname)
		want = append(want, alertText(b.Labels(), labels.FromMap(e.ExpAnnotations)))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		all.add(x.EvalTime, "alert %s:%s", x.Alertname, difference(want, got))
	}
}

func alertText(l, annotations labels.Labels) string { return l.String() + " " + annotations.String() }

// difference lists what is wanted and not there, and what is there and not wanted.
func difference(want, got []string) string {
	var b strings.Builder
	for _, w := range want {
		if !slices.Contains(got, w) {
			fmt.Fprintf(&b, "\nwant %s", w)
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) {
			fmt.Fprintf(&b, "\ngot  %s", g)
		}
	}
	if b.Len() == 0 {
		fmt.Fprintf(&b, "\nwant %d, got %d: %s", len(want), len(got), strings.Join(got, ", "))
	}
	return b.String()
}

// expression compares what an expression gives.
func (f *File) expression(ctx context.Context, all *failures, t *Test, x ExprTest, ask promql.QueryFunc) {
	expr := x.Expr
	if tree, err := newParser().ParseExpr(expr); err == nil && tree.Type() == parser.ValueTypeScalar {
		expr = "vector(" + expr + ")"
	}
	points, err := ask(ctx, expr, t.begin().Add(time.Duration(x.EvalTime)))
	if err != nil && !promql.Warned(err) {
		all.add(x.EvalTime, "expr %q: %v", x.Expr, err)
		return
	}
	var got, want []labelled
	for _, p := range points {
		g := labelled{labels: p.Labels, value: p.Value}
		if p.Native != nil {
			g.histogram = p.Native.TestExpression()
			g.value = 0
		}
		got = append(got, g)
	}
	for _, e := range x.ExpSamples {
		w := labelled{value: e.Value}
		if w.labels, err = newParser().ParseMetric(e.Labels); err == nil && e.Histogram != "" {
			w.value = 0
			w.histogram, err = histogramText(e.Histogram)
		}
		if err != nil {
			all.add(x.EvalTime, "expr %q: exp_samples: labels %q: %v", x.Expr, e.Labels, err)
			return
		}
		want = append(want, w)
	}
	byLabels := func(a, b labelled) int { return labels.Compare(a.labels, b.labels) }
	slices.SortStableFunc(got, byLabels)
	slices.SortStableFunc(want, byLabels)
	if !slices.EqualFunc(want, got, f.same) {
		all.add(x.EvalTime, "expr %q:%s", x.Expr, difference(texts(want), texts(got)))
	}
}

// histogramText brings a histogram's notation into one form.
func histogramText(text string) (string, error) {
	_, values, err := newParser().ParseSeriesDesc("{} " + text)
	switch {
	case err != nil:
		return "", err
	case len(values) != 1 || values[0].Histogram == nil:
		return "", fmt.Errorf("%q is not one histogram", text)
	}
	return values[0].Histogram.TestExpression(), nil
}

// labelled is one sample of an answer.
type labelled struct {
	labels    labels.Labels
	value     float64
	histogram string
}

func texts(all []labelled) []string {
	var out []string
	for _, x := range all {
		if x.histogram != "" {
			out = append(out, x.labels.String()+" "+x.histogram)
			continue
		}
		out = append(out, fmt.Sprintf("%s %v", x.labels, x.value))
	}
	return out
}

// same compares as promtool does: exactly, or with fuzzy_compare up to one step of a float64.
func (f *File) same(a, b labelled) bool {
	if !labels.Equal(a.labels, b.labels) || a.histogram != b.histogram {
		return false
	}
	x, y := a.value, b.value
	return x == y || f.FuzzyCompare && (math.Nextafter(x, math.Inf(-1)) == y || math.Nextafter(x, math.Inf(1)) == y)
}
