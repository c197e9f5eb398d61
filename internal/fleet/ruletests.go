package fleet

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// RuleTests compares `watchdog test` with `promtool test rules` on the same files.
type RuleTests struct {
	Watchdog, Promtool string
	Dir                string
	Rounds             int
	Files              []string // beside those that are made here
}

// Run runs each file with both in turns and writes the CPU seconds and their ratios.
func (r RuleTests) Run(ctx context.Context, w io.Writer) error {
	files := slices.Clone(r.Files)
	for _, name := range slices.Sorted(maps.Keys(ruleTests)) {
		file := filepath.Join(r.Dir, name+"-test.yaml")
		rules, tests := ruleTests[name]()
		if err := publish(filepath.Join(r.Dir, name+".yaml"), []byte(rules)); err != nil {
			return err
		}
		if err := publish(file, []byte("rule_files: ["+name+".yaml]\nevaluation_interval: 1m\ntests:\n"+tests)); err != nil {
			return err
		}
		files = append(files, file)
	}
	fmt.Fprint(w, "| file | promtool, CPU s | watchdog, CPU s | ratio of CPU | ratio of time | most RSS, MiB |\n"+
		"|---|---|---|---|---|---|\n")
	var all []float64
	for _, file := range files {
		var theirs, ours []ran
		for range r.Rounds {
			t, err := run(ctx, r.Promtool, "test", "rules", file)
			if err != nil {
				return err
			}
			o, err := run(ctx, r.Watchdog, "test", file)
			if err != nil {
				return err
			}
			theirs, ours = append(theirs, t), append(ours, o)
		}
		cpu := func(x ran) float64 { return x.cpu }
		wall := func(x ran) float64 { return x.wall.Seconds() }
		peak := func(x ran) float64 { return x.peak }
		ratio := middle(ours, cpu) / middle(theirs, cpu)
		all = append(all, ratio)
		fmt.Fprintf(w, "| %s | %.2f | %.2f | %.2f | %.2f | %.0f, %.0f |\n",
			strings.TrimSuffix(filepath.Base(file), ".yaml"), middle(theirs, cpu), middle(ours, cpu), ratio,
			middle(ours, wall)/middle(theirs, wall), middle(theirs, peak), middle(ours, peak))
	}
	slices.Sort(all)
	_, err := fmt.Fprintf(w, "\nMedian ratio of CPU: %.2f\n", all[len(all)/2])
	return err
}

func middle(all []ran, of func(ran) float64) float64 {
	var values []float64
	for _, r := range all {
		values = append(values, of(r))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// ruleTests are rule files and tests of the kinds that large collections of rules have.
var ruleTests = map[string]func() (rules, tests string){
	"absent": absent, "long-series": longSeries, "many-alerts": manyAlerts, "joins": joins, "burn-rate": burnRate,
}

// absent has one alert for each of many jobs, most of which are there.
func absent() (string, string) {
	var rules, series, alerts strings.Builder
	rules.WriteString("groups:\n- name: absent\n  rules:\n")
	for n := range 60 {
		fmt.Fprintf(&rules, "  - { alert: Job%[1]dDown, expr: 'absent(up{job=\"job-%[1]d\"} == 1)', for: 15m, labels: "+
			"{ severity: critical }, annotations: { summary: 'Job %[1]d has disappeared.' } }\n", n)
		if n%20 == 0 {
			fmt.Fprintf(&series, "  - { series: 'up{job=\"job-%d\"}', values: '1x60 0x600' }\n", n)
			fmt.Fprintf(&alerts, "  - { eval_time: 1h10m, alertname: Job%[1]dDown }\n  - { eval_time: 2h, alertname: "+
				"Job%[1]dDown, exp_alerts: [{ exp_labels: { severity: critical }, exp_annotations: { summary: "+
				"'Job %[1]d has disappeared.' } }] }\n", n)
			continue
		}
		fmt.Fprintf(&series, "  - { series: 'up{job=\"job-%d\"}', values: '1x660' }\n", n)
		fmt.Fprintf(&alerts, "  - { eval_time: 10h, alertname: Job%dDown }\n", n)
	}
	return rules.String(), "- interval: 1m\n  input_series:\n" + series.String() + "  alert_rule_test:\n" + alerts.String()
}

// longSeries looks far back over days of samples.
func longSeries() (string, string) {
	rules := `groups:
- name: long
  rules:
  - record: instance:requests:rate1h
    expr: sum by (instance) (rate(requests_total[1h]))
  - alert: TrafficFarBelowLastHours
    expr: instance:requests:rate1h < 0.5 * avg_over_time(instance:requests:rate1h[6h])
    for: 30m
    labels: { severity: warning }
    annotations: { summary: "{{ $labels.instance }} has {{ $value | humanize }} requests a second." }
  - alert: DiskFullInFourDays
    expr: predict_linear(filesystem_free_bytes[6h], 4 * 86400) < 0
    for: 1h
    labels: { severity: warning }
`
	var series strings.Builder
	for n := range 6 {
		fmt.Fprintf(&series, "  - { series: 'requests_total{instance=\"i-%d\", code=\"200\"}', values: '0+600x2880' }\n"+
			"  - { series: 'filesystem_free_bytes{instance=\"i-%[1]d\", mountpoint=\"/\"}', values: '900000000-100x2880' }\n", n)
	}
	return rules, "- interval: 1m\n  input_series:\n" + series.String() + `  alert_rule_test:
  - { eval_time: 1d12h, alertname: TrafficFarBelowLastHours }
  - { eval_time: 2d, alertname: DiskFullInFourDays }
  promql_expr_test:
  - expr: max(instance:requests:rate1h)
    eval_time: 2d
    exp_samples: [{ value: 10 }]
`
}

// manyAlerts fires for hundreds of pods at once.
func manyAlerts() (string, string) {
	rules := `groups:
- name: pods
  rules:
  - alert: PodRestartsOften
    expr: increase(kube_pod_container_status_restarts_total[30m]) > 2
    for: 15m
    labels: { severity: warning }
    annotations: { summary: "{{ $labels.namespace }}/{{ $labels.pod }} restarts often." }
  - alert: PodNotReady
    expr: sum by (namespace, pod) (kube_pod_status_phase{phase=~"Pending|Unknown|Failed"}) > 0
    for: 15m
    labels: { severity: critical }
    annotations: { summary: "{{ $labels.namespace }}/{{ $labels.pod }} is not ready." }
`
	var series, expected strings.Builder
	for n := range 300 {
		fmt.Fprintf(&series, "  - { series: 'kube_pod_container_status_restarts_total{namespace=\"shop\", pod=\"pod-%d\", "+
			"container=\"app\"}', values: '0+1x120' }\n  - { series: 'kube_pod_status_phase{namespace=\"shop\", "+
			"pod=\"pod-%[1]d\", phase=\"Pending\"}', values: '1x120' }\n", n)
		fmt.Fprintf(&expected, "    - { exp_labels: { severity: critical, namespace: shop, pod: pod-%d }, exp_annotations: "+
			"{ summary: 'shop/pod-%[1]d is not ready.' } }\n", n)
	}
	return rules, "- interval: 1m\n  input_series:\n" + series.String() +
		"  alert_rule_test:\n  - eval_time: 1h\n    alertname: PodNotReady\n    exp_alerts:\n" + expected.String()
}

// joins has recording rules that join series of several exporters, and alerts on them.
func joins() (string, string) {
	rules := `groups:
- name: workloads
  rules:
  - record: namespace_workload_pod:owner
    expr: |
      max by (namespace, workload, pod) (
        label_replace(kube_pod_owner{owner_kind="ReplicaSet"}, "workload", "$1", "owner_name", "(.*)-[0-9a-f]+"))
  - record: workload:cpu_usage:rate5m
    expr: |
      sum by (namespace, workload) (
        sum by (namespace, pod) (rate(container_cpu_usage_seconds_total{container!=""}[5m]))
        * on (namespace, pod) group_left (workload) namespace_workload_pod:owner)
  - record: workload:cpu_requests:sum
    expr: |
      sum by (namespace, workload) (
        kube_pod_container_resource_requests{resource="cpu"}
        * on (namespace, pod) group_left (workload) namespace_workload_pod:owner)
  - alert: WorkloadUsesMoreThanItRequests
    expr: workload:cpu_usage:rate5m / workload:cpu_requests:sum > 1.5
    for: 10m
    labels: { severity: info }
`
	var series strings.Builder
	for n := range 80 {
		pod := fmt.Sprintf("namespace=\"shop\", pod=\"web-%d-abcde\"", n)
		fmt.Fprintf(&series, "  - { series: 'kube_pod_owner{%[1]s, owner_kind=\"ReplicaSet\", "+
			"owner_name=\"web%[2]d-6d5f7c\"}', values: '1x300' }\n"+
			"  - { series: 'container_cpu_usage_seconds_total{%[1]s, container=\"app\"}', values: "+
			"'0+30x300' }\n  - { series: 'kube_pod_container_resource_requests{%[1]s, container=\"app\", resource=\"cpu\"}', "+
			"values: '1x300' }\n", pod, n%20)
	}
	return rules, "- interval: 1m\n  input_series:\n" + series.String() + `  alert_rule_test:
  - { eval_time: 4h, alertname: WorkloadUsesMoreThanItRequests }
  promql_expr_test:
  - { expr: count(workload:cpu_usage:rate5m), eval_time: 4h, exp_samples: [{ value: 20 }] }
`
}

// burnRate has the alerts of many objectives over several windows.
func burnRate() (string, string) {
	var rules, series strings.Builder
	rules.WriteString("groups:\n")
	for n := range 6 {
		fmt.Fprintf(&rules, "- name: slo-%d\n  rules:\n", n)
		for _, window := range []string{"5m", "30m", "1h"} {
			fmt.Fprintf(&rules, "  - { record: 'slo:errors:ratio_rate%[2]s', labels: { service: s-%[1]d }, expr: 'sum(rate("+
				"http_requests_total{service=\"s-%[1]d\", code=~\"5..\"}[%[2]s])) / sum(rate(http_requests_total{service="+
				"\"s-%[1]d\"}[%[2]s]))' }\n", n, window)
		}
		fmt.Fprintf(&rules, "  - { alert: BudgetBurns, labels: { severity: critical }, expr: "+
			"'slo:errors:ratio_rate1h{service=\"s-%[1]d\"} > 14.4 * 0.001 and on (service) "+
			"slo:errors:ratio_rate5m{service=\"s-%[1]d\"} > 14.4 * 0.001' }\n", n)
		for _, code := range []string{"200", "500"} {
			fmt.Fprintf(&series, "  - { series: 'http_requests_total{service=\"s-%d\", code=%q, instance=\"a\"}', values: "+
				"'0+600x240' }\n", n, code)
		}
	}
	return rules.String(), "- interval: 1m\n  input_series:\n" + series.String() + `  promql_expr_test:
  - { expr: 'count(ALERTS{alertname="BudgetBurns"})', eval_time: 4h, exp_samples: [{ value: 6 }] }
`
}
