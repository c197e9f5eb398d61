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
		Help: "Silences of Alertmanager that are in force as far as is known; 0 once nobody has answered for too long."}, inForce)
	return &metrics{
		failures: f.NewCounter(prometheus.CounterOpts{Namespace: "watchdog", Name: "silences_refresh_failures_total",
			Help: "Times that no peer of Alertmanager said which silences are in force."}),
		success: f.NewGauge(prometheus.GaugeOpts{Namespace: "watchdog",
			Name: "silences_last_success_timestamp_seconds",
			Help: "When Alertmanager last said which silences are in force; 0: never."}),
	}
}
