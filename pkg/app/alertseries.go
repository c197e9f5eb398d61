package app

import (
	"context"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/storage"
)

// maxIncidentSeries bounds the series of live incidents.
const maxIncidentSeries = 1000

// writeAlerts writes alerts and incidents into the samples, as Prometheus writes
// ALERTS: 1 while they last, and the mark of an end. They are there for dashboards
// over watchdog's own API and are not exported.
func (a *App) writeAlerts(ctx context.Context) {
	tick := time.NewTicker(a.interval)
	defer tick.Stop()
	var series storage.Presence
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		a.samples.Append(series.Samples(append(a.rules.Series(), a.incidentSeries()...), a.clock.Now()))
	}
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
			model.MetricNameLabel: "watchdog_incident", "incident": model.LabelValue(i.ID),
			"target": model.LabelValue(i.Target.Name), "severity": model.LabelValue(i.Severity),
			"phase": model.LabelValue(i.Phase), "rule": model.LabelValue(i.Lead),
		})
	}
	return out
}
