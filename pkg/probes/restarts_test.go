package probes

import (
	"math"
	"strings"
	"testing"
	"time"
)

// The counter does not take the end of a pod for restarts, nor the pod's past.
func TestRestartsAreCountedAcrossPods_X32(t *testing.T) {
	now := Workload{}
	probe, err := NewKubernetes("shop", "deployment/cart", func(string, string, string) (Workload, error) {
		return now,
			nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var before float64
	for k, step := range []struct {
		what string
		pods map[string]int
		more float64 // than the check before
	}{
		{"ten restarts each, months ago", map[string]int{"a": 10, "b": 10, "c": 10}, 30},
		{"nothing", map[string]int{"a": 10, "b": 10, "c": 10}, 0},
		{"a deploy replaces one pod", map[string]int{"a": 10, "b": 10, "d": 0}, 0},
		{"and the others", map[string]int{"d": 0, "e": 0, "f": 0}, 0},
		{"one is killed", map[string]int{"d": 1, "e": 0, "f": 0}, 1},
		{"a pod is missing in one look", map[string]int{"e": 0, "f": 0}, 0},
		{"and is back", map[string]int{"d": 1, "e": 0, "f": 0}, 0},
		{"a new pod has crashed twice since it came", map[string]int{"d": 1, "e": 0, "g": 2}, 2},
		{"its name is taken by another", map[string]int{"d": 0, "e": 0, "g": 2}, 0},
	} {
		now = Workload{Desired: 3, Ready: 3, PodRestarts: step.pods}
		for _, n := range step.pods {
			now.Restarts += n
		}
		got, err := probe(t.Context(), time.Unix(int64(k), 0))
		if err != nil {
			t.Fatal(err)
		}
		v := values(got.Samples)
		if more := v["watchdog_workload_restarts_total"] - before; more != step.more {
			t.Errorf("%s: %v more, want %v", step.what, more, step.more)
		}
		if v["watchdog_workload_restarts"] != float64(now.Restarts) {
			t.Errorf("%s: the gauge is %v", step.what, v["watchdog_workload_restarts"])
		}
		before = v["watchdog_workload_restarts_total"]
	}
}

// 99 % + 31 % + 31 % are 54 % on average, and the pod is killed unseen.
func TestTheWorstContainerDecides_X95(t *testing.T) {
	nan := math.NaN()
	w := Workload{Desired: 3, Ready: 3, Usage: []Usage{{"cart-a", "app", nan, .31}, {"cart-b", "app", .2, .99},
		{"cart-c", "app", .1, .31}, {"cart-c", "sidecar", nan, nan}}}
	v := values(w.samples(time.Now()))
	if v["watchdog_workload_memory_usage_ratio"] != .99 || v["watchdog_workload_cpu_usage_ratio"] != .2 {
		t.Errorf("%v", v)
	}
	if got := Describe(w.Usage, Memory, .85); !strings.Contains(got,
		"99% in pod cart-b, container app; 1 of 3 containers above 85%") {
		t.Errorf("%q", got)
	}
	if got := Describe(nil, Memory, .85); got != "" {
		t.Errorf("nothing known: %q", got)
	}
}

func TestAStalledRolloutIsASample_X30(t *testing.T) {
	w := Workload{Desired: 3, Ready: 3, RolloutInProgress: true, Stalled: "ProgressDeadlineExceeded: x"}
	if v := values(w.samples(time.Now())); v["watchdog_workload_rollout_stalled"] != 1 {
		t.Errorf("%v", v)
	}
	if state, detail := w.judge(); state != OK || !strings.Contains(detail, "ProgressDeadlineExceeded") {
		t.Errorf("%s %q: the old pods serve", state, detail)
	}
}
