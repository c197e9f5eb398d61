package lint

import (
	"fmt"
	"strings"
	"testing"
)

// What other people's rule files gave (X79): one finding per mistake, on one line, and
// none for what is right.
func TestRuleFilesOfOthers(t *testing.T) {
	var many strings.Builder
	many.WriteString("groups:\n- name: g\n  rules:\n")
	for i := range 50 {
		fmt.Fprintf(&many, "  - {record: 'r%d', expr: 'sum(kube_pod_info_%d)'}\n", i, i)
	}
	const act, tell = "[{matchers: ['alertname=~\".+\"'], ladder: [{scale: {by: 1, max: 5}}, page]}]",
		"[{matchers: ['alertname=~\".+\"'], ladder: [page]}]"
	rule := func(text string) string { return "groups: [{name: g, rules: [" + text + "]}]" }
	for name, c := range map[string]struct{ rules, key, routes, lint, want string }{
		"a whole file that only the server can judge": {many.String(), "rule_files", tell, "unknown-metric",
			"kube_pod_info_0, kube_pod_info_1, kube_pod_info_2 and 47 more"},
		"the same where it belongs": {many.String(), "prometheus", tell, "unknown-metric", ""},
		"a metric under its old name": {rule(`{alert: A, expr: 'rate(watchdog_hints_lost_total[5m]) > 0'}`),
			"prometheus", tell,
			"renamed-metric", "watchdog_hints_lost_total was renamed to watchdog_ingest_lost_total"},
		"a metric under its new name": {rule(`{alert: A, expr: 'rate(watchdog_responder_actions_total[5m]) > 0'}`),
			"prometheus",
			tell, "renamed-metric", ""},
		"a recorded series with a range behind it": {rule(`{record: e, expr: 'sum by (pod) (rate(x[5m]))'}, {record: ` +
			`f, expr: e}, {alert: A, expr: f > 1}`),
			"prometheus", act, "no-window", ""},
		"one that records itself": {rule(`{record: e, expr: e}, {alert: A, expr: e > 1}`), "prometheus", act,
			"no-window", "a single sample triggers the action"},
		"an expression over several lines": {"groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |\n      " +
			"up{pod=\"x\"}\n        == 0\n",
			"prometheus", act, "no-window", `up{pod="x"} == 0 has no range`},
		"always": {rule(`{alert: Watchdog, expr: vector(1)}`), "prometheus", tell, "always-firing",
			"Watchdog selects no series"},
		"a constant beside a series": {rule(`{alert: A, expr: 'up == vector(1)'}`), "prometheus", tell, "always-firing",
			""},
		"no label of a target": {rule(`{alert: A, expr: 'sum(rate(e[5m])) > 1', for: 1m}`), "prometheus", act,
			"no-target-label", "labels: none"},
		"the namespace alone": {rule(`{alert: A, expr: 'sum by (namespace, code) (rate(e[5m])) > 1', for: 1m}`),
			"prometheus", act, "no-target-label", "labels: namespace, code"},
		"by pod": {rule(`{alert: A, expr: 'sum by (namespace, pod) (rate(e[5m])) > 1', for: 1m}`),
			"prometheus", act, "no-target-label", ""},
		"the rule names it": {rule(`{alert: A, expr: 'sum(rate(e[5m])) > 1', for: 1m, labels: {deployment: shop}}`),
			"prometheus", act, "no-target-label", ""},
		"it is replaced": {rule(`{alert: A, expr: 'label_replace(sum(rate(e[5m])), "target", "shop", "", "") > 1', ` +
			`for: 1m}`), "prometheus", act, "no-target-label", ""},
		"taken over from the one side": {rule(`{alert: A, expr: 'sum by (uid) (rate(e[5m])) * on (uid) group_left ` +
			`(pod) info > 1', for: 1m}`),
			"prometheus", act, "no-target-label", ""},
		"a route that only tells": {rule(`{alert: A, expr: 'sum(rate(e[5m])) > 1', for: 1m}`), "prometheus", tell,
			"no-target-label", ""},
		"a sibling's field": {"groups:\n- name: g\n  concurrency: 2\n  rules:\n  - {alert: A, expr: up == 0, debug: " +
			"true}\n",
			"prometheus", tell, "ignored-field",
			"field concurrency is supported by vmalert only and is ignored (line 3)"},
	} {
		t.Run(name, func(t *testing.T) {
			key := "rule_files: [r.yaml]\n"
			if c.key == "prometheus" {
				key = "prometheus: {url: 'http://p', rule_files: [r.yaml]}\n"
			}
			found, err := Check(load(t, head+"thresholds: []\n"+key+"routes: "+c.routes,
				map[string]string{"r.yaml": c.rules}), nil)
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			for _, f := range found {
				if f.Lint == c.lint {
					texts = append(texts, f.String())
				}
			}
			switch {
			case c.want == "" && len(texts) > 0:
				t.Errorf("found %q", texts)
			case c.want != "" && (len(texts) == 0 || !strings.Contains(texts[0], c.want) ||
				strings.Contains(texts[0], "\n")):
				t.Errorf("found %q, want %q", texts, c.want)
			case c.lint == "unknown-metric" && len(texts) > 1:
				t.Errorf("%d findings for one mistake", len(texts))
			}
		})
	}
}
