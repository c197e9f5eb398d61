package controller

import "github.com/prometheus/client_golang/prometheus"

// windowMetrics are made from the windows at each scrape: a window that is over leaves
// no series behind.
type windowMetrics struct{ w *Windows }

var (
	activeDesc = prometheus.NewDesc("watchdog_maintenance_active", "1 while the target is in the maintenance window.",
		[]string{"window", "target"}, nil)
	endsDesc = prometheus.NewDesc("watchdog_maintenance_ends_timestamp_seconds",
		"End of the active maintenance window.", []string{"window"}, nil)
	heldDesc = prometheus.NewDesc("watchdog_maintenance_held_pages",
		"Incidents whose notifications are held by the maintenance window; exported by the leader.", []string{"window"},
		nil)
	excludedDesc = prometheus.NewDesc("watchdog_maintenance_excluded",
		"1 while the target is excluded from error budgets.", []string{"target"}, nil)
)

func (m windowMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{activeDesc, endsDesc, heldDesc, excludedDesc} {
		ch <- d
	}
}

func (m windowMetrics) Collect(ch chan<- prometheus.Metric) {
	p, targets := m.w.Active()
	seen := map[string]bool{}
	for _, n := range p.Active {
		if seen[n.Name] {
			continue // one of the file and one of the cluster may have one name
		}
		seen[n.Name] = true
		for _, t := range targets {
			if n.Covers(t) {
				ch <- prometheus.MustNewConstMetric(activeDesc, prometheus.GaugeValue, 1, n.Name, t)
			}
		}
		if !n.End.IsZero() {
			ch <- prometheus.MustNewConstMetric(endsDesc, prometheus.GaugeValue, float64(n.End.Unix()), n.Name)
		}
	}
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	for name, n := range m.w.held {
		ch <- prometheus.MustNewConstMetric(heldDesc, prometheus.GaugeValue, float64(n), name)
	}
	for t := range m.w.excluded {
		out := 0.0
		if p.Of(t).Excluded {
			out = 1
		}
		ch <- prometheus.MustNewConstMetric(excludedDesc, prometheus.GaugeValue, out, t)
	}
}

// Metrics are the metrics of the windows.
func Metrics(w *Windows) prometheus.Collector { return windowMetrics{w} }
