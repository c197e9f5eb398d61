package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

func TestEveryShippedExampleLoads(t *testing.T) {
	files, err := filepath.Glob("../../configs/*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		if _, err := Load(f); err != nil {
			t.Error(err)
		}
	}
}

func TestAFreshFileActsOnNothing_INV48(t *testing.T) {
	c, err := Load("../../configs/minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if c.Mode != incident.Observe || c.Targets[0].Mode != incident.Observe {
		t.Errorf("mode %s, target %s", c.Mode, c.Targets[0].Mode)
	}
	if len(c.Thresholds) != 8 {
		t.Errorf("%d shipped rules", len(c.Thresholds))
	}
	for _, r := range c.Thresholds {
		if r.Mode != incident.Observe {
			t.Errorf("shipped rule %s has mode %s", r.Name, r.Mode)
		}
	}
}

func TestTheShippedTableIsTheRunbooks(t *testing.T) {
	for metric, bound := range map[string]float64{"response_time": 0.5, "error_rate": 0.001, "cpu": 0.8, "memory": 0.85} {
		r, ok := shipped(metric)
		if !ok || r.Above == nil || r.Above.Value != bound {
			t.Errorf("%s: %+v", metric, r.Above)
		}
	}
	if r, _ := shipped("active_agents"); r.Below == nil || r.Below.Value != 2 {
		t.Errorf("active_agents: %+v", r.Below)
	}
	for _, r := range DefaultThresholds() {
		r.setDefaults()
		if r.For <= 0 || r.ClearFor <= 0 || len(r.Ladder) == 0 || r.Severity == "" {
			t.Errorf("%s is not complete: %+v", r.Name, r)
		}
	}
}

func TestAMetricTakesWhatIsNotGivenFromTheTable(t *testing.T) {
	c, err := Parse("x.yaml", []byte("targets: [{name: a, namespace: n, workload: deployment/a}]\nthresholds: [{metric: error_rate, mode: auto, above: 2%}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := c.Thresholds[0]
	if r.Above.Value != 0.02 || r.ClearBelow != nil || time.Duration(r.For) != 5*time.Minute || r.MinRequests != 1000 || r.Ladder[1].Action != "rollback" || r.Name != "error_rate" {
		t.Errorf("%+v", r)
	}
}

// good is a file that every case below breaks in one place.
const good = `mode: auto
targets:
  - name: shop
    mode: auto
    namespace: shop
    workload: deployment/shop
    probes:
      - health: { url: "http://shop/health", interval: 15s }
thresholds:
  - name: slow
    metric: response_time
    above: 500ms
    clear_below: 400ms
    for: 5m
    min_rate: 1
    severity: P2
    mode: auto
    ladder:
      - capture
      - scale: { by: 25%, max: 20, lease: 2h }
      - page
`

func TestEachMistakeIsOneClearError(t *testing.T) {
	for _, tc := range []struct{ name, old, new, want string }{
		{"unknown field", "mode: auto\ntargets", "modee: auto\ntargets", `bad.yaml:1:1: modee: unknown field modee; see docs/configuration.md`},
		{"wrong type", "interval: 15s", "interval: [1]", `bad.yaml:8:56: targets[0].probes[0].health.interval: cannot read a list; another kind of value belongs here`},
		{"duplicate key", "mode: auto\ntargets", "mode: auto\nmode: auto\ntargets", `bad.yaml:2:1: mode: mapping key "mode" already defined at line 1`},
		{"approve", "mode: auto\ntargets", "mode: approve\ntargets", `bad.yaml:1:7: mode: approve needs approvals, which this version does not have; use suggest`},
		{"unknown mode", "mode: auto\ntargets", "mode: yolo\ntargets", `bad.yaml:1:7: mode: unknown mode "yolo"; use observe, suggest or auto`},
		{"no workload", "deployment/shop", "shop", `bad.yaml:6:15: targets[0].workload: "shop" is no workload; write kind/name: deployment/shop`},
		{"a kind that cannot be acted upon", "deployment/shop", "statefulset/shop", `bad.yaml:6:15: targets[0].workload: only deployments can be acted upon; a statefulset can be watched with mode: observe`},
		{"unknown kind", "deployment/shop", "pod/shop", `bad.yaml:6:15: targets[0].workload: unknown kind "pod"; use deployment, statefulset or daemonset`},
		{"no URL", "http://shop/health", "shop/health", `bad.yaml:8:24: targets[0].probes[0].health.url: "shop/health" is no URL of a server; write http://host:port/path or https://…`},
		{"credentials in a URL", "http://shop/health", "http://u:p@shop/health", `bad.yaml:8:24: targets[0].probes[0].health.url: the URL carries credentials; use bearer_token_file or headers`},
		{"two kinds in a probe", "health: { url", "tcp: { address: \"a:1\" }\n        health: { url", `bad.yaml:8:9: targets[0].probes[0]: a probe is exactly one of health, sla, agents, http, tcp; here are 2`},
		{"a timeout over the interval", "interval: 15s", "interval: 15s, timeout: 20s", `bad.yaml:8:70: targets[0].probes[0].health.timeout: the timeout 20s is longer than the interval 15s`},
		{"a bound without a unit", "above: 500ms", "above: 500", `bad.yaml:12:12: thresholds[0].above: response_time is compared with "500"; write it as 500ms`},
		{"no quantity", "above: 500ms", "above: fast", `bad.yaml:12:12: thresholds[0].above: "fast" is no quantity; write a duration (500ms), a percentage (0.1%) or a number (2)`},
		{"both bounds", "above: 500ms", "above: 500ms\n    below: 1ms", `bad.yaml:10:5: thresholds[0]: above and below are both given; a rule has one bound`},
		{"clear on the wrong side", "clear_below: 400ms", "clear_below: 600ms", `bad.yaml:13:18: thresholds[0].clear_below: 600ms is on the wrong side of above 500ms: the rule would clear while it is in breach`},
		{"unknown metric", "metric: response_time", "metric: latency", `bad.yaml:11:13: thresholds[0].metric: unknown metric "latency"; there are response_time, error_rate, cpu, memory, active_agents, health, crash_looping, dependency, ready_replicas, disk; or give a name and an expr`},
		{"a rule of its own without for", "metric: response_time\n    above: 500ms\n    clear_below: 400ms\n    for: 5m", "expr: probe_duration_seconds\n    above: 500ms", `bad.yaml:10:5: thresholds[0].for: for is required: how long the condition must hold (runbook defect 16)`},
		{"unknown severity", "severity: P2", "severity: high", `bad.yaml:16:15: thresholds[0].severity: unknown severity "high"; use P0, P1, P2 or P3`},
		{"unknown action", "- capture", "- reboot", `bad.yaml:19:9: thresholds[0].ladder[0]: unknown action "reboot"; there are capture, job, page, restart, rollback, scale`},
		{"an option that does not apply", "- capture", "- restart: { max: 3 }", `bad.yaml:19:9: thresholds[0].ladder[0].restart: restart has no option "max"; it takes settle, verify, attempts, mode`},
		{"page before the end", "- capture", "- page", `bad.yaml:19:9: thresholds[0].ladder[0]: page is the last rung: after it a person decides`},
		{"scale without a cap", "max: 20, ", "", `bad.yaml:20:9: thresholds[0].ladder[1]: scale needs max: the most replicas it may ever ask for`},
		{"scale by nothing", "by: 25%", "by: 0%", `bad.yaml:20:9: thresholds[0].ladder[1]: by "0%": write a share of the present replicas (25%) or a number (2)`},
		{"a job template that is not there", "- capture", "- job: { template: clean }", `bad.yaml:19:9: thresholds[0].ladder[0]: there is no job template "clean" in job_templates`},
		{"a target that is not there", "for: 5m", "for: 5m\n    targets: [cart]", `bad.yaml:15:15: thresholds[0].targets[0]: there is no target "cart"`},
		{"prometheus without a server", "for: 5m", "for: 5m\n    source: prometheus", `bad.yaml:15:13: thresholds[0].source: source prometheus needs a prometheus: block with its url`},
		{"disk without an expression", "metric: response_time\n    above: 500ms\n    clear_below: 400ms", "metric: disk\n    above: 90%\n    clear_below: 80%", `bad.yaml:11:13: thresholds[0].metric: disk needs an expr with source: prometheus, because where it is measured differs; configs/prometheus.yaml has one`},
		{"two documents", "mode: auto\ntargets", "a: 1\n---\nmode: auto\ntargets", `bad.yaml: more than one YAML document; a configuration is one`},
		{"a rate that is none", "thresholds:", "budget: { per_target: often }\nthresholds:", `bad.yaml:9:23: budget.per_target: "often" is no rate; write a count and a window: 3/1h`},
		{"a share above all", "thresholds:", "budget: { max_unhealthy: 130% }\nthresholds:", `bad.yaml:9:26: budget.max_unhealthy: "130%": write a share of the watched targets: 30%`},
		{"a receiver without its secret", "thresholds:", "receivers: { slack: { channel: \"#a\" } }\nthresholds:", `bad.yaml:9:21: receivers.slack.token_file: the file that holds the secret is required; secrets do not belong into the configuration`},
		{"no YAML", "mode: auto\ntargets", "mode: [auto\ntargets", ``},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Replace(good, tc.old, tc.new, 1)
			if text == good {
				t.Fatal("the case changes nothing")
			}
			_, err := Parse("bad.yaml", []byte(text))
			switch {
			case err == nil:
				t.Fatal("no error")
			case tc.want == "" && !strings.HasPrefix(err.Error(), "bad.yaml"):
				t.Fatalf("no place in %q", err)
			case tc.want != "" && !strings.Contains(err.Error()+"\n", tc.want+"\n"):
				t.Errorf("got\n%s\nwant\n%s", err, tc.want)
			}
		})
	}
}

func TestAllErrorsAtOnceWithTheirLines(t *testing.T) {
	text := strings.NewReplacer("mode: auto\ntargets", "mode: yolo\ntargets", "severity: P2", "severity: high", "- capture", "- page").Replace(good)
	_, err := Parse("bad.yaml", []byte(text))
	all, ok := err.(Errors)
	if !ok || len(all) != 3 || all[0].Line != 1 || all[1].Line != 16 || all[2].Line != 19 {
		t.Fatalf("%v", err)
	}
	if x := all.Excerpt([]byte(text)); !strings.Contains(x, ">   16 |     severity: high") {
		t.Errorf("%s", x)
	}
}

func TestNeverRestartOnErrorsAlone(t *testing.T) {
	_, err := Parse("x.yaml", []byte("targets: [{name: a, namespace: n, workload: deployment/a}]\nthresholds: [{metric: error_rate, ladder: [restart, page]}]\n"))
	if err == nil || !strings.Contains(err.Error(), "never restart on errors alone") {
		t.Fatal(err)
	}
}

func TestAnAliasBombIsRefused_F100(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 12; i++ {
		b.WriteString("a" + string(rune('a'+i)) + ": &a" + string(rune('a'+i)) + " [")
		prev := "a0"
		if i > 1 {
			prev = "a" + string(rune('a'+i-1))
		}
		b.WriteString(strings.TrimSuffix(strings.Repeat("*"+prev+",", 9), ",") + "]\n")
	}
	start := time.Now()
	if _, err := Parse("bomb.yaml", []byte(b.String())); err == nil {
		t.Fatal("taken")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Fatalf("refused after %s", took)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	files, _ := filepath.Glob("../../configs/*.yaml")
	for _, name := range files {
		if b, err := os.ReadFile(name); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse("fuzz.yaml", b)
		if (c == nil) == (err == nil) {
			t.Fatalf("%v and %v", c, err)
		}
	})
}
