package engine

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

type metrics struct {
	open     *prometheus.GaugeVec
	ops      *prometheus.CounterVec
	verdicts *prometheus.CounterVec
	holds    *prometheus.CounterVec
	leases   prometheus.Gauge
	panics   prometheus.Counter
	response *prometheus.HistogramVec
	missed   *prometheus.CounterVec
	overdue  *prometheus.CounterVec
	flaps    prometheus.Counter
	gone     *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	m := &metrics{
		open: f.NewGaugeVec(prometheus.GaugeOpts{Namespace: "watchdog", Name: "incidents",
			Help: "Incidents that are not resolved, by phase."}, []string{"phase"}),
		ops: f.NewCounterVec(prometheus.CounterOpts{Namespace: "watchdog", Name: "ops_total",
			Help: "Writes sent for ops, by action and outcome."}, []string{"action", "outcome"}),
		verdicts: f.NewCounterVec(prometheus.CounterOpts{Namespace: "watchdog", Name: "op_verdicts_total",
			Help: "Applied ops, by action and verdict."}, []string{"action", "verdict"}),
		holds: f.NewCounterVec(prometheus.CounterOpts{Namespace: "watchdog", Name: "plans_held_total",
			Help: "Plans held by a guard, by guard and kind of hold."}, []string{"guard", "hold"}),
		leases: f.NewGauge(prometheus.GaugeOpts{Namespace: "watchdog", Name: "leases",
			Help: "Changes that watchdog will revert when their lease ends."}),
		panics: f.NewCounter(prometheus.CounterOpts{Namespace: "watchdog", Name: "panics_recovered_total",
			Help: "Panics recovered while reconciling an incident; each is a bug."}),
		response: f.NewHistogramVec(prometheus.HistogramOpts{Namespace: "watchdog", Name: "response_seconds",
			Help:    "Time from the moment a person was first needed to the acknowledgement, by severity.",
			Buckets: []float64{60, 300, 900, 1800, 3600, 2 * 3600, 4 * 3600, 8 * 3600, 24 * 3600}},
			[]string{"severity"}),
		missed: f.NewCounterVec(prometheus.CounterOpts{Namespace: "watchdog", Name: "response_deadlines_missed_total",
			Help: "Missed deadlines for an acknowledgement, by severity."}, []string{"severity"}),
		overdue: f.NewCounterVec(prometheus.CounterOpts{Namespace: "watchdog", Name: "response_phases_overdue_total",
			Help: "Response phases that ended without their requirement, by severity."}, []string{"severity"}),
	}
	m.flaps = f.NewCounter(prometheus.CounterOpts{Namespace: "watchdog", Name: "incident_flaps_total",
		Help: "External alerts that fired again in an incident kept open for flapping, without a new page."})
	m.gone = f.NewCounterVec(prometheus.CounterOpts{Namespace: "watchdog", Name: "incidents_deleted_total",
		Help: "Resolved incidents deleted to make room for newer ones, by subject (watched, unwatched) and their " +
			"review (open; none: closed or not needed)."}, []string{"about", "review"})
	for _, p := range []incident.Phase{incident.Open, incident.Acting, incident.Verifying, incident.Suppressed,
		incident.Frozen, incident.Escalated} {
		m.open.WithLabelValues(string(p))
	}
	m.zeroes()
	return m
}

// zeroes makes series of what has not happened yet: what begins at 1 has no increase.
func (m *metrics) zeroes() {
	actions := []incident.Action{incident.ActionRevert}
	for _, a := range remediate.Actions() {
		if a.Writes() {
			actions = append(actions, a.Name)
		}
	}
	for _, action := range actions {
		for _, o := range []incident.Outcome{incident.Applied, incident.Conflicted, incident.Denied, incident.Unsent,
			incident.Unknown} {
			m.ops.WithLabelValues(string(action), string(o))
		}
		if action == incident.ActionRevert {
			continue
		}
		for _, v := range []incident.OpVerdict{incident.Helped, incident.ByItself, incident.NoEffect, incident.Harmed,
			incident.Unclear} {
			m.verdicts.WithLabelValues(string(action), string(v))
		}
	}
	for _, s := range []incident.Severity{incident.P0, incident.P1, incident.P2, incident.P3} {
		m.response.WithLabelValues(string(s))
		m.missed.WithLabelValues(string(s))
		m.overdue.WithLabelValues(string(s))
	}
	for _, about := range []string{"watched", "unwatched"} {
		for _, review := range []string{"open", "none"} {
			m.gone.WithLabelValues(about, review)
		}
	}
	for _, guard := range remediate.GuardNames() {
		for _, h := range []incident.Hold{incident.Wait, incident.Skip, incident.Freeze, incident.Suppress,
			incident.HandOver, incident.Advise} {
			m.holds.WithLabelValues(guard, string(h))
		}
	}
}

// moved counts an incident that is worked in its phase, and no longer in the one before; "": in none.
func (m *metrics) moved(from, to incident.Phase) {
	if from == to {
		return
	}
	if from != "" {
		m.open.WithLabelValues(string(from)).Dec()
	}
	if to != "" {
		m.open.WithLabelValues(string(to)).Inc()
	}
}

// stepped counts what a step made of an incident.
func (m *metrics) stepped(before, after incident.Incident) {
	if !before.CalmSince.IsZero() && after.CalmSince.IsZero() && after.Phase != incident.Resolved {
		m.flaps.Inc()
	}
}

// responded counts what a new entry of the timeline says of the response.
func (m *metrics) responded(i incident.Incident, e incident.Entry) {
	severity := string(i.Severity)
	switch e.Kind {
	case incident.KindAcknowledged:
		if !i.NeededAt.IsZero() {
			m.response.WithLabelValues(severity).Observe(max(0, e.At.Sub(i.NeededAt).Seconds()))
		}
	case incident.KindUnanswered:
		m.missed.WithLabelValues(severity).Inc()
	case incident.KindOverdue:
		m.overdue.WithLabelValues(severity).Inc()
	}
}

// deleted counts an incident that is deleted; kept: its review is open.
func (m *metrics) deleted(i incident.Incident, kept bool) {
	about, review := "unwatched", "none"
	if i.Target.Watched() {
		about = "watched"
	}
	if kept {
		review = "open"
	}
	m.gone.WithLabelValues(about, review).Inc()
}

func (m *metrics) answered(answers []incident.Answer) {
	for _, a := range answers {
		if a.Hold != "" {
			m.holds.WithLabelValues(a.Guard, string(a.Hold)).Inc()
		}
	}
}
