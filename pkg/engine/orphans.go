package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/incident"
)

// orphanLook is how often the store is read for incidents that no replica works.
const orphanLook = time.Minute

// orphans finds what a replica left that no longer led and did not know it yet:
// incidents in the store that this leader does not know, and ops in the ledger
// that no incident works. The first incident on a target is worked on; another
// ends, or its page would stay open for ever. One with an op never ends: it is
// worked, and the other ends.
func (e *Engine) orphans(ctx context.Context) (time.Duration, error) {
	var stored []incident.Stored // those that are not as they are known here
	newer := map[string]bool{}
	err := e.o.Store.EachIncident(ctx, func(s incident.Stored) error {
		switch {
		case s.Newer:
			newer[s.Incident.Target.Name] = true
		case !e.asKnown(s):
			stored = append(stored, s)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("read incidents: %w", err)
	}
	e.leaveToNewer(newer)
	ledger, _, err := e.o.Store.Ledger(ctx)
	if err != nil {
		return 0, fmt.Errorf("read ledger: %w", err)
	}
	for _, s := range stored {
		if over(s.Incident) {
			e.markStale(s)
			continue
		}
		by, fresh := e.worked(s)
		if by == "" && !fresh {
			e.markStale(s)
		}
		switch {
		case fresh:
			e.o.Restored([]incident.Incident{s.Incident})
			e.Wake(s.Incident.Target.Name)
		case by == "":
		case s.Incident.Op != nil || slices.ContainsFunc(ledger.Ops,
			func(o incident.Op) bool { return o.Incident == s.Incident.ID }):
			e.change(s.Incident.Target.Name, func(t *targetState) { t.duplicate = &s })
			e.Wake(s.Incident.Target.Name)
		default:
			if err := e.supersede(ctx, s, by); err != nil {
				return 0, err
			}
		}
	}
	e.readResponders(stored)
	for _, op := range ledger.Ops {
		if op.Plan.Action != incident.ActionRevert && e.o.Now().Sub(op.PlannedAt) > orphanLook/2 {
			e.assignOrphan(op)
		}
	}
	return orphanLook, nil
}

// catchUp brings a claim up to date with what another leader did meanwhile, as orphans found out: it stored another
// version of the incident, or another incident on the target has an op. changed: the target is to be claimed anew.
func (e *Engine) catchUp(ctx context.Context, c *claim) (changed bool, err error) {
	if e.takeStale(c.name, c.entry) {
		err := e.reload(ctx, c.name, c.entry.inc.ID)
		if errors.Is(err, incident.ErrConflict) {
			err = nil // that is how it says that all is to begin anew
		}
		return true, err
	}
	return e.switchToDuplicate(ctx, c.name, c.entry)
}

// markStale notes that the store holds another version of an incident that is worked
// here: a replica that no longer led and did not know it wrote it.
func (e *Engine) markStale(s incident.Stored) {
	stale, name := false, s.Incident.Target.Name
	e.change(name, func(t *targetState) {
		if stale = t.open != nil && t.open.inc.ID == s.Incident.ID && t.open.version != "" &&
			t.open.version != s.Version; stale {
			t.stale = s.Version
		}
	})
	if stale {
		e.Wake(name)
	}
}

// takeStale reports whether the incident is to be read again. Its worker asks, so
// that a version which it stored itself meanwhile is no reason.
func (e *Engine) takeStale(name string, en *entry) (stale bool) {
	e.change(name, func(t *targetState) {
		stale = t.stale != "" && en != nil && !en.unsaved && en.version != t.stale
		t.stale = ""
	})
	return stale
}

// assignOrphan hands an op that no incident works to the worker of its target.
func (e *Engine) assignOrphan(op incident.Op) {
	name := op.Plan.Target.Name
	e.change(name, func(t *targetState) {
		switch {
		case t.open == nil:
			if t.open = e.closed[op.Incident]; t.open == nil {
				t.open = &entry{inc: incident.New(op.Incident, op.Plan.Target, e.o.Now())}
			}
			delete(e.closed, op.Incident)
			t.adopted = &op
		case t.open.inc.Op == nil && t.open.inc.ID == op.Incident:
			t.adopted = &op
		}
	})
	e.Wake(name)
}

// worked returns the other incident that is worked on the stored one's target, or
// "" if it is the stored one itself; fresh says that it is so from now on.
func (e *Engine) worked(s incident.Stored) (by string, fresh bool) {
	e.change(s.Incident.Target.Name, func(t *targetState) {
		switch {
		case e.closed[s.Incident.ID] != nil: // ended here; the read was older
		case t.open == nil:
			t.open, fresh = newEntry(s), true
		case t.open.inc.ID != s.Incident.ID:
			by = t.open.inc.ID
		}
	})
	return by, fresh
}

// supersede ends a duplicate.
func (e *Engine) supersede(ctx context.Context, s incident.Stored, by string) error {
	inc := incident.Supersede(s.Incident, by, e.o.Now())
	version, err := e.o.Store.SaveIncident(ctx, inc, s.Version)
	if errors.Is(err, incident.ErrConflict) {
		return nil // somebody works it after all; the next look tells
	}
	if err != nil {
		return fmt.Errorf("store incident %s: %w", inc.ID, err)
	}
	e.mu.Lock()
	e.closed[inc.ID] = newEntry(incident.Stored{Incident: inc, Version: version})
	e.mu.Unlock()
	e.tellEnd(inc)
	return nil
}

// tellEnd records and tells the end of an incident that is not worked any more.
func (e *Engine) tellEnd(inc incident.Incident) {
	last := inc.Timeline[len(inc.Timeline)-1]
	if err := e.o.Audit(audit.Record{At: last.At, Kind: string(last.Kind), Incident: inc.ID,
		Target: inc.Target.String(), Actor: "watchdog", Text: last.Text}); err != nil {
		e.o.Logger.Warn("could not record the end of an incident", "incident", inc.ID, "err", err)
	}
	e.o.Observed(inc, last)
	e.o.Tell(inc)
}

// switchToDuplicate lets the incident with an op be worked instead of the present one, which
// has none. The worker of the target calls it.
func (e *Engine) switchToDuplicate(ctx context.Context, name string, en *entry) (swapped bool, err error) {
	var other *incident.Stored
	e.change(name, func(t *targetState) { other, t.duplicate = t.duplicate, nil })
	if other == nil || en == nil || en.inc.Op != nil || en.inc.ID == other.Incident.ID {
		return false, nil
	}
	if err := e.supersede(ctx, incident.Stored{Incident: en.inc, Version: en.version}, other.Incident.ID); err != nil {
		return false, err
	}
	e.o.Restored([]incident.Incident{other.Incident})
	e.change(name, func(t *targetState) { t.open = newEntry(*other) })
	e.Wake(name)
	return true, nil
}

// adoptOp gives the incident an op that only the ledger knows, if the ledger still has it.
func (e *Engine) adoptOp(ctx context.Context, name string, inc incident.Incident) (incident.Incident, error) {
	op := e.known(name).adopted
	if op == nil {
		return inc, nil
	}
	ledger, _, err := e.o.Store.Ledger(ctx)
	if err != nil {
		return inc, fmt.Errorf("read ledger: %w", err)
	}
	e.change(name, func(t *targetState) { t.adopted = nil })
	if !reserved(ledger, op.ID) {
		return inc, nil
	}
	return incident.Adopt(inc, *op, e.o.Now()), nil
}

// olderWork reports whether a is to be worked rather than b: the one with an op,
// then the one that was opened first.
func olderWork(a, b incident.Incident) bool {
	if (a.Op != nil) != (b.Op != nil) {
		return a.Op != nil
	}
	return a.OpenedAt.Before(b.OpenedAt)
}

// asKnown reports whether an incident is stored as it is known here: there is nothing to do about
// it. It keeps the responder actions on it.
func (e *Engine) asKnown(s incident.Stored) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.targets[s.Incident.Target.Name]
	worked := t != nil && t.open != nil && t.open.inc.ID == s.Incident.ID
	ended := e.closed[s.Incident.ID] != nil
	if worked || ended {
		e.remember(s)
	}
	return worked && (t.open.version == "" || t.open.version == s.Version) || !worked && (ended || over(s.Incident))
}

// leaveToNewer leaves the targets alone of which a newer watchdog stored an incident (INV-49).
func (e *Engine) leaveToNewer(newer map[string]bool) {
	e.mu.Lock()
	for name := range e.targets {
		e.changeLocked(name, func(t *targetState) { t.newer = false })
	}
	for name := range newer {
		e.changeLocked(name, func(t *targetState) { t.newer = true })
	}
	e.mu.Unlock()
	if len(newer) > 0 {
		e.Distrust(fmt.Sprintf("a newer version of watchdog stored incidents (on %s): run that version, or "+
			"delete those incidents", oneOf(slices.Sorted(maps.Keys(newer)))))
	}
}

func oneOf(names []string) string {
	if len(names) > 1 {
		return fmt.Sprintf("%s and %d more", names[0], len(names)-1)
	}
	return names[0]
}
