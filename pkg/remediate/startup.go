package remediate

import (
	"slices"
	"strings"
	"time"
)

// Bounds of the time that a pod may take to become ready. Every workload may wait for a
// node to be provisioned and an image to be pulled; none gets more than mostStartup.
const (
	leastStartup = 3 * time.Minute
	mostStartup  = 30 * time.Minute
)

// StartupTime is how long a pod of the workload may take to become ready before it counts
// as failing: twice what its pods were observed to take, what its probes allow, and at least
// three minutes. Records have the startup times of earlier revisions' pods.
func StartupTime(w Workload, records []Record) time.Duration {
	seen := time.Duration(0)
	for _, r := range records {
		seen = max(seen, r.Startup)
	}
	if seen == 0 {
		seen = observedStartup(w.Pods)
	}
	return min(mostStartup, max(leastStartup, w.DeclaredStartup, 2*seen))
}

// observedStartup is the median time from creation to ready of the ready pods; 0: unknown.
// A pod that restarted does not count: it became ready later than at its first start.
func observedStartup(pods []Pod) time.Duration {
	var took []time.Duration
	for _, p := range pods {
		if d := p.ReadyAt.Sub(p.CreatedAt); p.Ready && !p.Terminating && p.Restarts == 0 && !p.ReadyAt.IsZero() &&
			!p.CreatedAt.IsZero() && d > 0 && d < mostStartup {
			took = append(took, d)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)/2]
}

func startup(f Facts) time.Duration { return StartupTime(f.Workload, f.Records) }

// Failure names why the pod cannot become ready by itself; empty if it can. A pod may wait
// for a node or a registry as long as a pod of its workload takes to start: the node may be
// provisioned, and the registry may recover.
func Failure(p Pod, now time.Time, startup time.Duration) string {
	began := p.StartedAt
	if began.IsZero() {
		began = p.CreatedAt
	}
	young := !began.IsZero() && now.Sub(began) < startup
	switch p.Waiting {
	case "ImagePullBackOff", "ErrImagePull":
		if young && !hopelessPull(p.WaitingFor) {
			return ""
		}
		return p.Waiting
	case "CrashLoopBackOff", "ErrImageNeverPull", "InvalidImageName",
		"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError":
		return p.Waiting
	}
	switch {
	case !p.Scheduled && young:
		return ""
	case !p.Scheduled:
		return unschedulable
	case !p.Ready && p.Restarts >= crashes:
		return manyRestarts(p)
	}
	return ""
}

// unschedulable is the failure of a pod that was not scheduled in time.
const unschedulable = "unschedulable"

// hopelessPull reports whether the kubelet's message about a pull proves that waiting does not
// help: the image does not exist, or access is denied. If the registry throttles, does not
// respond or gives no reason, the next pull may succeed.
func hopelessPull(message string) bool {
	m := strings.ToLower(message)
	says := func(of ...string) bool {
		return slices.ContainsFunc(of, func(s string) bool { return strings.Contains(m, s) })
	}
	if says("toomanyrequests", "too many requests", "429", "rate limit", "pull qps exceeded") {
		return false
	}
	return says("not found", "notfound", "manifest unknown", "does not exist", "unauthorized", "authorization failed",
		"denied", "forbidden", "invalid reference", "no matching manifest", "no basic auth credentials")
}
