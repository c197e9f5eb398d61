package kube

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	watchErrors *prometheus.CounterVec
	usageErrors prometheus.Counter
}

// newMetrics registers the watcher's metrics; silence answers how long the
// quietest watch has been silent, and usageAge how old the oldest usage of pods is, in seconds.
func newMetrics(r prometheus.Registerer, silence, usageAge func() float64) (*metrics, error) {
	m := &metrics{
		watchErrors: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "watchdog", Subsystem: "kube",
			Name: "watch_errors_total", Help: "Lists and watches that ended with an error, by resource."},
			[]string{"resource"}),
		usageErrors: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "watchdog", Subsystem: "kube",
			Name: "usage_errors_total", Help: "Reads of the metrics API that failed."}),
	}
	oldest := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "watchdog", Subsystem: "kube",
		Name: "watch_silence_seconds", Help: "Time since the last message on the watch that has " +
			"been silent the longest."}, silence)
	age := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "watchdog", Subsystem: "kube",
		Name: "usage_age_seconds", Help: "Age of the oldest CPU and memory usage of the namespaces that are watched; " +
			"0: the metrics API has not answered yet."}, usageAge)
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.watchErrors, m.usageErrors, oldest, age} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of the watcher: %w", err)
		}
	}
	return m, nil
}
