package app

import (
	"context"
	"time"
)

// ownersWait is how long the rule files wait for the cluster to say which pod is whose.
const ownersWait = 30 * time.Second

// awaitOwners waits until pods can be told to be a target's: an alert that names
// a pod would else be taken for nobody's.
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
