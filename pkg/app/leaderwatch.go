package app

import (
	"context"
	"fmt"
	"time"

	"watchdog.io/watchdog/pkg/kube"
)

const (
	leaderLook    = 10 * time.Second
	leaderTimeout = 5 * time.Second
	// staleLease is how long a lease may stay unrenewed before it counts as free.
	staleLease = 30 * time.Second
	// yieldAfter is how long another replica must lead until it has told what this one
	// still keeps for the receivers.
	yieldAfter = 30 * time.Second
)

// watchLeader watches whether a replica leads, and lets this one notify by itself if none
// does. It never ends with an error: it is the last resort when all else fails.
func (a *App) watchLeader(ctx context.Context) {
	tick := time.NewTicker(leaderLook)
	defer tick.Stop()
	var last, changed time.Time
	var others yielding
	for {
		holder, renewed, err := a.lease(ctx)
		now := a.clock.Now()
		if err == nil && !renewed.Equal(last) {
			last, changed = renewed, now
		}
		why, unrecorded := "", a.unrecorded()
		switch {
		case a.occupied.Why() != "":
			why = a.occupied.Why()
		case err != nil:
			why = err.Error()
		case a.blocked.Why() != "":
			why = a.blocked.Why()
		case holder == "" && unrecorded != "":
			why = "this replica is not a candidate: " + unrecorded
		case holder == "":
			why = "the lease is free"
		case now.Sub(changed) > staleLease:
			// Since, not for how long: a changed text is sent again.
			why = fmt.Sprintf("%s holds the lease and has not renewed it since %s UTC", holder,
				changed.UTC().Format("15:04:05"))
		}
		if ctx.Err() == nil {
			a.own.Leaderless(now, why)
			if others.look(now, holder, why == "" && holder != kube.Identity(a.o.Identity, a.o.Advertise) &&
				!a.leading.Load()) {
				a.outbox.Yield(a.own.LocalAlert)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// yielding is since when one other replica leads.
type yielding struct {
	holder string
	since  time.Time
}

// look takes who leads, and whether that is known and another replica. It reports
// whether that one has led for long enough.
func (y *yielding) look(now time.Time, holder string, other bool) bool {
	switch {
	case !other:
		*y = yielding{}
	case y.holder != holder || now.Before(y.since):
		*y = yielding{holder, now}
	default:
		return now.Sub(y.since) >= yieldAfter
	}
	return false
}

func (a *App) lease(ctx context.Context) (string, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, leaderTimeout)
	defer cancel()
	return a.client.Lease(ctx, a.o.Namespace)
}

// unrecorded says why nothing can be recorded; empty: it can.
func (a *App) unrecorded() string {
	if err := a.record.Closed(); err != nil {
		return err.Error()
	}
	return ""
}
