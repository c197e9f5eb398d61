package engine

import (
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// behind is how long watches may be behind a write of ours.
const behind = 30 * time.Second

// caughtUp returns the rollout in the snapshot, which is not complete as long as the
// watches have not seen the op's own write: what was complete before it proves nothing. An
// op that somebody has taken off the workload since is not waited for.
func caughtUp(v Snapshot, op *incident.Op, now time.Time) incident.Rollout {
	r := v.Rollout
	if op == nil || op.Phase != incident.Settling || v.Op == nil || *v.Op == op.ID ||
		op.Plan.Object.Resource != "deployments" || now.Sub(op.AppliedAt) >= behind {
		return r
	}
	r.Done = false
	return r
}
