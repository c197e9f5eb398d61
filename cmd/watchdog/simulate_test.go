package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// outcome is what `watchdog simulate -o json` says of one failure.
type outcome struct {
	Failure string
	Actions []struct{ Action, Verdict string }
	Paged   bool
	Well    bool
	Grade   string
	Verdict string
}

func simulated(t *testing.T, args ...string) (map[string]outcome, string) {
	t.Helper()
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs(append([]string{"simulate", "-o", "json"}, args...))
	root.SetOut(&out)
	root.SetErr(&bytes.Buffer{})
	_ = root.ExecuteContext(t.Context()) // its exit status is a test of its own
	var r struct {
		Outcomes []outcome
		Hints    []string
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	by := map[string]outcome{}
	for _, o := range r.Outcomes {
		by[o.Failure] = o
	}
	return by, strings.Join(r.Hints, "\n")
}

// did is the actions in short: "rollback helped".
func (o outcome) did() string {
	var all []string
	for _, a := range o.Actions {
		all = append(all, a.Action+" "+a.Verdict)
	}
	return strings.Join(all, ", ")
}

func TestSimulateTheShippedPolicy(t *testing.T) {
	got, hints := simulated(t, "--config", "../../configs/watchdog.yaml", "--mode", "auto")
	if len(got) < 15 {
		t.Fatalf("%d failures", len(got))
	}
	for name, o := range got {
		if o.Grade == "harmful" || o.Grade == "missed" {
			t.Errorf("%s: %s", name, o.Verdict)
		}
	}
	if o := got["crashing release"]; o.did() != "rollback helped" || !o.Well || o.Paged {
		t.Errorf("crashing release: %+v", o)
	}
	if o := got["overload"]; !strings.HasPrefix(o.did(), "scale helped") || !o.Well {
		t.Errorf("overload: %+v", o)
	}
	if o := got["database down"]; o.did() != "" || !o.Paged {
		t.Errorf("database down: %+v", o)
	}
	for _, name := range []string{"glitch", "database blip", "good release", "quiet night", "monitoring blind"} {
		if o := got[name]; o.did() != "" || o.Paged {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if !strings.Contains(hints, "mode suggest of rule memory kept it from acting") {
		t.Errorf("hints: %s", hints)
	}
}

// TestSimulateObserves: a fresh file acts on nothing, and says what it would do.
func TestSimulateObserves(t *testing.T) {
	got, _ := simulated(t, "--config", "../../configs/minimal.yaml", "--failure", "crashing")
	if o := got["crashing release"]; len(o.Actions) != 0 && o.Well {
		t.Errorf("%+v", o)
	}
}

func TestASimulationIsTheSameForTheSameSeed(t *testing.T) {
	args := []string{"--config", "../../configs/watchdog.yaml", "--mode", "auto", "--seed", "7", "--failure", "bad release"}
	a, _ := simulated(t, args...)
	b, _ := simulated(t, args...)
	for name := range a {
		if a[name].did() != b[name].did() || a[name].Verdict != b[name].Verdict {
			t.Errorf("%s: %+v, then %+v", name, a[name], b[name])
		}
	}
}
