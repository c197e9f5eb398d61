package notify

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	sent    *prometheus.CounterVec
	queue   *prometheus.GaugeVec
	success *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	return &metrics{
		sent:    f.NewCounterVec(prometheus.CounterOpts{Namespace: "watchdog", Name: "notifications_total", Help: "Attempts to tell a receiver, by result: ok, retry, refused, dropped, or silenced: not attempted."}, []string{"receiver", "result"}),
		queue:   f.NewGaugeVec(prometheus.GaugeOpts{Namespace: "watchdog", Name: "notification_queue_length", Help: "Incidents that a receiver has not been told of yet."}, []string{"receiver"}),
		success: f.NewGaugeVec(prometheus.GaugeOpts{Namespace: "watchdog", Name: "notification_last_success_timestamp_seconds", Help: "When a receiver last took a message."}, []string{"receiver"}),
	}
}
