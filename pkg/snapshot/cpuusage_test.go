package snapshot

import (
	"math"
	"testing"

	"watchdog.io/watchdog/pkg/kube"
)

func TestPodsAreAsBusyAsTheirBusiestContainers(t *testing.T) {
	if busy(nil) != nil || busy([]kube.ContainerUsage{{Pod: "a", Container: "c", CPU: math.NaN()}}) != nil {
		t.Error("nobody tells, and they are busy or idle")
	}
	got := busy([]kube.ContainerUsage{{Pod: "a", Container: "app", CPU: 0.9},
		{Pod: "a", Container: "sidecar", CPU: 0.1}, {Pod: "b", Container: "app", CPU: 0.5},
		{Pod: "b", Container: "x", CPU: math.NaN()}})
	if got == nil || math.Abs(*got-0.7) > 1e-9 {
		t.Errorf("got %v, want 0.7", got)
	}
}
