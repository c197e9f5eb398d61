package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/incident"
)

// save stores how far the incident came, if that is worth a write. failed is why it came no further; nil: it
// came to rest. What is not stored is kept in memory and stored with the next step.
func (e *Engine) save(ctx context.Context, c *claim, inc incident.Incident, failed error) error {
	en, err := c.entry, failed
	if err == nil && (en.unsaved || !inc.UpdatedAt.Equal(c.was.UpdatedAt) || !same(inc, en.inc)) {
		err = e.put(ctx, c.name, en, inc)
	} else if err == nil {
		e.mu.Lock()
		en.inc = inc
		e.mu.Unlock()
	}
	if err != nil {
		// How far it came is not forgotten: the ledger may know an op by now that
		// the stored incident does not.
		e.mu.Lock()
		en.inc, en.unsaved = inc, true
		e.mu.Unlock()
	} else if e.renotifyDue(c.name) {
		e.o.Tell(inc)
	}
	if e.crowded() {
		en.scribe.Forget()
	}
	if inc.Phase == incident.Escalated && c.was.Phase != incident.Escalated {
		e.Wake(leasesKey) // a change that did harm is a person's now, and no longer kept for the incident
	}
	return err
}

// renotifyDue reports, once, whether the receivers have changed since they were last told.
func (e *Engine) renotifyDue(name string) (due bool) {
	e.change(name, func(t *targetState) { due, t.renotify = t.renotify, false })
	return due
}

// put records what is new, stores the incident and hands it to the receivers, in
// this order: what cannot be recorded is not told as done.
func (e *Engine) put(ctx context.Context, name string, en *entry, inc incident.Incident) error {
	if err := e.record(en, inc); err != nil {
		e.keepReceipts(inc)
		return err
	}
	version, err := e.o.Store.SaveIncident(ctx, inc, en.version)
	if err != nil {
		e.keepReceipts(inc)
	}
	if errors.Is(err, incident.ErrConflict) {
		// Somebody else wrote it: another leader, or a person. Read again and start over.
		return e.reload(ctx, name, inc.ID)
	}
	if err != nil {
		return fmt.Errorf("store incident %s: %w", inc.ID, err)
	}
	e.mu.Lock()
	en.inc, en.version, en.unsaved = inc, version, false
	if over(inc) {
		e.changeLocked(name, func(t *targetState) { t.open = nil })
		e.closed[inc.ID], en.scribe = en, nil
	} else {
		e.changeLocked(name, func(t *targetState) { t.open = en })
	}
	e.mu.Unlock()
	e.o.Tell(inc)
	if inc.Phase == incident.Resolved {
		e.retire(ctx)
	}
	return nil
}

// keepOpening keeps a new incident that could not be stored, and returns why it could not: the next pass stores it
// under the same id. After a conflict reload has taken what is stored.
func (e *Engine) keepOpening(name string, en *entry, inc incident.Incident, failed error) error {
	if !errors.Is(failed, incident.ErrConflict) {
		e.change(name, func(t *targetState) {
			if t.open == nil || t.open == en {
				en.inc, en.unsaved, t.open = inc, true, en
			}
		})
	}
	return failed
}

// record appends to the audit record what was decided, and the timeline's new entries: all of
// it at once, or nothing.
func (e *Engine) record(en *entry, inc incident.Incident) error {
	var all []audit.Record
	decisions, news := en.scribe.Pending(inc)
	if news {
		all = append(all, decisions)
	}
	total := len(inc.Timeline) + inc.Dropped
	fresh := inc.Timeline[len(inc.Timeline)-min(len(inc.Timeline), max(0, total-en.saved)):]
	for _, t := range fresh {
		if r, said := responderRecord(inc, t); said {
			all = append(all, r)
		}
		all = append(all, audit.Record{At: t.At, Kind: string(t.Kind), Incident: inc.ID, Target: inc.Target.String(),
			Actor: "watchdog", Text: t.Text})
	}
	if len(all) == 0 {
		return nil
	}
	if err := e.o.Audit(all...); err != nil {
		return fmt.Errorf("record what was decided on incident %s, and done: %w", inc.ID, err)
	}
	if news {
		en.scribe.Written()
	}
	en.saved += len(fresh)
	for _, t := range fresh {
		e.metrics.responded(inc, t)
		e.o.Observed(inc, t)
	}
	return nil
}

// reload reads an incident again, and the ops of it that the ledger knows, after somebody else wrote it.
// Its error says that all is to begin anew with that.
func (e *Engine) reload(ctx context.Context, name, id string) error {
	s, found, err := e.o.Store.StoredIncident(ctx, id)
	if err != nil {
		return fmt.Errorf("read incident %s after a conflict: %w", id, err)
	}
	ledger, _, err := e.o.Store.Ledger(ctx)
	if err != nil {
		return fmt.Errorf("read ledger after a conflict: %w", err)
	}
	if !found {
		e.deleted(name, id, ledger)
		return fmt.Errorf("incident %s: %w; re-reading it", id, incident.ErrConflict)
	}
	for _, op := range ledger.Ops {
		if op.Incident == id && op.Plan.Action != incident.ActionRevert {
			s.Incident = incident.Adopt(s.Incident, op, e.o.Now())
		}
	}
	en := newEntry(s)
	e.change(name, func(t *targetState) {
		e.remember(s)
		if t.open = en; over(s.Incident) {
			// It was resolved, and only the answer was lost; or another leader did
			// it, and this one may have told an older state since.
			t.open, e.closed[id] = nil, en
		}
	})
	e.o.Tell(s.Incident)
	return fmt.Errorf("incident %s: %w; re-reading it", id, incident.ErrConflict)
}

// deleted ends an open incident that somebody deleted from the store, for its receivers too: what still fires is
// opened anew. One with an op goes on, under its id.
func (e *Engine) deleted(name, id string, l incident.Ledger) {
	var gone *entry
	e.change(name, func(t *targetState) {
		if t.open == nil || t.open.inc.ID != id {
			return
		}
		gone, t.open = t.open, nil
		delete(e.receipts, id)
		delete(e.responders, id)
		for _, op := range l.Ops {
			if op.Incident == id && op.Plan.Action != incident.ActionRevert {
				t.open = &entry{inc: incident.Adopt(incident.New(id, op.Plan.Target, e.o.Now()), op, e.o.Now())}
			}
		}
		if t.open != nil {
			gone = nil
		}
	})
	if gone != nil && gone.version != "" {
		e.tellEnd(incident.Deleted(gone.inc, e.o.Now()))
	}
}

// withReceipts returns the incident with the deliveries that came in since it
// was last written.
func (e *Engine) withReceipts(inc incident.Incident) incident.Incident {
	e.mu.Lock()
	defer e.mu.Unlock()
	fresh := e.receipts[inc.ID]
	if len(fresh) == 0 {
		return inc
	}
	delete(e.receipts, inc.ID)
	inc.Receipts = maps.Clone(inc.Receipts)
	if inc.Receipts == nil {
		inc.Receipts = map[string]incident.Receipt{}
	}
	maps.Copy(inc.Receipts, fresh)
	inc.UpdatedAt = e.o.Now()
	return inc
}

// keepReceipts puts an incident's receipts back for the next write, after one
// that failed.
func (e *Engine) keepReceipts(inc incident.Incident) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.receipts[inc.ID] == nil {
		e.receipts[inc.ID] = map[string]incident.Receipt{}
	}
	for name, r := range inc.Receipts {
		if _, newer := e.receipts[inc.ID][name]; !newer {
			e.receipts[inc.ID][name] = r
		}
	}
}

// same reports whether two states differ in nothing that must be stored. The
// value of an alert changes with every look and is not worth a write.
func same(a, b incident.Incident) bool {
	return a.Phase == b.Phase && a.Severity == b.Severity && a.Lead == b.Lead && a.Paged == b.Paged &&
		a.Shared == b.Shared && a.HandedOver == b.HandedOver &&
		a.HeldSince.Equal(b.HeldSince) && a.OnHoldSince.Equal(b.OnHoldSince) &&
		len(a.Timeline) == len(b.Timeline) && a.Dropped == b.Dropped && len(a.Attempts) == len(b.Attempts) &&
		maps.Equal(a.Receipts, b.Receipts) && sameOp(a.Op, b.Op) && sameResponse(a, b) &&
		slices.EqualFunc(a.Alerts, b.Alerts, sameAlert)
}

func sameOp(a, b *incident.Op) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.ID == b.ID && a.Phase == b.Phase && a.RolledAt.Equal(b.RolledAt)
}

// sameResponse: a clock that runs is stored when it begins: a successor goes on with it.
func sameResponse(a, b incident.Incident) bool {
	if (a.Asked == nil) != (b.Asked == nil) || a.Asked != nil && !a.Asked.ReadyAt.Equal(b.Asked.ReadyAt) {
		return false
	}
	return a.AckBy.Equal(b.AckBy) && a.AckFor == b.AckFor && a.NeededAt.Equal(b.NeededAt) && a.Stage == b.Stage
}

func sameAlert(a, b incident.Alert) bool {
	return a.Rule == b.Rule && a.Firing == b.Firing && a.Verdict == b.Verdict && a.Next == b.Next &&
		a.Tries == b.Tries && a.Ended == b.Ended &&
		slices.Equal(a.Keys, b.Keys) && a.Extent.Equal(b.Extent)
}
