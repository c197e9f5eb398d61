package probes

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/common/model"
)

func TestAWorkloadScaledToZeroSaysSo_X104(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, kind string
		w          Workload
		value      float64
		detail     string
	}{
		{"by somebody", "deployment", Workload{ScaledBy: "kubectl-scale at 12:00"}, 1,
			"scaled to zero by kubectl-scale at 12:00"},
		{"by nobody knows whom", "statefulset", Workload{}, 1, "scaled to zero"},
		{"by what drives its autoscaler", "deployment", Workload{HPA: &HPA{Max: 3}}, 0, "scaled to zero"},
		{"a DaemonSet without a node", "daemonset", Workload{}, 0, "scaled to zero"},
		{"pods are wanted", "deployment", Workload{Desired: 1, Ready: 1}, 0, "1 of 1 ready"},
	} {
		t.Run(c.name, func(t *testing.T) {
			look, err := NewKubernetes("shop", c.kind+"/cart",
				func(string, string, string) (Workload, error) { return c.w, nil })
			if err != nil {
				t.Fatal(err)
			}
			r, err := look(context.Background(), at)
			if err != nil || r.State != OK || r.Detail != c.detail {
				t.Fatalf("got %v %q, %v", r.State, r.Detail, err)
			}
			if r.Facts[FactScaledBy] != c.w.ScaledBy {
				t.Errorf("facts %v, want it scaled by %q", r.Facts, c.w.ScaledBy)
			}
			for _, s := range r.Samples {
				if s.Metric[model.MetricNameLabel] == "watchdog_workload_scaled_to_zero" {
					if float64(s.Value) != c.value {
						t.Errorf("got %v, want %v", s.Value, c.value)
					}
					return
				}
			}
			t.Error("no sample says it")
		})
	}
}
