package rules

import (
	"context"
	"strings"
	"testing"
	"time"
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
	if g.Name != "shop" || g.Interval != 30*time.Second || g.QueryOffset != 10*time.Second || g.Limit != 5 || g.Source != Local || g.Reach() != 10*time.Minute+10*time.Second {
		t.Errorf("group %+v, reach %s", g, g.Reach())
	}
	r := g.Rules[1]
	if r.Alert != "Errors" || r.For != 5*time.Minute || r.KeepFiringFor != 2*time.Minute || r.Line != 11 || r.Labels.Get("severity") != "critical" || r.Labels.Get("team") != "shop" {
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
`, []string{`f.yaml:5:15: group "a", rule 1, "One": could not parse expression`, `f.yaml:6:17: group "a", rule 2, "two{}": braces present`}},
		"unknown key":  {"groups:\n  - name: a\n    rules:\n      - alert: One\n        expr: x > 1\n        remediate: restart\n", []string{"f.yaml:6: field remediate not found"}},
		"a template":   {"groups:\n  - name: a\n    rules:\n      - alert: One\n        expr: x > 1\n        annotations: {summary: '{{ $x }}'}\n", []string{`group "a", rule 1, "One": annotation "summary"`, `undefined variable "$x"`}},
		"no group":     {"groups:\n  - rules: []\n", []string{"f.yaml: Groupname must not be empty"}},
		"a string":     {"groups:\n  - name: a\n    rules:\n      - {alert: One, expr: '\"text\"'}\n", []string{`f.yaml:4: group "a", "One": the expression gives a string`}},
		"a matrix":     {"groups:\n  - name: a\n    rules:\n      - {alert: One, expr: 'x[5m]'}\n", []string{`the expression gives a matrix`}},
		"two files":    {"groups: []\n---\ngroups: []\n", []string{"f.yaml:2:1: more than one YAML document"}},
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
	f.Add([]byte("kind: PrometheusRule\nspec: {groups: [{name: a, rules: [{alert: A, expr: '1'}]}]}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		groups, err := ParseFile("f.yaml", text, Local)
		if err != nil {
			if len(groups) > 0 {
				t.Error("a file with an error was loaded")
			}
			return
		}
		g, err := NewGroups(GroupsOptions{Local: func(context.Context, string, time.Time) ([]Point, error) { return nil, nil }, Target: byLabel})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Set(groups); err != nil {
			t.Errorf("parsed and not loaded: %v", err)
		}
	})
}
