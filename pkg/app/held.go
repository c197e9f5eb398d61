package app

import (
	"context"

	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/selfwatch"
)

// heldTargets are the targets whose workload a person holds.
func (a *App) heldTargets() []selfwatch.Hold {
	var all []selfwatch.Hold
	b := a.built.Load()
	for name, ts := range b.setup.Targets {
		s, err := a.watcher.State(ts.Target.Namespace, ts.Target.Kind, ts.Target.Workload)
		if err != nil || s.Hold == "" {
			continue // what is not seen is not accused
		}
		all = append(all, selfwatch.Hold{What: name, Reason: s.Hold, Since: s.HoldSince, Lift: ts.Target.Namespace + "/" + ts.Target.Workload})
	}
	return all
}

// checkDefinition says once at the start if the cluster would drop what people say. It
// goes on all the same: what it needs itself is kept.
func (a *App) checkDefinition(ctx context.Context) {
	if err := kube.NewStore(a.client, a.o.Namespace).CheckDefinition(ctx); err != nil && ctx.Err() == nil {
		a.o.Logger.Warn("what people say to watchdog may not be kept: acknowledgements, notes, severities, holds", "err", err)
	}
}
