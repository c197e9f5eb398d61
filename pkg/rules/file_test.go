package rules

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/promql"
)

func TestARuleFileIsReadAsItStands(t *testing.T) {
	text := `# rules of the shop
groups:
  - name: shop
    interval: 30s
    query_offset: 10s
    limit: 5
    labels: {team: shop, severity: warning}
    rules:
      - record: shop:errors:rate5m
        expr: sum by (pod) (rate(errors_total[5m]))
      - alert: Errors
        expr: shop:errors:rate5m > 0.1
        for: 5m
        keep_firing_for: 2m
        labels: {severity: critical}
        annotations:
          summary: '{{ $labels.pod }} fails'
`
	groups, err := ParseFile("shop.yaml", []byte(text), Local)
	if err != nil {
		t.Fatal(err)
	}
	g := groups[0]
	if g.Name != "shop" || g.Interval != 30*time.Second || g.QueryOffset != 10*time.Second || g.Limit != 5 ||
		g.Source != Local || g.Reach() != 10*time.Minute+10*time.Second {
		t.Errorf("group %+v, reach %s", g, g.Reach())
	}
	r := g.Rules[1]
	if r.Alert != "Errors" || r.For != 5*time.Minute || r.KeepFiringFor != 2*time.Minute || r.Line != 11 ||
		r.Labels.Get("severity") != "critical" || r.Labels.Get("team") != "shop" {
		t.Errorf("rule %+v", r)
	}
}

const operatorRule = `apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: shop
spec:
  # the shop's own
  groups:
    - name: shop
      rules:
        - alert: Errors
          expr: %s
`

func TestAPrometheusRuleManifestIsReadLikeARuleFile(t *testing.T) {
	groups, err := ParseFile("rule.yaml", []byte(strings.Replace(operatorRule, "%s", "errors > 1", 1)), Local)
	if err != nil || len(groups) != 1 || groups[0].Rules[0].Alert != "Errors" || groups[0].Rules[0].Line != 10 {
		t.Fatalf("%+v, %v", groups, err)
	}
}

// X59, X77: what the siblings of Prometheus add is left aside and named, with its place.
func TestFieldsOfSiblingsAreNamedAndLeftAside(t *testing.T) {
	text := `---
kind: List
items:
- kind: PrometheusRule
  metadata: {name: x, namespace: monitoring}
  spec:
    groups:
    - name: g
      partial_response_strategy: abort
      rules:
      - {alert: A, expr: up == 0, debug: true}
- kind: PrometheusRule
  metadata: {name: y, namespace: monitoring}
  spec: {groups: [{name: g, rules: [{record: b, expr: up, labels: {pod: ""}}]}]}
---
`
	groups, err := ParseFile("list.yaml", []byte(text), Local)
	if err != nil {
		t.Fatal(err)
	}
	if len(groups) != 2 || groups[0].key() == groups[1].key() || groups[0].Rules[0].Line != 11 {
		t.Fatalf("%+v", groups)
	}
	want := []Ignored{{9, "partial_response_strategy", "Thanos"}, {11, "debug", "vmalert"}}
	if !slices.Equal(groups[0].Ignored, want) {
		t.Errorf("ignored %+v, want %+v", groups[0].Ignored, want)
	}
	if l := groups[1].Rules[0].Labels; l.Len() != 1 || !l.Has("pod") {
		t.Errorf("labels %s: an empty one drops the label, so it must be kept (X73)", l)
	}
}

// X82: what an experimental function gives is the server's business.
func TestAServerMayKnowExperimentalFunctions(t *testing.T) {
	text := []byte("groups:\n  - name: a\n    rules:\n      - {alert: One, expr: 'sort_by_label(x, \"pod\") > 1'}\n")
	if _, err := ParseFile("f.yaml", text, Prometheus); err != nil {
		t.Error(err)
	}
	if _, err := compile(Threshold{Name: "r", Source: Prometheus, Expr: "max by (target) (limitk(1, x))",
		For: time.Minute}); err != nil {
		t.Error(err)
	}
	if _, err := compile(Threshold{Name: "r", Source: Local, Expr: "max by (target) (limitk(1, x))",
		For: time.Minute}); err == nil || !strings.Contains(err.Error(), "limitk is experimental") {
		t.Errorf("the embedded engine: %v", err)
	}
}

// Everything that is wrong is told at once, with file, line, group and rule, and
// nothing of the file is loaded.
func TestABadRuleFileSaysWhereAndWhat(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"two mistakes": {`groups:
  - name: a
    rules:
      - alert: One
        expr: sum(x
      - record: "two{}"
        expr: x
`, []string{`f.yaml:5:15: group "a", rule 1, "One": could not parse expression`,
			`f.yaml:6:17: group "a", rule 2, "two{}": braces present`}},
		"unknown key": {"groups:\n  - name: a\n    rules:\n      - alert: One\n        expr: x > 1\n   " +
			"     remediate: restart\n",
			[]string{`f.yaml:6:9: unknown field "remediate" in a rule; expected one of: alert, annotations, expr`}},
		"a field of another place": {"groups:\n  - name: a\n    update_entries_limit: 1\n    rules: []\n",
			[]string{`f.yaml:3:5: unknown field "update_entries_limit" in a group`}},
		"graphite": {"groups:\n  - name: a\n    type: graphite\n    rules: []\n",
			[]string{"f.yaml:3:5: the group's type is graphite"}},
		"a list of others": {"kind: List\nitems:\n  - kind: Deployment\n",
			[]string{"f.yaml:3:5: the manifest is a Deployment"}},
		"a list of nothing": {"kind: List\n", []string{"f.yaml:1:1: the List has no items"}},
		"one group twice": {strings.Repeat(strings.Replace(operatorRule, "%s", "errors > 1", 1)+"---\n", 2),
			[]string{`duplicate group "shop" in the PrometheusRule /shop`}},
		"in the second of two manifests": {strings.Replace(operatorRule, "%s", "errors > 1", 1) + "---\n" +
			strings.Replace(operatorRule, "%s", "sum(x", 1),
			[]string{`f.yaml:23:17: group "shop", rule 1, "Errors": could not parse expression`}},
		"a template": {"groups:\n  - name: a\n    rules:\n      - alert: One\n        expr: x > " +
			"1\n        annotations: {summary: '{{ $x }}'}\n",
			[]string{`group "a", rule 1, "One": annotation "summary"`, `undefined variable "$x"`}},
		"no group": {"groups:\n  - rules: []\n", []string{"f.yaml: Groupname must not be empty"}},
		"an experimental function": {"groups:\n  - name: a\n    rules:\n      - {alert: One, expr: " +
			"'sort_by_label(x, \"pod\")'}\n",
			[]string{`f.yaml:4: group "a", "One": the function sort_by_label is experimental`}},
		"an experimental aggregation": {"groups:\n  - name: a\n    rules:\n      - {alert: One, expr: 'limitk(1, x)'}\n", []string{
			"the aggregation limitk is experimental"}},
		"a string": {"groups:\n  - name: a\n    rules:\n      - {alert: One, expr: '\"text\"'}\n",
			[]string{`f.yaml:4: group "a", "One": the expression gives a string`}},
		"a matrix": {"groups:\n  - name: a\n    rules:\n      - {alert: One, expr: 'x[5m]'}\n",
			[]string{`the expression gives a matrix`}},
		"two files": {"groups: []\n---\ngroups: []\n",
			[]string{"f.yaml:3:1: more than one YAML document"}},
		"an empty document before it": {"---\n---\ngroups:\n  - name: a\n    rules: []\n",
			[]string{"f.yaml:3:1: the first YAML document is empty"}},
		"a deployment": {"kind: Deployment\nspec: {}\n", []string{"the manifest is a Deployment"}},
		"no spec":      {"kind: PrometheusRule\n", []string{"has no spec"}},
		"in a manifest": {strings.Replace(operatorRule, "%s", "sum(x", 1),
			[]string{`f.yaml:11:17: group "shop", rule 1, "Errors": could not parse expression`}},
		"no yaml": {"groups: [", []string{"f.yaml:"}},
	} {
		t.Run(name, func(t *testing.T) {
			groups, err := ParseFile("f.yaml", []byte(c.text), Local)
			if err == nil || len(groups) != 0 {
				t.Fatalf("loaded %d groups, error %v", len(groups), err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("the error does not say %q:\n%v", w, err)
				}
			}
		})
	}
}

func FuzzRuleFile(f *testing.F) {
	f.Add([]byte(queueFile))
	f.Add([]byte(strings.Replace(operatorRule, "%s", "errors > 1", 1)))
	f.Add([]byte("kind: List\nitems: [{kind: PrometheusRule, spec: {groups: [{name: a, debug: true, rules: " +
		"[]}]}}]\n---\n"))
	f.Add([]byte("kind: PrometheusRule\nspec: {groups: [{name: a, rules: [{alert: A, expr: '1'}]}]}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		groups, err := ParseFile("f.yaml", text, Local)
		if err != nil {
			if len(groups) > 0 {
				t.Error("a file with an error was loaded")
			}
			return
		}
		g, err := NewManager(Options{Local: func(context.Context, string, time.Time) ([]promql.Point,
			error) {
			return nil, nil
		}, Target: byLabel})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Update(Config{Groups: groups}); err != nil {
			t.Errorf("parsed and not loaded: %v", err)
		}
	})
}
