package app

import (
	"cmp"
	"context"
	"time"

	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/notify"
)

// comparePage compares the status page with the measured state while this replica leads.
func (a *App) comparePage(ctx context.Context) {
	if !a.leading.Load() {
		a.drift.Reset()
		return
	}
	text, err := a.drift.Look(ctx, a.built.Load().notifiers, a.engine.Incidents())
	if err != nil {
		a.o.Logger.Warn("cannot compare the status page with the measured state; retrying",
			"in", notify.DriftEvery, "err", err)
		return
	}
	a.engine.Drifted(text)
}

const (
	// reviewLook is how often the leader looks which reviews are overdue, and
	// firstReviewLook how soon it does after it began to lead.
	reviewLook      = 10 * time.Minute
	firstReviewLook = time.Minute
)

// watchReviews looks while this replica leads.
func (a *App) watchReviews(ctx context.Context) {
	for {
		wait := reviewLook
		if !a.leading.Load() {
			a.reviews.Reset()
			wait = firstReviewLook
		} else if err := a.reviews.Look(kube.Background(ctx), a.engine.Incidents(), a.clock.Now()); err != nil && ctx.Err() == nil {
			a.o.Logger.Warn("cannot read reviews; retrying", "err", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// retryLead is how long a new leader waits after the API server did not give it its state.
const retryLead = 2 * time.Second

// work leads until ctx ends. It does not begin before the store is ready: an API server that
// drops what the engine stores would make it act, and notify nobody.
func (a *App) work(ctx context.Context) {
	defer a.blocked.Take(nil)
	for ctx.Err() == nil {
		err := a.checkRecord(ctx)
		if err == nil {
			err = a.custom.Prepare(ctx)
		}
		if err == nil {
			err = a.engine.Run(ctx)
		}
		if err == nil || ctx.Err() != nil { // a stop is no failure, whatever it interrupted
			return
		}
		a.blocked.Take(err)
		a.o.Logger.Error("cannot start to lead; retrying", "in", retryLead, "err", err)
		a.metrics.blocked.Inc()
		select {
		case <-ctx.Done():
		case <-time.After(retryLead):
		}
	}
}

// unstored says why this replica, which leads, stores no incidents; empty: it does.
func (a *App) unstored() string { return cmp.Or(a.blocked.Why(), a.store.Unstored()) }

const (
	// sweepEvery is how often the leader looks for objects that were made and never stored, and
	// sweepAfter how old they are by then: the second half of storing one takes seconds.
	sweepEvery = time.Minute
	sweepAfter = 2 * time.Minute
)

// sweep deletes what a leader made and could not store.
func (a *App) sweep(ctx context.Context) {
	if err := a.custom.Sweep(kube.Background(ctx), a.clock.Now().Add(-sweepAfter)); err != nil && ctx.Err() == nil {
		a.o.Logger.Warn("cannot delete incidents that were created and never stored; retrying",
			"in", sweepEvery, "err", err)
	}
}

// tryRecord finds out whether the audit record can be written, and notes how far it has come
// while this replica leads.
func (a *App) tryRecord(ctx context.Context) {
	if a.record.Look() && a.leading.Load() {
		a.store.Note(ctx)
	}
}

// checkRecord holds the audit record against what the ledger noted of it.
func (a *App) checkRecord(ctx context.Context) error {
	why, err := a.store.Check(ctx)
	if why != "" {
		a.engine.Distrust(why)
	}
	return err
}
