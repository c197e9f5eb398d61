package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"watchdog.io/watchdog/internal/sim"
)

// simulate runs the command and returns what it says, and its exit code.
func simulate(t *testing.T, args ...string) (tried, int) {
	t.Helper()
	text, code := simulateText(t, append(args, "-o", "json")...)
	var r tried
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return r, code
}

func simulateText(t *testing.T, args ...string) (string, int) {
	t.Helper()
	var out bytes.Buffer
	root := newRoot()
	root.SetOut(&out)
	root.SetErr(io.Discard)
	root.SetArgs(append([]string{"simulate"}, args...))
	err := root.ExecuteContext(t.Context())
	if err != nil {
		return out.String(), exitCode(err)
	}
	return out.String(), 0
}

func outcome(t *testing.T, r tried, failure string) sim.Outcome {
	t.Helper()
	for _, o := range r.Outcomes {
		if o.Failure == failure {
			return o
		}
	}
	t.Fatalf("no outcome of %s", failure)
	return sim.Outcome{}
}

func actions(o sim.Outcome) string {
	var all []string
	for _, a := range o.Actions {
		all = append(all, string(a.Action))
	}
	return strings.Join(all, " ")
}

func policyFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "watchdog.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestObserveSaysWhatItWouldDoAndWhoseModeHeld(t *testing.T) {
	r, code := simulate(t, "--config", "../../configs/minimal.yaml", "--failure", "bad release")
	o := outcome(t, r, "bad release")
	if code != 0 || actions(o) != "" || o.Would != "would roll back" || o.Mode != "observe: the configuration's mode" {
		t.Errorf("exit %d, did %q, %q by %q", code, actions(o), o.Would, o.Mode)
	}
	// What the file says of a rule wins over --mode.
	r, _ = simulate(t, "--config", "../../configs/watchdog.yaml", "--failure", "memory leak", "--mode", "auto")
	if o := outcome(t, r, "memory leak"); o.Mode != "suggest: rule memory" || actions(o) != "" {
		t.Errorf("did %q, %q by %q", actions(o), o.Would, o.Mode)
	}
}

// A rule that only advises does not keep another from acting.
func TestTheShippedPolicyRollsABadReleaseBack(t *testing.T) {
	r, _ := simulate(t, "--config", "../../configs/watchdog.yaml", "--failure", "bad release", "--mode", "auto")
	if o := outcome(t, r, "bad release"); actions(o) != "rollback" || !o.Well || o.Paged {
		t.Errorf("did %q, well %v, paged %v", actions(o), o.Well, o.Paged)
	}
}

// With every shipped rule free to act, the kubelet's word is enough for memory.
func TestTheShippedMemoryLadderRestarts_X91(t *testing.T) {
	r, _ := simulate(t, "--config", "../../configs/minimal.yaml", "--mode", "auto", "--failure", "memory leak",
		"--failure", "memory leak in one pod")
	for _, name := range []string{"memory leak", "memory leak in one pod"} {
		if o := outcome(t, r, name); actions(o) != "restart" || !o.Well || o.Paged {
			t.Errorf("%s: did %q, well %v, paged %v: %s (%s)", name, actions(o), o.Well, o.Paged, o.Verdict, o.Why)
		}
	}
}

func TestWhatNoRuleLooksAtIsMissedAndSaidSo(t *testing.T) {
	file := policyFile(t, `
mode: auto
targets:
  - {name: shop, mode: auto, namespace: shop, workload: deployment/shop, probes: [{health: {url: "http://shop/health"}}]}
thresholds:
  - {metric: health, mode: auto}
`)
	r, code := simulate(t, "--config", file, "--failure", "memory leak")
	if o := outcome(t, r, "memory leak"); code != exitFailed || o.Verdict != "missed: no rule saw it" {
		t.Errorf("exit %d: %s", code, o.Verdict)
	}
	if !strings.Contains(strings.Join(r.Hints, "\n"), "no rule looks at memory: add `- metric: memory`") {
		t.Errorf("hints: %q", r.Hints)
	}
}

func TestABrokenFileIsAnsweredAsCheckDoes(t *testing.T) {
	file := policyFile(t, "mode: yolo\n")
	got, code := simulateText(t, "--config", file)
	var want bytes.Buffer
	root := newRoot()
	root.SetOut(&want)
	root.SetErr(io.Discard)
	root.SetArgs([]string{"check", file})
	_ = root.ExecuteContext(t.Context()) // what it prints is compared
	if got != want.String() || !strings.Contains(got, "unknown mode") || code != exitFailed {
		t.Errorf("exit %d: %s, want %s", code, got, want.String())
	}
}

func TestWhatCannotBeSimulatedIsSaid(t *testing.T) {
	file := policyFile(t, `
prometheus: {url: "http://prometheus:9090"}
targets:
  - {name: shop, namespace: shop, workload: deployment/shop}
thresholds:
  - {metric: crash_looping}
  - {name: queue, source: prometheus, expr: "sum by (target) (queue)", above: 5, for: 1m, severity: P3, ladder: [page]}
`)
	text, code := simulateText(t, "--config", file, "--failure", "crashing release")
	if code != 0 || !strings.Contains(text, "- queue queries Prometheus or is from a rule file; not simulated") ||
		!strings.Contains(text, "use --mode auto to simulate") {
		t.Errorf("exit %d:\n%s", code, text)
	}
}

func TestSimulateMisusedIsExit2(t *testing.T) {
	for _, args := range [][]string{{}, {"--config", "x", "-o", "xml"}, {"--config", "x", "--mode", "yolo"},
		{"--failure", "meteor"}, {"x"}, {"--config", "../../configs/minimal.yaml", "--target", "nobody"}} {
		if _, code := simulateText(t, args...); code != exitMisused {
			t.Errorf("%v: exit %d", args, code)
		}
	}
}
