package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"watchdog.io/watchdog/pkg/incident"
)

// updateClosed records, stores and, if it is news for them, tells the receivers what is
// added to an incident that is over: deliveries that came in, a person's word, how
// its recovery went, the end of a lease. Workers of different names do so, one at a
// time. After a conflict it is done again on what is stored. onRecord: what is added
// is one entry, and on record already.
func (e *Engine) updateClosed(ctx context.Context, id string, onRecord bool,
	change func(incident.Incident) (_ incident.Incident, news bool)) error {
	e.closedUpdate.Lock()
	defer e.closedUpdate.Unlock()
	for range swapAttempts {
		e.mu.Lock()
		en := e.closed[id]
		e.mu.Unlock()
		if en == nil {
			return nil
		}
		inc, news := change(e.withReceipts(en.inc))
		version, err := "", error(nil)
		if !onRecord {
			err = e.record(en, inc)
		}
		if err == nil {
			version, err = e.o.Store.SaveIncident(ctx, inc, en.version)
		}
		if err == nil {
			e.mu.Lock()
			if en.inc, en.version = inc, version; onRecord {
				en.saved++
			}
			e.mu.Unlock()
			if news {
				e.o.Tell(inc)
			}
			return nil
		}
		e.keepReceipts(inc)
		if !errors.Is(err, incident.ErrConflict) {
			return fmt.Errorf("update resolved incident %s: %w", id, err)
		}
		if err := e.rereadClosed(ctx, id); err != nil {
			return err
		}
	}
	return fmt.Errorf("incident %s: %w, %d times in a row", id, incident.ErrConflict, swapAttempts)
}

// rereadClosed reads an incident that is over from the store, or forgets it if it is not
// there any more.
func (e *Engine) rereadClosed(ctx context.Context, id string) error {
	s, found, err := e.o.Store.StoredIncident(ctx, id)
	if err != nil {
		return fmt.Errorf("read incident %s after a conflict: %w", id, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	en := e.closed[id]
	if en == nil {
		return nil
	}
	if found && !s.Newer {
		next := newEntry(s)
		next.saved = max(next.saved, en.saved) // what is on record stays there once
		e.closed[id] = next
		e.remember(s)
		return nil
	}
	delete(e.closed, id)
	delete(e.receipts, id)
	delete(e.responders, id)
	return nil
}

// writeReceipts stores deliveries for an incident that is already resolved.
func (e *Engine) writeReceipts(ctx context.Context, id string) error {
	return e.updateClosed(ctx, id, false, func(inc incident.Incident) (incident.Incident, bool) {
		return inc.WithLateActions(e.knownActions(id), e.o.Now())
	})
}

// annotate adds an entry to an incident that is already resolved.
func (e *Engine) annotate(ctx context.Context, id string, entry incident.Entry) error {
	var told incident.Incident
	err := e.updateClosed(ctx, id, true, func(inc incident.Incident) (incident.Incident, bool) {
		inc.Timeline = append(slices.Clone(inc.Timeline), entry)
		inc.UpdatedAt = entry.At
		told = inc
		return inc, true
	})
	if err == nil && told.ID != "" {
		e.o.Observed(told, entry)
	}
	return err
}
