package alertmanager

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	failures prometheus.Counter
	success  prometheus.Gauge
}

func newMetrics(r prometheus.Registerer, inForce func() float64) *metrics {
	f := promauto.With(r)
	f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "watchdog", Name: "silences",
		Help: "Known active silences of Alertmanager; 0 once no peer has responded for too long."}, inForce)
	return &metrics{
		failures: f.NewCounter(prometheus.CounterOpts{Namespace: "watchdog", Name: "silences_refresh_failures_total",
			Help: "Refreshes of silences that failed at all peers of Alertmanager."}),
		success: f.NewGauge(prometheus.GaugeOpts{Namespace: "watchdog",
			Name: "silences_last_success_timestamp_seconds",
			Help: "Time of the last response of Alertmanager with its silences; 0: never."}),
	}
}
