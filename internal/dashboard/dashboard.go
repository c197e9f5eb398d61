// Package dashboard writes the Grafana dashboard that the chart ships. It is made of
// panels in Go, so that a test can hold each query against what watchdog exports.
package dashboard

import (
	"encoding/json"
	"strings"
)

// Panel is one panel. In Queries, SEL stands for the selector of the chosen replicas.
type Panel struct {
	Title, About string
	Kind         string // timeseries or stat
	Unit         string // Grafana's name of the unit
	Queries      []Query
}

// Query is one query of a panel with the legend of its series.
type Query struct{ Expr, Legend string }

// Row is a heading with its panels.
type Row struct {
	Title  string
	Panels []Panel
}

// selector chooses replicas. Every replica looks and judges; the leader alone acts.
const selector = `job=~"$job", instance=~"$instance"`

func one(expr, legend string) []Query { return []Query{{expr, legend}} }

// Rows are all panels, in the order in which the on-call needs them.
func Rows() []Row {
	return []Row{
		{"Current state", []Panel{
			{Title: "Targets", About: "Targets in the current configuration.", Kind: "stat", Unit: "short",
				Queries: one(`max(watchdog_targets{SEL})`, "targets")},
			{Title: "Open incidents", About: "Incidents that are not resolved, counted by the leader.",
				Kind: "stat", Unit: "short", Queries: one(`max by () (sum by (instance) (watchdog_incidents{SEL}))`,
					"open")},
			{Title: "Leaders", About: "Replicas that lead. If this is not 1 for longer than a leader election takes, " +
				"watchdog takes no action (0), or two replicas believe that they lead (2).", Kind: "stat", Unit: "short",
				Queries: one(`sum(watchdog_leader{SEL})`, "leaders")},
			{Title: "Blind", About: "Sources of data that watchdog cannot trust now. While there is one, watchdog takes " +
				"no action.", Kind: "stat", Unit: "short",
				Queries: one(`sum(max by (source) (watchdog_monitoring_blind{SEL}))`, "sources")},
			{Title: "Incidents by phase", About: "Escalated: a person must act. Frozen: watchdog does not trust " +
				"its data. Suppressed: the target is on hold, silenced or in maintenance.", Kind: "timeseries", Unit: "short",
				Queries: one(`max by (phase) (watchdog_incidents{SEL})`, "{{phase}}")},
			{Title: "Firing alerts", About: "Firing alerts of all targets, by rule: thresholds, rule files and " +
				"SLOs.", Kind: "timeseries", Unit: "short",
				Queries: one(`max by (rule) (watchdog_alerts{SEL, state="firing"}) > 0`, "{{rule}}")},
			{Title: "Unhealthy probes", About: "Unhealthy probes per target, after damping.", Kind: "timeseries",
				Unit: "short", Queries: one(`sum by (target) (1 - min by (target, probe) (watchdog_probe_healthy{SEL}))`, "{{target}}")},
			{Title: "Ready pods", About: "Ready pods divided by desired pods, per target.", Kind: "timeseries", Unit: "percentunit",
				Queries: one(`min by (target) (watchdog_workload_ready_ratio{SEL})`, "{{target}}")},
		}},
		{"Remediation", []Panel{
			{Title: "Writes by outcome", About: "Writes sent for actions, by action and outcome. Conflicted: " +
				"the object changed first, nothing was written.", Kind: "timeseries", Unit: "short",
				Queries: one(`sum by (action, outcome) (increase(watchdog_ops_total{SEL}[$__rate_interval]))`,
					"{{action}} {{outcome}}")},
			{Title: "Verdicts on actions", About: "Verdicts on the effect of actions, by action.",
				Kind: "timeseries", Unit: "short",
				Queries: one(`sum by (action, verdict) (increase(watchdog_op_verdicts_total{SEL}[$__rate_interval]))`,
					"{{action}}: {{verdict}}")},
			{Title: "Guards that held", About: "Plans that a guard held, by guard and answer. watchdog why ID " +
				"shows the reason and its figures.", Kind: "timeseries", Unit: "short",
				Queries: one(`sum by (guard, hold) (increase(watchdog_plans_held_total{SEL}[$__rate_interval]))`,
					"{{guard}}: {{hold}}")},
			{Title: "Changes on lease", About: "Changes that watchdog reverts when their lease expires.",
				Kind: "timeseries", Unit: "short", Queries: one(`max(watchdog_leases{SEL})`, "leases")},
		}},
		{"Notifications", []Panel{
			{Title: "Notifications by receiver and result",
				About: "Notifications by result. For retry and refused, check the receiver.", Kind: "timeseries",
				Unit: "short", Queries: one(`sum by (receiver, result) `+
					`(increase(watchdog_notifications_total{SEL}[$__rate_interval]))`, "{{receiver}} {{result}}")},
			{Title: "Notification queue", About: "Incidents with an undelivered notification. It must return " +
				"to 0.", Kind: "timeseries", Unit: "short",
				Queries: one(`max by (receiver) (watchdog_notification_queue_length{SEL})`, "{{receiver}}")},
			{Title: "Time since the last accepted notification",
				About: "A long time alone is not a problem: there may have been nothing to send.",
				Kind:  "timeseries", Unit: "s",
				Queries: one(`time() - max by (receiver) (watchdog_notification_last_success_timestamp_seconds{SEL} > 0)`, "{{receiver}}")},
			{Title: "Alertmanager webhooks",
				About: "Webhook requests of Alertmanager and Grafana, by result. For results other than accepted " +
					"and forwarded, see docs/webhook.md.", Kind: "timeseries", Unit: "reqps",
				Queries: one(`sum by (result) (rate(watchdog_webhook_requests_total{SEL}[$__rate_interval]))`,
					"{{result}}")},
		}},
		{"Monitoring", []Panel{
			{Title: "Probes without a result",
				About: "Probes whose last run had no usable result: neither ok nor bad.",
				Kind:  "timeseries", Unit: "short",
				Queries: one(`sum by (target) (max by (target, probe) (watchdog_probe_unknown{SEL}))`, "{{target}}")},
			{Title: "Probe duration", About: "Duration of the last probe, on the slowest replica.", Kind: "timeseries", Unit: "s",
				Queries: one(`max by (target, probe) (probe_duration_seconds{SEL})`, "{{target}} {{probe}}")},
			{Title: "Failed evaluations", About: "Rules whose query failed: their verdict is ERROR, which " +
				"leads to no action.", Kind: "timeseries", Unit: "short", Queries: []Query{
				{`sum by (rule) (increase(watchdog_rule_evaluation_failures_total{SEL}[$__rate_interval]))`,
					"{{rule}}"},
				{`sum by (rule_group) (increase(watchdog_rule_group_rule_failures_total{SEL}[$__rate_interval]))`,
					"{{rule_group}}"},
			}},
			{Title: "Evaluation duration", About: "99th percentile of one evaluation of all thresholds.", Kind: "timeseries",
				Unit: "s", Queries: one(`histogram_quantile(0.99, sum by (source, le) `+
					`(rate(watchdog_rule_round_duration_seconds_bucket{SEL}[$__rate_interval])))`, "{{source}}")},
			{Title: "Watch silence",
				About: "Time since the last message of the API server, on the watch that has been silent the longest.",
				Kind:  "timeseries", Unit: "s",
				Queries: one(`max by (instance) (watchdog_kube_watch_silence_seconds{SEL})`, "{{instance}}")},
			{Title: "Series and rejected samples", About: "Series in the embedded store, and rejected samples by reason.",
				Kind: "timeseries", Unit: "short", Queries: []Query{
					{`max by (instance) (watchdog_store_series{SEL})`, "series {{instance}}"},
					{`sum by (reason) (increase(watchdog_store_samples_refused_total{SEL}[$__rate_interval]))`,
						"rejected: {{reason}}"},
				}},
		}},
		{"watchdog", []Panel{
			{Title: "Configuration", About: "1 if the last reload succeeded; at 0 watchdog keeps the " +
				"previous configuration.", Kind: "timeseries", Unit: "short",
				Queries: one(`min by (instance) (watchdog_config_last_reload_successful{SEL})`, "{{instance}}")},
			{Title: "CPU", About: "CPU cores in use.", Kind: "timeseries", Unit: "short",
				Queries: one(`sum by (instance) (rate(process_cpu_seconds_total{SEL}[$__rate_interval]))`,
					"{{instance}}")},
			{Title: "Memory", About: "Resident memory.", Kind: "timeseries", Unit: "bytes",
				Queries: one(`max by (instance) (process_resident_memory_bytes{SEL})`, "{{instance}}")},
			{Title: "Panics and failed starts",
				About: "Recovered panics: each is a bug, and watchdog takes no action afterwards. Failed " +
					"starts: a new leader could not read its state.", Kind: "timeseries", Unit: "short", Queries: []Query{
					{`sum(increase(watchdog_panics_recovered_total{SEL}[$__rate_interval]))`, "panics"},
					{`sum(increase(watchdog_leader_start_failures_total{SEL}[$__rate_interval]))`, "failed starts"},
				}},
			{Title: "Clock skew", About: "Offset of the host's clock from the API server's at startup; positive if ahead.",
				Kind: "timeseries", Unit: "s", Queries: one(`max by (instance) (watchdog_clock_skew_seconds{SEL})`,
					"{{instance}}")},
			{Title: "Requests to the API server", About: "Requests that each replica sends to the API server, by verb.",
				Kind: "timeseries", Unit: "reqps", Queries: one(`sum by (instance, verb) `+
					`(rate(watchdog_kube_requests_total{SEL}[$__rate_interval]))`, "{{instance}} {{verb}}")},
			{Title: "Versions", About: "Replicas by version.", Kind: "timeseries", Unit: "short",
				Queries: one(`count by (version) (watchdog_build_info{SEL})`, "{{version}}")},
		}},
	}
}

// Full is a query with its selector.
func (q Query) Full() string { return strings.ReplaceAll(q.Expr, "SEL", selector) }

type object = map[string]any

var datasource = object{"type": "prometheus", "uid": "${datasource}"}

// JSON is the dashboard as Grafana imports it.
func JSON() ([]byte, error) {
	var panels []object
	id, y := 0, 0
	add := func(p object, x, y, w, h int) {
		id++
		p["id"], p["gridPos"] = id, object{"x": x, "y": y, "w": w, "h": h}
		panels = append(panels, p)
	}
	for _, r := range Rows() {
		add(object{"type": "row", "title": r.Title, "collapsed": false, "panels": []any{}}, 0, y, 24, 1)
		y++
		x := 0
		for k, p := range r.Panels {
			w, h := 12, 7
			if p.Kind == "stat" {
				w, h = 6, 4
			}
			add(p.object(), x, y, w, h)
			if x += w; x >= 24 || k == len(r.Panels)-1 || r.Panels[k+1].Kind != p.Kind {
				x, y = 0, y+h
			}
		}
	}
	d := object{
		"uid": "watchdog", "title": "watchdog",
		"description": "Targets, incidents, actions, guards, receivers, and watchdog itself.",
		"tags":        []string{"watchdog"},
		"timezone":    "browser", "editable": false, "graphTooltip": 1, "refresh": "30s", "schemaVersion": 39,
		"version": 1,
		"time":    object{"from": "now-6h", "to": "now"}, "annotations": object{"list": []any{}}, "links": []any{},
		"panels": panels,
		"templating": object{"list": []object{
			{"name": "datasource", "label": "Data Source", "type": "datasource", "query": "prometheus", "hide": 0,
				"current": object{}, "refresh": 1, "regex": "", "multi": false, "includeAll": false},
			variable("job", "Job", `label_values(watchdog_build_info, job)`),
			variable("instance", "Instance", `label_values(watchdog_build_info{job=~"$job"}, instance)`),
		}},
	}
	text, err := json.MarshalIndent(d, "", "  ")
	return append(text, '\n'), err
}

func variable(name, label, query string) object {
	return object{
		"name": name, "label": label, "type": "query", "datasource": datasource,
		"query": object{"query": query, "refId": "A"}, "definition": query, "refresh": 2, "sort": 1,
		"multi": true, "includeAll": true, "allValue": ".+", "hide": 0,
		"current": object{"selected": true, "text": []string{"All"}, "value": []string{"$__all"}},
	}
}

func (p Panel) object() object {
	var targets []object
	for k, q := range p.Queries {
		targets = append(targets, object{"refId": string(rune('A' + k)), "datasource": datasource, "expr": q.Full(),
			"legendFormat": q.Legend, "instant": false, "range": true})
	}
	defaults := object{"unit": p.Unit, "min": 0, "color": object{"mode": "palette-classic"},
		"custom": object{"lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": false}}
	options := object{"legend": object{"displayMode": "list", "placement": "bottom", "showLegend": true},
		"tooltip": object{"mode": "multi", "sort": "desc"}}
	if p.Kind == "stat" {
		delete(defaults, "custom")
		options = object{"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
			"colorMode": "value", "graphMode": "area", "textMode": "value"}
	}
	return object{"type": p.Kind, "title": p.Title, "description": p.About, "datasource": datasource,
		"targets": targets, "fieldConfig": object{"defaults": defaults, "overrides": []any{}}, "options": options}
}
