package app

import (
	"context"
	"maps"
	"slices"

	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/maintenance/controller"
	"watchdog.io/watchdog/pkg/notify"
)

// silencerOf is the Alertmanager of a configuration, nil without one.
func silencerOf(b *built) controller.Silencer {
	if b.alertmanager == nil {
		return nil
	}
	return b.alertmanager
}

// keepWindows asks the cluster for its windows, and wakes the incidents of targets for
// which something changed.
func (a *App) keepWindows(ctx context.Context) {
	store := kube.NewStore(a.client, a.o.Namespace)
	look := func(ctx context.Context) {
		news := a.windows.Look(ctx, store.Windows)
		if ctx.Err() == nil {
			a.samples.Append(a.windows.Samples())
			a.engine.Wake(news...)
		}
	}
	look(ctx)
	every(ctx, controller.Look, look)
}

// useWindows hands the windows of a configuration over.
func (a *App) useWindows(b *built) {
	a.windows.Use(b.windows, slices.Sorted(maps.Keys(b.setup.Targets)))
	a.maintenance.Use(silencerOf(b), publisherOf(b.notifiers), b.setup.Targets)
}

// publisherOf is the receiver for the status page, nil without one.
func publisherOf(all []notify.Notifier) controller.Publisher {
	for _, n := range all {
		if m, ok := n.(notify.Maintainer); ok {
			return m
		}
	}
	return nil
}
