package remediate

import (
	"fmt"
	"math"

	"watchdog.io/watchdog/pkg/incident"
)

// aboveFloor: in the worst case of the action enough replicas stay ready, and
// at least one (INV-19).
func aboveFloor(f Facts, p incident.Plan) incident.Answer {
	w := f.Workload
	need := floorOf(f)
	worst, how := worstCase(f, p)
	numbers := fmt.Sprintf("%d of %d replicas are ready, %d in the worst case (%s), minimum %d", w.Ready, w.Desired, worst,
		how, need)
	best := max(0, w.Desired-w.MaxUnavailable)
	if w.Recreate {
		best = 0
	}
	switch {
	case worst >= need:
		return pass("%s", numbers)
	case takesNoReady(f, p):
		return pass("already below the floor, and a rolling rollback makes it no worse: %s", numbers)
	case best < need:
		return hold(incident.Skip, "the rollout strategy never keeps enough replicas ready: %s", numbers)
	}
	return hold(incident.Wait, "too few replicas are ready: %s", numbers)
}

// floorOf is the number of replicas that must stay ready.
func floorOf(f Facts) int {
	share := f.Settings.AvailabilityFloor
	if math.IsNaN(share) || share > 1 {
		share = 1
	}
	// The epsilon keeps 0.1 × 30 at three.
	return max(1, int(math.Ceil(share*float64(f.Workload.Desired)-1e-9)))
}

// worstCase is how few replicas may be ready while the action is in progress. A
// rolling update stops ready pods only down to desired − maxUnavailable, and the
// pods of a failing revision first; where all pods are alike that is not
// guaranteed, and maxUnavailable is subtracted from the ready pods.
func worstCase(f Facts, p incident.Plan) (int, string) {
	w := f.Workload
	switch {
	case w.Recreate:
		return 0, "strategy Recreate"
	case p.Action == incident.ActionRollback && currentDown(f):
		return min(w.Ready, max(0, w.Desired-w.MaxUnavailable)), fmt.Sprintf("maxUnavailable %d, unready pods are "+
			"replaced first", w.MaxUnavailable)
	}
	return w.Ready - min(w.Ready, max(0, w.MaxUnavailable)), fmt.Sprintf("maxUnavailable %d", w.MaxUnavailable)
}

// currentDown reports whether pods of the current revision are not ready.
func currentDown(f Facts) bool {
	current, ok := currentRevision(f.Workload)
	return ok && (f.Workload.Ready == 0 || unready(f.Workload, current) > 0)
}

// takesNoReady reports whether the plan is a rollback of a workload that is down
// already, so that no ready pod is lost by it.
func takesNoReady(f Facts, p incident.Plan) bool {
	worst, _ := worstCase(f, p)
	return p.Action == incident.ActionRollback && currentDown(f) && worst == f.Workload.Ready
}
