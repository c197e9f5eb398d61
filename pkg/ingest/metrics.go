package ingest

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	alerts    *prometheus.CounterVec
	lost      prometheus.Counter
	sync      prometheus.Histogram
	failures  prometheus.Counter
	torn      prometheus.Counter
	damaged   prometheus.Counter
	snapshots *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer, b *Store) *metrics {
	f := promauto.With(r)
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "watchdog", Subsystem: "ingest", Name: name, Help: help}
	}
	m := &metrics{
		alerts: f.NewCounterVec(prometheus.CounterOpts(opts("alerts_total",
			"Alerts received, by result: firing or resolved (accepted), duplicate, stale (older than "+
				"the known state), early (resolved before it was received as firing), refused_full, refused_unwritable.")),
			[]string{"outcome"}),
		lost: f.NewCounter(prometheus.CounterOpts(opts("lost_total",
			"Firing external alerts that their senders have stopped repeating."))),
		sync: f.NewHistogram(prometheus.HistogramOpts{Namespace: "watchdog", Subsystem: "ingest",
			Name:    "journal_sync_duration_seconds",
			Help:    "Duration of a write and fsync of the journal, shared by all waiting requests.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}}),
		failures: f.NewCounter(prometheus.CounterOpts(opts("journal_failures_total",
			"Failed writes of alerts to the journal; their senders got an error."))),
		torn: f.NewCounter(prometheus.CounterOpts(opts("journal_torn_bytes_total",
			"Bytes of incomplete frames left by a crash, removed at startup."))),
		damaged: f.NewCounter(prometheus.CounterOpts(opts("journal_damaged_total",
			"Damaged or missing frames and files found in the journal at startup; the rest was used."))),
		snapshots: f.NewCounterVec(prometheus.CounterOpts(opts("journal_snapshots_total",
			"Compactions of the journal, by result: ok, failed.")), []string{"result"}),
	}
	f.NewGaugeFunc(prometheus.GaugeOpts(opts("firing", "Firing external alerts.")),
		func() float64 { n, _ := b.Counts(); return float64(n) })
	f.NewGaugeFunc(prometheus.GaugeOpts(opts("over", "Resolved or lost external alerts that are still remembered.")),
		func() float64 { _, n := b.Counts(); return float64(n) })
	for _, o := range []outcome{fires, resolves, duplicate, stale, early, refusedFull, refusedUnwritable} {
		m.alerts.WithLabelValues(string(o))
	}
	for _, r := range []string{"ok", "failed"} {
		m.snapshots.WithLabelValues(r)
	}
	return m
}
