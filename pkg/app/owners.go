package app

import (
	"context"
	"time"
)

// ownersWait is how long the rule files wait for the cluster to say which pod is whose.
const ownersWait = 30 * time.Second

// awaitOwners waits until the pod cache has synced: before that, an alert that names
// a pod cannot be matched to its target.
func (a *App) awaitOwners(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, ownersWait)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !a.watcher.Synced() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
