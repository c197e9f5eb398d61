//go:build integration

package promapi

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"watchdog.io/watchdog/internal/backtest"
)

const policy = `
mode: auto
prometheus: {url: "http://not-asked.invalid"}
rule_files: [rules.yaml]
targets:
  - {name: x, namespace: apps, workload: deployment/x, mode: auto}
  - {name: y, namespace: apps, workload: deployment/y, mode: auto}
  - {name: z, namespace: apps, workload: deployment/z, mode: auto}
thresholds:
  - {name: local, mode: auto, expr: "avg by (target) (m)", above: 6, clear_below: 5, for: 30s, severity: P2,
      ladder: [{scale: {by: 1, max: 6, lease: 1h}}, page]}
  - {name: remote, source: prometheus, mode: auto, expr: "max by (target) (rate(c[2m]))", above: 0.2, for: 1m, severity: P3, ladder: [page]}
routes:
  - matchers: ['severity="critical"']
    mode: auto
    ladder: [page]
`

const ruleFile = `
groups:
- name: g
  interval: 15s
  rules:
  - {record: "m:avg", expr: "avg by (target) (avg_over_time(m[1m]))"}
  - {alert: Recorded, expr: "m:avg > 5", for: 30s, labels: {severity: critical}}
  - {alert: Mixed, expr: "m:avg > 5 and on (target) up == 1", for: 30s, labels: {severity: critical}}
  - {alert: Plain, expr: "sum by (target) (m) > 13", for: 15s, labels: {severity: warning}}
`

// A folder of blocks, a recording, and a real Prometheus over the same samples give
// the same report.
func TestBacktestOfThreeSources(t *testing.T) {
	end := time.Now().Add(-3 * time.Hour).Truncate(time.Hour)
	recording, blocks := recorded(t, history(end))
	dir := t.TempDir()
	for name, text := range map[string]string{"watchdog.yaml": policy, "rules.yaml": ruleFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var first *backtest.Report
	for _, from := range []string{blocks, recording, serve(t, blocks)} {
		out, err := exec.Command("../../bin/watchdog", "backtest", filepath.Join(dir, "watchdog.yaml"), "--from", from,
			"-o", "json",
			"--begin", end.Add(-50*time.Minute).Format(time.RFC3339), "--end", end.Format(time.RFC3339)).Output()
		if err != nil {
			t.Fatalf("%s: %v", from, err)
		}
		var r backtest.Report
		if err := json.Unmarshal(out, &r); err != nil {
			t.Fatal(err)
		}
		r.Source = ""
		if first == nil {
			first = &r
			fired := 0
			for _, x := range r.Rules {
				fired += min(1, x.Firings)
			}
			if fired < 4 || len(r.Incidents) == 0 || r.Failures > 0 {
				t.Fatalf("too little happens to show anything: %+v", r)
			}
			continue
		}
		a, _ := json.Marshal(first)
		b, _ := json.Marshal(r)
		if d := cmp.Diff(string(a), string(b)); d != "" {
			t.Errorf("%s differs from %s:\n%s", from, blocks, d)
		}
	}
}
