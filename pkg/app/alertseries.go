package app

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/value"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/policy"
	"watchdog.io/watchdog/pkg/rules"
)

// maxIncidentSeries bounds the series of live incidents.
const maxIncidentSeries = 1000

// writeAlerts writes alerts and incidents into the samples, as Prometheus writes
// ALERTS: 1 while they last, and the mark of an end. They are there for dashboards
// over watchdog's own API and are not exported.
func (a *App) writeAlerts(ctx context.Context) {
	tick := time.NewTicker(a.interval)
	defer tick.Stop()
	before := map[model.Fingerprint]model.Metric{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := map[model.Fingerprint]model.Metric{}
		for _, m := range slices.Concat(alertSeries(a.judge.Alerts()), alertSeries(a.groups.Alerts()), a.incidentSeries()) {
			now[m.Fingerprint()] = m
		}
		at := model.TimeFromUnixNano(a.clock.Now().UnixNano())
		var samples []*model.Sample
		for _, m := range now {
			samples = append(samples, &model.Sample{Metric: m, Value: 1, Timestamp: at})
		}
		for f, m := range before {
			if now[f] == nil {
				samples = append(samples, &model.Sample{Metric: m, Value: model.SampleValue(math.Float64frombits(value.StaleNaN)), Timestamp: at})
			}
		}
		a.samples.Append(samples)
		before = now
	}
}

// alertSeries are ALERTS of what is pending or fires.
func alertSeries(all []rules.Alert) []model.Metric {
	var out []model.Metric
	for _, x := range all {
		if x.State != rules.Pending && x.State != rules.Firing {
			continue
		}
		m := model.Metric{"severity": model.LabelValue(x.Severity)}
		for k, v := range x.Labels {
			m[model.LabelName(k)] = model.LabelValue(v)
		}
		for k, v := range map[model.LabelName]string{model.MetricNameLabel: "ALERTS", model.AlertNameLabel: policy.AlertName(x), "alertstate": string(x.State), "target": x.Target, "verdict": string(x.Verdict)} {
			m[k] = model.LabelValue(v)
		}
		out = append(out, m)
	}
	return out
}

// incidentSeries are the live incidents, if this replica leads.
func (a *App) incidentSeries() []model.Metric {
	if !a.leading.Load() {
		return nil
	}
	var out []model.Metric
	for _, i := range a.engine.Incidents() {
		if i.Phase == incident.Resolved || len(out) == maxIncidentSeries {
			continue
		}
		out = append(out, model.Metric{
			model.MetricNameLabel: "watchdog_incident", "incident": model.LabelValue(i.ID), "target": model.LabelValue(i.Target.Name), "severity": model.LabelValue(i.Severity),
			"phase": model.LabelValue(i.Phase), "rule": model.LabelValue(i.Lead),
		})
	}
	return out
}
