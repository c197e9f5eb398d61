package app

import (
	"context"
	"time"

	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/notify"
)

// comparePage compares the public page with what is measured while this replica leads.
func (a *App) comparePage(ctx context.Context) {
	if !a.leading.Load() {
		a.drift.Reset()
		return
	}
	text, err := a.drift.Look(ctx, a.built.Load().notifiers, a.engine.Incidents())
	if err != nil {
		a.o.Logger.Warn("the status page cannot be compared with what is measured; tried again",
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
		} else if err := a.reviews.Look(ctx, a.engine.Incidents(), a.clock.Now()); err != nil && ctx.Err() == nil {
			a.o.Logger.Warn("reviews not read; tried again later", "err", err)
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

// checkDefinition says once at the start if the cluster would drop what people say. It
// goes on all the same: what it needs itself is kept.
func (a *App) checkDefinition(ctx context.Context) {
	if err := kube.NewStore(a.client, a.o.Namespace).CheckDefinition(ctx); err != nil && ctx.Err() == nil {
		a.o.Logger.Warn("what people say to watchdog may not be kept: acknowledgements, notes, severities, holds",
			"err", err)
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
