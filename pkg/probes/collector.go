package probes

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
	"unique"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
)

// SamplesCollectors returns collectors for the samples of the last checks, one for each name, with
// target and probe labels and under the same names as in the local store. A
// check older than two intervals is left out: better no value than an old one.
func (s *Scheduler) SamplesCollectors() []prometheus.Collector {
	described := map[string]*prometheus.Desc{}
	for _, known := range knownSamples() {
		described[known.name] = describe(known.name, known.help, known.labels)
	}
	all := []prometheus.Collector{&samplesCollector{s, described, ""}}
	for _, name := range slices.Sorted(maps.Keys(described)) {
		all = append(all, &samplesCollector{s, described, name})
	}
	return all
}

type samplesCollector struct {
	scheduler *Scheduler
	described map[string]*prometheus.Desc
	name      string // empty: all that are not described
}

// Describe implements prometheus.Collector.
func (c *samplesCollector) Describe(out chan<- *prometheus.Desc) {
	if desc := c.described[c.name]; desc != nil {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *samplesCollector) Collect(out chan<- prometheus.Metric) {
	now := c.scheduler.opts.Now()
	for _, sl := range c.scheduler.unordered() {
		for _, r := range sl.recent(now) {
			if name := r.of.Value().name; name != c.name && (c.name != "" || c.described[name] != nil) {
				continue
			}
			if metric, err := c.metric(sl.entry, r); err == nil {
				out <- metric
			}
		}
	}
}

// kept is a sample as a slot keeps it: a model.Sample takes tens of times the room. All slots share their names.
type kept struct {
	of    unique.Handle[sampleNames]
	value float64
}

// sampleNames are the name of a sample and its labels without target and probe, which are those of the entry.
type sampleNames struct {
	name   string
	labels string // names and values in turn, by name, each with an end
}

// end is after each label's name and value: no text in UTF-8 has it.
const end = "\xff"

// keepAll keeps each series once: a repeated one would spoil the whole scrape. What is no UTF-8 is
// left out, as it cannot be exported.
func keepAll(samples []*model.Sample) []kept {
	all := make([]kept, 0, len(samples))
	for _, s := range samples {
		k, ok := keep(s)
		if ok && !slices.ContainsFunc(all, func(o kept) bool { return o.of == k.of }) {
			all = append(all, k)
		}
	}
	return all
}

func keep(s *model.Sample) (k kept, ok bool) {
	var labels []label
	for name, value := range s.Metric {
		if name == model.MetricNameLabel || name == targetLabel || name == probeLabel {
			continue
		}
		if !utf8.ValidString(string(value)) {
			return kept{}, false
		}
		labels = append(labels, label{string(name), string(value)})
	}
	slices.SortFunc(labels, byName)
	names := sampleNames{name: string(s.Metric[model.MetricNameLabel])}
	for _, l := range labels {
		names.labels += l.name + end + l.value + end
	}
	return kept{unique.Make(names), float64(s.Value)}, true
}

// all are the labels.
func (n sampleNames) all() []label {
	var all []label
	parts := strings.Split(n.labels, end)
	for i := 0; i+1 < len(parts); i += 2 {
		all = append(all, label{parts[i], parts[i+1]})
	}
	return all
}

type label struct{ name, value string }

func byName(a, b label) int { return strings.Compare(a.name, b.name) }

// recent returns the last samples.
func (sl *slot) recent(now time.Time) []kept {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	if now.Sub(sl.status.At) > 2*sl.entry.Interval {
		return nil
	}
	return sl.kept
}

func (c *samplesCollector) metric(of Entry, r kept) (prometheus.Metric, error) {
	sample := r.of.Value()
	all := append(sample.all(), label{probeLabel, of.Name}, label{targetLabel, of.Target})
	slices.SortFunc(all, byName)
	names, values := make([]string, len(all)), make([]string, len(all))
	for i, l := range all {
		names[i], values[i] = l.name, l.value
	}
	desc, ok := c.described[sample.name]
	if !ok {
		desc = describe(sample.name, "A sample of a probe.", names)
	}
	kind := prometheus.GaugeValue
	if strings.HasSuffix(sample.name, "_total") {
		kind = prometheus.CounterValue
	}
	return prometheus.NewConstMetric(desc, kind, r.value, values...)
}

func describe(name, help string, labels []string) *prometheus.Desc {
	labels = slices.Clone(labels)
	for _, added := range []string{targetLabel, probeLabel} {
		if !slices.Contains(labels, added) {
			labels = append(labels, added)
		}
	}
	slices.Sort(labels)
	return prometheus.NewDesc(name, help, labels, nil)
}

// knownSample is the name of a sample, its help and the labels it has besides
// target and probe.
type knownSample struct {
	name   string
	help   string
	labels []string
}

func knownSamples() []knownSample {
	known := func(name, help string, labels ...string) knownSample { return knownSample{name, help, labels} }
	return []knownSample{
		known("probe_success", "1 if the last probe was ok, 0 if bad; absent when unknown."),
		known("probe_duration_seconds", "Duration of the last probe; absent when unknown."),
		known("watchdog_probe_unknown", "1 if the last probe had no usable result."),
		known("watchdog_probe_healthy", "1 or 0 by N of M probes; absent when unknown."),

		known("watchdog_dependency_up", "1 or 0 according to a check in the health document.", "check"),
		known("watchdog_health_uptime_seconds", "Uptime in the health document."),
		known("watchdog_health_info", "Version in the health document.", "version"),
		known("watchdog_health_timestamp_skew_seconds", "Difference between the health document's timestamp and now."),
		known("watchdog_health_restarts_total", "Process starts derived from the health document's uptime."),
		known("watchdog_health_version_mismatch", "1 if the version is not the expected one."),

		known("watchdog_sla_uptime_ratio", "Uptime as reported by the application."),
		known("watchdog_sla_response_time_seconds", "Response time as reported by the application.", "quantile"),
		known("watchdog_sla_error_ratio", "Share of errors as reported by the application."),
		known("watchdog_sla_requests", "Requests in the window as reported by the application."),
		known("watchdog_sla_window_seconds", "Window of the application's report."),

		known("watchdog_agents_active", "Active agents."),
		known("watchdog_agents_desired", "Desired number of agents."),

		known("redis_memory_used_bytes", "Memory that Redis uses."),
		known("redis_memory_max_bytes", "Redis' maxmemory; 0: no limit."),
		known("redis_mem_fragmentation_ratio", "Resident memory of Redis divided by the memory it uses."),
		known("redis_connected_clients", "Clients that are connected to Redis."),
		known("redis_config_maxclients", "Clients that may be connected to Redis."),
		known("redis_evicted_keys_total", "Keys that Redis evicted because of maxmemory."),

		known("watchdog_postgres_connections", "Client connections of the PostgreSQL server."),
		known("pg_settings_max_connections", "Connections that the PostgreSQL server allows."),

		known("probe_ssl_earliest_cert_expiry", "Unix time at which the first of the sent certificates expires."),
		known("watchdog_tls_expiry_seconds", "Time until the first of the sent certificates expires; negative: expired."),
		known("watchdog_tls_verified", "1 if name, chain and dates of the certificate are right, else 0."),

		known("probe_dns_lookup_time_seconds", "Duration of the lookup of the name."),
		known("probe_dns_answer_rrs", "Answers to the lookup of the name."),

		known("watchdog_workload_replicas_desired", "Desired pods."),
		known("watchdog_workload_replicas_ready", "Ready pods."),
		known("watchdog_workload_replicas_updated", "Pods of the newest revision."),
		known("watchdog_workload_replicas_unavailable", "Desired pods that are not available."),
		known("watchdog_workload_ready_ratio", "Ready pods divided by desired pods; absent when none is desired."),
		known("watchdog_workload_rollout_in_progress", "1 while a rollout is in progress."),
		known("watchdog_workload_restarts",
			"Container restarts of the existing pods; decreases when pods are replaced."),
		known("watchdog_workload_restarts_total",
			"Container restarts of the workload, counted by watchdog across pods."),
		known("watchdog_workload_rollout_stalled",
			"1 while the controller reports that the rollout makes no progress (ProgressDeadlineExceeded), or cannot "+
				"create pods."),
		known("watchdog_workload_waiting_pods", "Pods with a waiting container, by its reason.", "reason"),
		known("watchdog_workload_crash_looping_pods",
			"Pods of the newest revision that cannot start: crash loop, image or configuration."),
		known("watchdog_workload_scaled_to_zero", "1 if no pods are desired, and no autoscaler set this."),
		known("watchdog_workload_endpoints_ready", "Ready endpoints of the Service."),
		known("watchdog_workload_hpa_at_max", "1 if the autoscaler is at its maximum."),
		known("watchdog_workload_cpu_usage_ratio",
			"CPU usage divided by the limit, else by the request, of the container with the highest."),
		known("watchdog_workload_memory_usage_ratio",
			"Memory usage divided by the limit, else by the request, of the container with the highest."),
	}
}
