package rules

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

const namespace = "watchdog"

// metrics describe the judging.
type metrics struct {
	evaluations *prometheus.CounterVec
	failures    *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	rounds      *prometheus.HistogramVec
	missed      *prometheus.CounterVec
	alerts      *prometheus.GaugeVec
	blind       *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	buckets := []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	return &metrics{
		evaluations: f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "rule_evaluations_total",
			Help: "Evaluations of a rule, each over one or more targets."}, []string{"rule"}),
		failures: f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace,
			Name: "rule_evaluation_failures_total", Help: "Evaluations of a rule whose query failed."},
			[]string{"rule"}),
		duration: f.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace,
			Name: "rule_evaluation_duration_seconds", Help: "Duration of one evaluation of a rule.", Buckets: buckets},
			[]string{"source"}),
		rounds: f.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace,
			Name: "rule_round_duration_seconds", Help: "Duration of one evaluation of all rules of a source.",
			Buckets: buckets}, []string{"source"}),
		missed: f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "rule_rounds_missed_total",
			Help: "Evaluations of all rules that were missed because the previous one took too long."},
			[]string{"source"}),
		alerts: f.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "alerts",
			Help: "Alerts that are pending or firing, by rule: thresholds, rule files and objectives."},
			[]string{"rule", "state"}),
		blind: f.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "monitoring_blind",
			Help: "1 while watchdog cannot trust the data of a source."}, []string{"source"}),
	}
}

// ruleMetrics are the metrics of one rule, looked up once.
type ruleMetrics struct {
	evaluations, failures prometheus.Counter
	duration              prometheus.Observer
	pending, firing       prometheus.Gauge
}

func (m *metrics) of(r Threshold) ruleMetrics {
	return ruleMetrics{
		evaluations: m.evaluations.WithLabelValues(r.Name),
		failures:    m.failures.WithLabelValues(r.Name),
		duration:    m.duration.WithLabelValues(r.Source),
		pending:     m.alerts.WithLabelValues(r.Name, string(Pending)),
		firing:      m.alerts.WithLabelValues(r.Name, string(Firing)),
	}
}

// forget takes a removed rule out of the metrics.
func (m *metrics) forget(rule string) {
	m.evaluations.DeleteLabelValues(rule)
	m.failures.DeleteLabelValues(rule)
	m.alerts.DeletePartialMatch(prometheus.Labels{"rule": rule})
}

// move counts an alert from one state to another.
func (m ruleMetrics) move(from, to AlertState) {
	if from == to {
		return
	}
	if g := m.gauge(from); g != nil {
		g.Dec()
	}
	if g := m.gauge(to); g != nil {
		g.Inc()
	}
}

func (m ruleMetrics) gauge(s AlertState) prometheus.Gauge {
	switch s {
	case Pending:
		return m.pending
	case Firing:
		return m.firing
	}
	return nil
}

// counted are the alerts of a rule of a group that are counted in the metrics.
type counted struct{ pending, firing int }

// count brings the metrics up to what a rule's alerts are now: one per target, as of
// thresholds. Several rules may have one title, so what changed is added.
func (m *Manager) count(r *ruleState) {
	if r.Alert == "" {
		return
	}
	var now counted
	for _, a := range r.alerts {
		switch a.State {
		case Pending:
			now.pending++
		case Firing:
			now.firing++
		}
	}
	m.metrics.alerts.WithLabelValues(r.title, string(Pending)).Add(float64(now.pending - r.counted.pending))
	m.metrics.alerts.WithLabelValues(r.title, string(Firing)).Add(float64(now.firing - r.counted.firing))
	r.counted = now
}

// uncount takes a rule that is replaced out of the metrics; its successor is counted anew.
func (m *Manager) uncount(r *ruleState) {
	m.metrics.alerts.DeletePartialMatch(prometheus.Labels{"rule": r.title})
}
