package storage

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

const namespace = "watchdog"

// storeMetrics describe the sample store.
type storeMetrics struct {
	series  prometheus.Gauge
	samples prometheus.Counter
	refused *prometheus.CounterVec
}

func newStoreMetrics(reg prometheus.Registerer) *storeMetrics {
	f := promauto.With(reg)
	m := &storeMetrics{
		series: f.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "store_series",
			Help: "Series in the embedded sample store."}),
		samples: f.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "store_samples_total",
			Help: "Samples offered to the embedded sample store."}),
		refused: f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "store_samples_refused_total",
			Help: "Samples rejected by the embedded sample store, by reason."}, []string{"reason"}),
	}
	for _, reason := range []string{"invalid", "histogram", "future", "too_old", "too_many_series", tooManyNames,
		"duplicate", "out_of_order"} {
		m.refused.WithLabelValues(reason) // what begins at 1 has no increase
	}
	return m
}
