package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/incident"
)

// strayLook is how often the store is read for incidents that nobody works.
const orphanLook = time.Minute

// orphans finds what a replica left that no longer led and did not know it yet:
// incidents in the store that this leader does not know, and ops in the ledger
// that no incident works. The first incident on a target is worked on; another
// ends, or its page would stay open for ever. One with an op never ends: it is
// worked, and the other ends.
func (e *Engine) orphans(ctx context.Context) (time.Duration, error) {
	stored, err := e.o.Store.Incidents(ctx)
	if err != nil {
		return 0, fmt.Errorf("read incidents: %w", err)
	}
	stored = e.withoutNewerVersion(stored)
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
		case s.Incident.Op != nil || slices.ContainsFunc(ledger.Ops, func(o incident.Op) bool { return o.Incident == s.Incident.ID }):
			e.mu.Lock()
			e.duplicates[s.Incident.Target.Name] = s
			e.mu.Unlock()
			e.Wake(s.Incident.Target.Name)
		default:
			if err := e.supersede(ctx, s, by); err != nil {
				return 0, err
			}
		}
	}
	for _, op := range ledger.Ops {
		if op.Plan.Action != incident.ActionRevert && e.o.Now().Sub(op.PlannedAt) > orphanLook/2 {
			e.assignOrphan(op)
		}
	}
	return orphanLook, nil
}

// markStale notes that the store holds another version of an incident that is worked
// here: a replica that no longer led and did not know it wrote it.
func (e *Engine) markStale(s incident.Stored) {
	name := s.Incident.Target.Name
	e.mu.Lock()
	en := e.live[name]
	stale := en != nil && en.inc.ID == s.Incident.ID && en.version != "" && en.version != s.Version
	if stale {
		e.stale[name] = s.Version
	}
	e.mu.Unlock()
	if stale {
		e.Wake(name)
	}
}

// takeStale reports whether the incident is to be read again. Its worker asks, so
// that a version which it stored itself meanwhile is no reason.
func (e *Engine) takeStale(name string, en *entry) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	version, yes := e.stale[name]
	delete(e.stale, name)
	return yes && en != nil && !en.unsaved && en.version != version
}

// assignOrphan hands an op that no incident works to the worker of its target.
func (e *Engine) assignOrphan(op incident.Op) {
	name := op.Plan.Target.Name
	e.mu.Lock()
	en := e.live[name]
	switch {
	case en == nil:
		if en = e.closed[op.Incident]; en == nil {
			en = &entry{inc: incident.New(op.Incident, op.Plan.Target, e.o.Now())}
		}
		delete(e.closed, op.Incident)
		e.live[name] = en
		e.adopted[name] = op
	case en.inc.Op == nil && en.inc.ID == op.Incident:
		e.adopted[name] = op
	}
	e.mu.Unlock()
	e.Wake(name)
}

// worked returns the other incident that is worked on the stored one's target, or
// "" if it is the stored one itself; fresh says that it is so from now on.
func (e *Engine) worked(s incident.Stored) (by string, fresh bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	name := s.Incident.Target.Name
	if e.closed[s.Incident.ID] != nil {
		return "", false // ended here; the read was older
	}
	en := e.live[name]
	if en == nil {
		e.live[name] = newEntry(s)
		return "", true
	}
	if en.inc.ID == s.Incident.ID {
		return "", false
	}
	return en.inc.ID, false
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
	last := inc.Timeline[len(inc.Timeline)-1]
	if err := e.o.Audit(audit.Record{At: last.At, Kind: string(last.Kind), Incident: inc.ID, Target: inc.Target.String(), Actor: "watchdog", Text: last.Text}); err != nil {
		e.o.Logger.Warn("end of a superseded incident not recorded", "incident", inc.ID, "err", err)
	}
	e.mu.Lock()
	e.closed[inc.ID] = newEntry(incident.Stored{Incident: inc, Version: version})
	e.mu.Unlock()
	e.o.Observed(inc, last)
	e.o.Tell(inc)
	return nil
}

// switchToDuplicate lets the incident with an op be worked instead of the present one, which
// has none. The worker of the target calls it.
func (e *Engine) switchToDuplicate(ctx context.Context, name string, en *entry) (swapped bool, err error) {
	e.mu.Lock()
	other, ok := e.duplicates[name]
	delete(e.duplicates, name)
	e.mu.Unlock()
	if !ok || en == nil || en.inc.Op != nil || en.inc.ID == other.Incident.ID {
		return false, nil
	}
	if err := e.supersede(ctx, incident.Stored{Incident: en.inc, Version: en.version}, other.Incident.ID); err != nil {
		return false, err
	}
	next := newEntry(other)
	e.o.Restored([]incident.Incident{other.Incident})
	e.mu.Lock()
	e.live[name] = next
	e.mu.Unlock()
	e.Wake(name)
	return true, nil
}

// adoptOp gives the incident an op that only the ledger knows, if the ledger still has it.
func (e *Engine) adoptOp(ctx context.Context, name string, inc incident.Incident) (incident.Incident, error) {
	e.mu.Lock()
	op, ok := e.adopted[name]
	e.mu.Unlock()
	if !ok {
		return inc, nil
	}
	ledger, _, err := e.o.Store.Ledger(ctx)
	if err != nil {
		return inc, fmt.Errorf("read ledger: %w", err)
	}
	e.mu.Lock()
	delete(e.adopted, name)
	e.mu.Unlock()
	if _, inFlight := find(ledger, op.ID); !inFlight {
		return inc, nil
	}
	return incident.Adopt(inc, op, e.o.Now()), nil
}

// olderWork reports whether a is to be worked rather than b: the one with an op,
// then the one that was opened first.
func olderWork(a, b incident.Incident) bool {
	if (a.Op != nil) != (b.Op != nil) {
		return a.Op != nil
	}
	return a.OpenedAt.Before(b.OpenedAt)
}
