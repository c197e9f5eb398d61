package remediate

import (
	"fmt"

	"watchdog.io/watchdog/pkg/incident"
)

// noRollout: no action starts while a rollout is in progress (INV-19, INV-30). There are
// two exceptions: a rollout that is itself the fault, which a rollback ends, and pods
// that were lost long after the rollout was complete.
func noRollout(f Facts, p incident.Plan) incident.Answer {
	w := f.Workload
	numbers := fmt.Sprintf("observed generation %d of %d; of %d replicas, %d are updated, %d available; %d pods exist",
		w.Observed, w.Generation, w.Desired, w.Updated, w.Available, w.living())
	if n := len(w.Pods) - w.living(); n > 0 {
		numbers += fmt.Sprintf(" and %d are terminating", n)
	}
	switch {
	case !writesWorkload(p):
		return besides(p)
	case !w.RolloutInProgress():
		return pass("the rollout is complete: %s", numbers)
	}
	current, ok := currentRevision(w)
	if !ok || w.Observed < w.Generation {
		return hold(incident.Wait, "the controller has not observed the latest generation: %s", numbers)
	}
	failing, of, reasons := failures(f, current)
	switch {
	case p.Action == incident.ActionRollback && onlyNodes(w, current, reasons):
		return hold(incident.Wait, "a rollout is in progress, blocked by scheduling and not by the release: %d of "+
			"%d pods of revision %s have no node (%s); %s", failing, of, describe(current), list(reasons), numbers)
	case p.Action == incident.ActionRollback && failing > 0:
		return pass("the rollout in progress is the suspect: %d of %d pods of revision %s are failing (%s); %s", failing, of,
			describe(current), list(reasons), numbers)
	case p.Action == incident.ActionRollback && stuck(f, current):
		return pass("the rollout in progress is the suspect: %d of %d pods of revision %s are not ready after %s; %s",
			unready(w, current), of, describe(current), startup(f), numbers)
	case p.Action != incident.ActionRollback && allMoved(w, current) && stuck(f, current):
		return pass("no rollout in progress: all %d pods are of revision %s, %d are not ready after %s; %s", of,
			describe(current), unready(w, current), startup(f), numbers)
	}
	return hold(incident.Wait, "a rollout is in progress: %s", numbers)
}

// allMoved reports whether every pod is of the revision and no more are to come.
func allMoved(w Workload, current Revision) bool {
	return w.Updated >= w.Desired && len(podsOf(w, current)) == w.living() && w.living() == w.Desired
}

// onlyNodes reports whether the pods of the revision fail only because they have no node, while
// others of it are ready: that is no fault of the release.
func onlyNodes(w Workload, current Revision, reasons []string) bool {
	return len(reasons) == 1 && reasons[0] == unschedulable && len(podsOf(w, current)) > unready(w, current)
}
