package engine

import (
	"cmp"
	"context"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// How many resolved incidents stay in the store: of targets and of watchdog itself, and
// of what is not watched. Whoever may post alerts can make any number of the latter, so
// they never take the room of the former. Of each kind, those that wait for their review
// stay up to twice as many.
const (
	keepClosed    = 200
	keepUnwatched = 100
)

// At most retireBatch incidents are deleted at once and each retirePause: what an earlier leader left, or
// another version kept, may be thousands, and requests that act do not wait behind them.
const (
	retireBatch = 10
	retirePause = time.Second
	retireRetry = time.Minute // after a delete that failed
)

// retireSlowly deletes what a new leader found and has no room for.
func (e *Engine) retireSlowly(ctx context.Context) {
	for again := e.retire(ctx); again > 0 && ctx.Err() == nil; again = e.retire(ctx) {
		timer := time.NewTimer(again)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// retire deletes the resolved incidents for which there is no room, oldest first, and returns when to go
// on; 0: there are no more.
func (e *Engine) retire(ctx context.Context) (again time.Duration) {
	e.mu.Lock()
	var watched, others []incident.Incident
	for _, en := range e.closed {
		if en.inc.Target.Watched() {
			watched = append(watched, en.inc)
		} else {
			others = append(others, en.inc)
		}
	}
	e.mu.Unlock()
	old := append(e.beyond(watched, keepClosed), e.beyond(others, keepUnwatched)...)
	for _, i := range old[:min(len(old), retireBatch)] {
		if err := e.o.Store.DeleteIncident(ctx, i.ID); err != nil {
			if ctx.Err() == nil {
				e.o.Logger.Warn("could not delete an old incident; will retry", "incident", i.ID, "err", err)
			}
			return retireRetry
		}
		e.metrics.deleted(i, e.keeps(i))
		e.mu.Lock()
		delete(e.closed, i.ID)
		delete(e.responders, i.ID)
		e.mu.Unlock()
	}
	if len(old) > retireBatch {
		return retirePause
	}
	return 0
}

// beyond returns which of the resolved incidents go so that as many as the quota stay.
// Of what is not watched, relapses go before what was told first.
func (e *Engine) beyond(all []incident.Incident, quota int) (old []incident.Incident) {
	slices.SortFunc(all, func(a, b incident.Incident) int {
		return cmp.Or(rank(a)-rank(b), a.ResolvedAt.Compare(b.ResolvedAt))
	})
	n := len(all) - quota
	for k, i := range all {
		if k < n && (k < n-quota || !e.keeps(i)) {
			old = append(old, i)
		}
	}
	return old
}

// keeps reports whether an incident waits for its review.
func (e *Engine) keeps(i incident.Incident) bool { return e.o.Keep != nil && e.o.Keep(i) }

func rank(i incident.Incident) int {
	if !i.Target.Watched() && i.RelapseOf != "" {
		return 0
	}
	return 1
}
