package outbox

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	sent    *prometheus.CounterVec
	queue   *prometheus.GaugeVec
	success *prometheus.GaugeVec
	open    *prometheus.GaugeVec
}

// zeroes makes series of what has not happened yet: what begins at 1 has no increase.
func (m *metrics) zeroes(receiver string) {
	for _, result := range []string{"ok", "retry", "refused", "dropped", "silenced", "yielded"} {
		m.sent.WithLabelValues(receiver, result)
	}
	m.queue.WithLabelValues(receiver)
	m.open.WithLabelValues(receiver)
}

func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	return &metrics{
		sent: f.NewCounterVec(prometheus.CounterOpts{Namespace: "watchdog", Name: "notifications_total",
			Help: "Notifications by receiver and result: ok, retry, refused, dropped (queue full), silenced, or " +
				"yielded (another replica leads)."}, []string{"receiver", "result"}),
		queue: f.NewGaugeVec(prometheus.GaugeOpts{Namespace: "watchdog", Name: "notification_queue_length",
			Help: "Incidents with an undelivered message for the receiver."}, []string{"receiver"}),
		open: f.NewGaugeVec(prometheus.GaugeOpts{Namespace: "watchdog", Name: "notification_breaker_open",
			Help: "1 while watchdog sends one message at a time to a receiver that fails repeatedly."},
			[]string{"receiver"}),
		success: f.NewGaugeVec(prometheus.GaugeOpts{Namespace: "watchdog",
			Name: "notification_last_success_timestamp_seconds",
			Help: "Time at which a receiver last accepted a message."}, []string{"receiver"}),
	}
}
