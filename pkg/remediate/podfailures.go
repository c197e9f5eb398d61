package remediate

import (
	"fmt"
	"slices"

	"watchdog.io/watchdog/pkg/incident"
)

// crashes is how many restarts of a pod that is not ready count as a crash loop
// even in the moments when its container runs.
const crashes = 3

// podsOf returns the pods of the revision that are not going away.
func podsOf(w Workload, revision Revision) []Pod {
	var pods []Pod
	for _, p := range w.Pods {
		if p.Revision == revision.UID && !p.Terminating {
			pods = append(pods, p)
		}
	}
	return pods
}

func manyRestarts(p Pod) string { return fmt.Sprintf("%d restarts", p.Restarts) }

// failures counts the pods of the revision that cannot become ready, and names
// the reasons in order.
func failures(f Facts, revision Revision) (count, of int, reasons []string) {
	pods, long := podsOf(f.Workload, revision), startup(f)
	for _, p := range pods {
		if why := Failure(p, f.Now, long); why != "" {
			count++
			if p.LastExit != "" {
				why += ", " + p.LastExit
			}
			reasons = append(reasons, why)
		}
	}
	slices.Sort(reasons)
	return count, len(pods), slices.Compact(reasons)
}

// unready counts the pods of the revision that are not ready.
func unready(w Workload, revision Revision) int {
	n := 0
	for _, p := range podsOf(w, revision) {
		if !p.Ready {
			n++
		}
	}
	return n
}

// stuck reports whether none of the revision's pods that are not ready can be
// expected to become ready: each fails, or had the workload's start-up time for it. A
// revision without any pod is stuck once it is that old.
func stuck(f Facts, revision Revision) bool {
	pods, long := podsOf(f.Workload, revision), startup(f)
	waiting := false
	for _, p := range pods {
		if p.Ready {
			continue
		}
		old := !p.StartedAt.IsZero() && f.Now.Sub(p.StartedAt) >= long
		if Failure(p, f.Now, long) == "" && !old {
			return false
		}
		waiting = true
	}
	if len(pods) == 0 {
		at := currentSince(f.Records, revision)
		return !at.IsZero() && f.Now.Sub(at) >= long
	}
	return waiting
}

// failingPods answers if pods of the current revision fail in a way that more or
// new pods of the same revision would only repeat.
func failingPods(f Facts, why string) *incident.Answer {
	current, ok := currentRevision(f.Workload)
	if !ok {
		return nil
	}
	n, of, reasons := failures(f, current)
	if n == 0 {
		return nil
	}
	a := hold(incident.Skip, "%d of %d pods of revision %s are failing (%s): %s", n, of, describe(current),
		list(reasons), why)
	a.Code = incident.CodePodsFail
	return &a
}
