package app

import (
	"context"
	"time"
)

// every calls fn once in each period, for the first time after one, until ctx ends.
func every(ctx context.Context, period time.Duration, fn func(context.Context)) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		fn(ctx)
	}
}

// whileLeading is what only the leader does: nothing, as long as this replica does not lead.
func (a *App) whileLeading(fn func(context.Context)) func(context.Context) {
	return func(ctx context.Context) {
		if a.leading.Load() {
			fn(ctx)
		}
	}
}
