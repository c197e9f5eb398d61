package rules

import (
	"fmt"
	"time"

	"github.com/prometheus/common/model"
)

// Builtin is one row of the table of metrics.
type Builtin struct {
	Metric string
	// Expr has $window in it where a range matters. Empty: there is no
	// expression that holds everywhere; Hint then shows one to start from.
	Expr string
	Hint string
	// What and Unit name the value, as in Threshold.
	What string
	Unit string
	// Above is the direction in which the metric is bad.
	Above bool
	// SourceKind is who speaks: probe, app or kubernetes.
	SourceKind string
	// EverySeries, Aside and Unseen are Threshold's.
	EverySeries, Aside, Unseen bool
}

// LookupBuiltin returns the row of the table named metric.
//
// The expressions hold for both sources, as watchdog exports its samples under
// the names it stores them under. A target may have several series (two probes
// of one kind); the worst counts. Averages over $window keep a single look from
// deciding. health and dependency count what is bad; they need every series to
// be fresh, or a silent bad one would pass for none. A NaN among the series of
// a sum makes the sum NaN, which is judged ERROR.
func LookupBuiltin(metric string) (Builtin, bool) {
	for _, b := range builtins() {
		if b.Metric == metric {
			return b, true
		}
	}
	return Builtin{}, false
}

// BuiltinMetrics returns the names of the table's rows.
func BuiltinMetrics() []string {
	var names []string
	for _, b := range builtins() {
		names = append(names, b.Metric)
	}
	return names
}

func builtins() []Builtin {
	return []Builtin{
		{Metric: "response_time", What: "p95", Unit: "seconds", Above: true, SourceKind: "app",
			Expr: `max by (target) (avg_over_time(watchdog_sla_response_time_seconds{quantile="0.95"}[$window]))`},
		{Metric: "error_rate", What: "error rate", Unit: "ratio", Above: true, SourceKind: "app",
			Expr: `max by (target) (avg_over_time(watchdog_sla_error_ratio[$window]))`},
		{Metric: "error_rate_critical", What: "error rate", Unit: "ratio", Above: true, SourceKind: "app",
			Expr: `max by (target) (avg_over_time(watchdog_sla_error_ratio[$window]))`},
		{Metric: "cpu", What: "cpu", Unit: "ratio", Above: true, SourceKind: "kubernetes",
			Expr: `max by (target) (avg_over_time(watchdog_workload_cpu_usage_ratio[$window]))`},
		{Metric: "memory", What: "memory", Unit: "ratio", Above: true, SourceKind: "kubernetes",
			Expr: `max by (target) (avg_over_time(watchdog_workload_memory_usage_ratio[$window]))`},
		{Metric: "disk", What: "disk", Unit: "ratio", Above: true, SourceKind: "prometheus",
			Hint: `max by (target) (label_replace(kubelet_volume_stats_used_bytes / ` +
				`kubelet_volume_stats_capacity_bytes, "target", "$1", "persistentvolumeclaim", "data-(.+)"))`},
		{Metric: "active_agents", What: "active agents", Above: false, SourceKind: "app",
			Expr: `min by (target) (watchdog_agents_active)`},
		{Metric: "no_agents", What: "active agents", Above: false, SourceKind: "app",
			Expr: `min by (target) (watchdog_agents_active)`},
		{Metric: "health", What: "failing probes", Above: true, SourceKind: "probe", EverySeries: true,
			Expr: `sum by (target) (1 - watchdog_probe_healthy)`},
		{Metric: "ready_replicas", What: "ready replicas", Unit: "ratio", Above: false, SourceKind: "kubernetes",
			Expr: `min by (target) (watchdog_workload_ready_ratio)`},
		{Metric: "crash_looping", What: "crash-looping pods", Above: true, SourceKind: "kubernetes",
			Expr: `max by (target) (watchdog_workload_crash_looping_pods)`},
		{Metric: "scaled_to_zero", What: "scaled to zero", Above: true, SourceKind: "kubernetes",
			Expr: `max by (target) (watchdog_workload_scaled_to_zero)`},
		{Metric: "system_down", What: "two probes fail and no pod is ready", Above: true, SourceKind: "probe",
			Expr: `(sum by (target) (1 - watchdog_probe_healthy) >= bool 2)` +
				` * on (target) ((min by (target) (watchdog_workload_endpoints_ready) or min by (target) ` +
				`(watchdog_workload_replicas_ready)) * on (target) min by (target) ` +
				`(watchdog_workload_replicas_ready) == bool 0)` +
				` * on (target) (min by (target) (watchdog_workload_replicas_desired) > bool 0)`},
		{Metric: "rollout_stalled", What: "stalled rollout", Above: true, SourceKind: "kubernetes",
			Expr: `max by (target) (watchdog_workload_rollout_stalled)`},
		{Metric: "restarts", What: "restarts", Above: true, SourceKind: "kubernetes",
			Expr: `max by (target) (increase(watchdog_workload_restarts_total[$window]))`},
		{Metric: "dependency", What: "dependencies down", Above: true, SourceKind: "app", EverySeries: true,
			Expr: `sum by (target) (1 - watchdog_dependency_up{check!="agents"})`},
		// What cannot be seen says nothing of the target: it is no trouble that counts.
		{Metric: "unseen", What: "probes and rules without a result", Above: true, SourceKind: "watchdog", Aside: true,
			Unseen: true,
			Expr:   `sum by (target) (watchdog_probe_unknown)`},
	}
}

// Apply fills the fields of r that the row decides and r leaves open.
func (b Builtin) Apply(r Threshold) (Threshold, error) {
	if b.Expr == "" {
		return r, fmt.Errorf("metric %s has no built-in expression: set expr, with one value per label target, for "+
			"example %s", b.Metric, b.Hint)
	}
	r.Expr, r.What, r.Unit, r.Above, r.EverySeries, r.Aside, r.Unseen = b.Expr, b.What, b.Unit, b.Above, b.EverySeries,
		b.Aside, b.Unseen
	if r.SourceKind == "" {
		r.SourceKind = b.SourceKind
	}
	return r, nil
}

// MinRate is the floor of at least perSecond requests per second, by the
// application's own count over its own window.
func MinRate(perSecond float64) FloorSpec {
	return FloorSpec{
		Expr: `sum by (target) (watchdog_sla_requests / watchdog_sla_window_seconds)`,
		Min:  perSecond, Unit: "rps", Text: "request rate",
	}
}

// MinRequests is the floor of at least n requests in the rule's window. The
// application counts over its own sliding window, so adding up its counts would
// count a request many times; the mean rate over the rule's window times its
// length is the number meant, as long as the application's window is not much
// longer than the rule's.
func MinRequests(n float64, window time.Duration) FloorSpec {
	return FloorSpec{
		Expr: fmt.Sprintf(`sum by (target) (avg_over_time(watchdog_sla_requests[$window]) / `+
			`avg_over_time(watchdog_sla_window_seconds[$window])) * %g`, window.Seconds()),
		Min: n, Unit: "requests in " + model.Duration(window).String(), Text: "number of requests",
	}
}
