package probes

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	looks    *prometheus.CounterVec   // kind, result
	skipped  *prometheus.CounterVec   // reason
	duration *prometheus.HistogramVec // kind
	delay    prometheus.Histogram
	entries  prometheus.Gauge
	inFlight prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	buckets := []float64{.005, .025, .1, .25, .5, 1, 2.5, 5, 10, 30}
	m := &metrics{
		looks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "watchdog", Subsystem: "probe", Name: "looks_total",
			Help: "Completed probes, by kind and result (ok, bad, unknown).",
		}, []string{"kind", "result"}),
		skipped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "watchdog", Subsystem: "probe", Name: "skipped_total",
			Help: "Skipped probes: the previous one still ran (running) or waited for a worker (waiting), or the " +
				"process was suspended (late).",
		}, []string{"reason"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "watchdog", Subsystem: "probe", Name: "look_duration_seconds",
			Help: "Duration of probes, by kind.", Buckets: buckets,
		}, []string{"kind"}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "watchdog", Subsystem: "probe", Name: "start_delay_seconds",
			Help: "Delay between the scheduled time and the start of probes.", Buckets: buckets,
		}),
		entries: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "watchdog", Subsystem: "probe", Name: "entries",
			Help: "Scheduled probes.",
		}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "watchdog", Subsystem: "probe", Name: "in_flight",
			Help: "Probes that run now.",
		}),
	}
	for _, reason := range []string{"running", "waiting", "late"} {
		m.skipped.WithLabelValues(reason)
	}
	if registerer == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.looks, m.skipped, m.duration, m.delay, m.entries, m.inFlight} {
		errs = append(errs, registerer.Register(c))
	}
	return m, errors.Join(errs...)
}
