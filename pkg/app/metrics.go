package app

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"watchdog.io/watchdog/pkg/config"
)

type metrics struct {
	leader   prometheus.Gauge
	blocked  prometheus.Counter
	loaded   prometheus.Gauge
	loadedAt prometheus.Gauge
	targets  prometheus.Gauge
	skew     prometheus.Gauge
	review   prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Namespace: "watchdog", Name: name, Help: help})
	}
	return &metrics{
		leader: gauge("leader", "1 if this replica leads."),
		blocked: f.NewCounter(prometheus.CounterOpts{Namespace: "watchdog", Name: "leader_start_failures_total",
			Help: "Failed attempts of a new leader to read its state from the API server."}),
		loaded: gauge("config_last_reload_successful", "1 if the last attempt to load the configuration succeeded."),
		loadedAt: gauge("config_last_reload_success_timestamp_seconds",
			"Time of the last successful load of a configuration."),
		targets: gauge("targets", "Targets in the current configuration."),
		review: gauge("runbook_review_by_timestamp_seconds",
			"Date by which the runbook must be reviewed (runbook.review_by); 0: not set."),
		skew: gauge("clock_skew_seconds",
			"Offset of this host's clock from the API server's when the process started; positive if ahead."),
	}
}

func (m *metrics) reloaded(err error) {
	if err != nil {
		m.loaded.Set(0)
		return
	}
	m.loaded.Set(1)
}

func (m *metrics) configured(c *config.Config) {
	m.loaded.Set(1)
	m.loadedAt.SetToCurrentTime()
	m.targets.Set(float64(len(c.Targets)))
	day := 0.0
	if t := c.ReviewDay(); !t.IsZero() {
		day = float64(t.Unix())
	}
	m.review.Set(day)
}
