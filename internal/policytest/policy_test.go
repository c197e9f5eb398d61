package policytest

import (
	"bytes"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/util/junitxml"
)

// The shipped tests of the shipped policy pass.
func TestShippedTests(t *testing.T) {
	files, err := filepath.Glob("../../configs/tests/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		r := Run(t.Context(), f, nil)
		if r.Failed() || len(r.Cases) == 0 {
			var b strings.Builder
			Print(&b, []Result{r})
			t.Error(b.String())
		}
	}
}

// file writes a configuration and a file of tests beside each other.
func file(t *testing.T, config, tests string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"watchdog.yaml": config, "tests.yaml": tests} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "tests.yaml")
}

const shop = `
mode: auto
targets:
  - {name: shop, namespace: shop, workload: deployment/shop, mode: auto}
thresholds:
  - name: errors
    mode: auto
    expr: errors
    above: 10%
    for: 1m
    severity: P1
    single_source: errors is counted at the edge, by the load balancer
    ladder: [{restart: {settle: 10s, verify: 1m}}, page]
`

const story = `
config: watchdog.yaml
tests:
  - name: restart, then page
    interval: 15s
    input_series:
      - {series: 'errors{target="shop"}', values: '0x40 0.5x80'}
    watchdog_test:
`

func TestPolicy(t *testing.T) {
	for name, c := range map[string]struct{ want, fails string }{
		"nothing yet": {"- {eval_time: 10m, exp_incidents: [], exp_ops: [], exp_pages: []}", ""},
		"a restart": {"- {eval_time: 12m, exp_ops: [{target: shop, action: restart, rule: " +
			"errors}], exp_pages: []}", ""},
		"a page when it does not help": {"- {eval_time: 25m, exp_ops: [{target: shop, verdict: no effect}], " +
			"exp_pages: [{target: shop, severity: P1, reason: ladder}]}", ""},
		"a guard that passes": {"- {eval_time: 13m, exp_guards: [{target: shop, guard: budget, hold: pass}]}",
			"budget was not asked"},
		"an incident that is not": {"- {eval_time: 10m, exp_incidents: [{target: shop}]}",
			"at 10m: exp_incidents: want 1, and got: none"},
		"an action that is not": {"- {eval_time: 13m, exp_ops: [{target: shop, action: scale}]}",
			"action: restart"},
		"a page too early": {"- {eval_time: 12m, exp_pages: [{target: shop}]}",
			"exp_pages: want 1, and got: none"},
		"a wrong severity": {"- {eval_time: 25m, exp_incidents: [{target: shop, severity: P3}]}",
			"severity: P1"},
		"a wrong phase": {"- {eval_time: 25m, exp_incidents: [{target: shop, phase: open}]}",
			"phase: escalated"},
		"no guard asked yet": {"- {eval_time: 1m, exp_guards: [{target: shop, guard: rollout, hold: pass}]}",
			"nothing was planned for shop yet"},
		"a guard that says otherwise": {"- {eval_time: 13m, exp_guards: [{target: shop, guard: rollout, hold: " +
			"wait, reason: moving}]}", "hold: pass"},
		"the same, and it is right": {"- {eval_time: 13m, exp_guards: [{target: shop, guard: rollout, hold: pass}]}",
			""},
	} {
		t.Run(name, func(t *testing.T) {
			r := Run(t.Context(), file(t, shop, story+"      "+c.want+"\n"), nil)
			var b strings.Builder
			Print(&b, []Result{r})
			switch {
			case c.fails == "" && r.Failed():
				t.Error(b.String())
			case c.fails != "" && (!r.Failed() || !strings.Contains(b.String(), c.fails)):
				t.Errorf("want a failure with %q, got\n%s", c.fails, b.String())
			}
		})
	}
}

// A file that cannot be meant says what is wrong, and nothing of it is run.
func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"tests: [{watchdog_test: [{eval_time: 1m}]}]":                            "needs the key config",
		"config: watchdog.yaml\ntests: [{workloads: [{target: shp}]}]":           `no target "shp"`,
		"config: watchdog.yaml\ntests: [{events: [{at: 1m, what: earthquake}]}]": `"earthquake" is none of`,
		"config: watchdog.yaml\ntests: [{events: [{at: 1m, what: hold}]}]":       `no target ""`,
		"config: nowhere.yaml":                                     "nowhere.yaml",
		"rule_files: [nowhere.yaml]":                               "no file is called nowhere.yaml",
		"tests: [{input_serie: []}]":                               "input_serie",
		"tests: [{input_series: [{series: 'a{', values: '1'}]}]":   "input_series[0]",
		"tests: [{start_timestamp: yesterday}]":                    "want RFC 3339",
		"tests: [{alert_rule_test: [{eval_time: 1m}]}]":            "misses the attribute alertname",
		"config: watchdog.yaml\nmode: auto\ntests: {}":             "tests.yaml",
		"config: watchdog.yaml\ntests: [{events: [{at: one}]}]":    "one",
		"tests: [{watchdog_test: [{exp_ops: [{summary: '(3'}]}]}]": "line 1: error parsing regexp",
	} {
		r := Run(t.Context(), file(t, shop, text), nil)
		var b strings.Builder
		Print(&b, []Result{r})
		if !r.Failed() || !strings.Contains(b.String(), want) {
			t.Errorf("%s:\nwant a failure with %q, got\n%s", text, want, b.String())
		}
	}
}

// The same test gives the same answers, however often it is run.
func TestRunTwice(t *testing.T) {
	path := file(t, shop, story+"      - {eval_time: 25m, exp_incidents: []}\n")
	var texts [2]string
	for k := range texts {
		var b strings.Builder
		Print(&b, []Result{Run(t.Context(), path, nil)})
		texts[k] = b.String()
	}
	if texts[0] != texts[1] || !strings.Contains(texts[0], "phase: escalated") {
		t.Errorf("%s\n%s", texts[0], texts[1])
	}
}

func TestJUnit(t *testing.T) {
	r := Run(t.Context(), file(t, shop, story+"      - {eval_time: 10m, exp_incidents: [{target: shop}]}\n"), nil)
	var b bytes.Buffer
	if err := WriteJUnit(&b, []Result{r, {File: "gone.yaml", Err: os.ErrNotExist}}); err != nil {
		t.Fatal(err)
	}
	var x junitxml.JUnitXML
	if err := xml.Unmarshal(b.Bytes(), &x); err != nil {
		t.Fatal(err)
	}
	if len(x.Suites) != 2 || x.Suites[0].FailureCount != 1 || x.Suites[0].Cases[0].Name != "restart, then page" ||
		x.Suites[1].FailureCount+x.Suites[1].ErrorCount != 1 {
		t.Errorf("%s", b.String())
	}
}
