package rules

import (
	"testing"
	"time"

	"github.com/prometheus/common/model"
)

// A target that is well and shows the same values is judged in the rounds. What changed,
// what comes again, and what is in trouble is judged at once.
func TestWhatSaysNothingNewWaitsForTheRound(t *testing.T) {
	runWorld(t, Options{}, []Threshold{level("x", "a", "b")}, func(w *world) {
		judged := func(name, target string, v float64) bool {
			at := time.Now()
			w.put(name, target, v)
			return w.judge.AlertsOf(target)[0].EvaluatedAt.Compare(at) >= 0
		}
		w.after(time.Second)
		for _, step := range []struct {
			name  string
			v     float64
			after time.Duration
			want  bool
		}{
			{"x", 1, time.Second, true},
			{"x", 1, time.Second, false},
			{"x", 2, time.Second, true},
			{"y", 1, time.Second, false}, // no rule asks for it
			{"x", 11, time.Second, true},
			{"x", 11, time.Second, true}, // it is pending
			{"y", 1, time.Second, true},
			{"x", 2, time.Second, true},
			{"x", 2, time.Second, false},
			{"x", 2, 61 * time.Second, true},
		} {
			w.after(step.after)
			if got := judged(step.name, "a", step.v); got != step.want {
				t.Errorf("%s = %v after %s: judged at once %t, want %t", step.name, step.v, step.after, got, step.want)
			}
		}
		at := time.Now()
		w.after(15 * time.Second)
		if !w.judge.AlertsOf("a")[0].EvaluatedAt.After(at) {
			t.Error("the round has not judged it")
		}
	})
}

// Who appends a sample waits neither for an evaluation nor for who reads the alerts.
func TestALookDoesNotWaitForJudging(t *testing.T) {
	runWorld(t, Options{}, []Threshold{level("x", "a")}, func(w *world) {
		w.judge.mu.Lock()
		w.store.Append([]*model.Sample{one(time.Now(), 11, "x", "target", "a")})
		w.judge.mu.Unlock()
		w.after(coalesce)
		w.is("x", "a", Pending, Breach)
	})
}

// What is pending or fires is counted through reloads and restarts.
func TestActiveAlertsAreThoseThatArePendingOrFire(t *testing.T) {
	aside := level("y", "a")
	aside.Aside = true
	rules := []Threshold{level("x", "a", "b"), aside}
	runWorld(t, Options{}, rules, func(w *world) {
		active := func(when string, want ...string) {
			t.Helper()
			var got []string
			for _, x := range w.judge.Active() {
				got = append(got, x.Rule+" "+x.Target+" "+string(x.State))
			}
			if len(got) != len(want) {
				t.Fatalf("%s: %v, want %v", when, got, want)
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%s: %v, want %v", when, got, want)
				}
			}
		}
		active("at first")
		w.put("x", "a", 11)
		w.put("y", "a", 11)
		active("a breach", "x a pending")
		if n := w.judge.source(Local).arrivals.active["a"]; n != 2 {
			t.Errorf("%d active alerts of a, want 2 with the one aside", n)
		}
		for range 4 {
			w.after(10 * time.Second)
			w.put("x", "a", 11)
			w.put("x", "b", 1)
		}
		active("after its time", "x a firing")
		if _, err := w.judge.Update(Config{Thresholds: rules}); err != nil {
			t.Fatal(err)
		}
		active("after a reload", "x a firing")
		w.judge.Restore([]Alert{{Rule: "x", Target: "b", State: Firing}})
		active("after a restart", "x a firing", "x b firing")
		w.put("x", "a", 1)
		w.put("y", "a", 1)
		w.put("x", "b", 1)
		active("when it is over")
		if n := len(w.judge.source(Local).arrivals.active); n != 0 {
			t.Errorf("%d targets have active alerts, want none", n)
		}
		w.put("x", "a", 11)
		if _, err := w.judge.Update(Config{Thresholds: []Threshold{level("x", "b")}}); err != nil {
			t.Fatal(err)
		}
		active("when its target is gone")
	})
}
