package remediate

import (
	"fmt"

	"watchdog.io/watchdog/pkg/incident"
)

// noRollout: nothing is started while the controller still moves pods (INV-19,
// INV-30). Two things only look like it: the rollout that is the trouble itself,
// which a rollback ends, and pods that were lost long after the rollout was complete.
func noRollout(f Facts, p incident.Plan) incident.Answer {
	w := f.Workload
	numbers := fmt.Sprintf("generation %d observed of %d; of %d replicas %d are updated, %d available, %d pods exist", w.Observed, w.Generation, w.Desired, w.Updated, w.Available, len(w.Pods))
	switch {
	case !writesWorkload(p):
		return besides(p)
	case !w.RolloutInProgress():
		return pass("the rollout is complete: %s", numbers)
	}
	current, ok := currentRevision(w)
	if !ok || w.Observed < w.Generation {
		return hold(incident.Wait, "the controller has not seen the newest generation: %s", numbers)
	}
	failing, of, reasons := failures(w, current)
	switch {
	case p.Action == "rollback" && failing > 0:
		return pass("the rollout in progress is the suspect: %d of %d pods of revision %s fail (%s); %s", failing, of, describe(current), list(reasons), numbers)
	case p.Action == "rollback" && stuck(f, current):
		return pass("the rollout in progress is the suspect: %d of %d pods of revision %s are not ready after %s; %s", unready(w, current), of, describe(current), startupTime, numbers)
	case p.Action != "rollback" && allMoved(w, current) && stuck(f, current):
		return pass("no rollout: all %d pods are of revision %s, %d are not ready after %s; %s", of, describe(current), unready(w, current), startupTime, numbers)
	}
	return hold(incident.Wait, "a rollout is in progress: %s", numbers)
}

// allMoved reports whether every pod is of the revision and no more are to come.
func allMoved(w Workload, current Revision) bool {
	return w.Updated >= w.Desired && len(podsOf(w, current)) == len(w.Pods) && len(w.Pods) == w.Desired
}
