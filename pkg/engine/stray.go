package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/incident"
)

// strayLook is how often the store is read for incidents that nobody works.
const strayLook = time.Minute

// strays finds incidents in the store that this leader does not know: a replica
// that no longer led, and did not know it yet, opened them. The first on a target
// is worked on; another on the same target ends, or its page would stay open for
// ever.
func (e *Engine) strays(ctx context.Context) (time.Duration, error) {
	stored, err := e.o.Store.Incidents(ctx)
	if err != nil {
		return 0, fmt.Errorf("read incidents: %w", err)
	}
	for _, s := range stored {
		if s.Incident.Phase == incident.Resolved && s.Incident.Op == nil {
			continue
		}
		by, fresh := e.worked(s)
		switch {
		case fresh:
			e.Wake(s.Incident.Target.Name)
		case by != "":
			if err := e.supersede(ctx, s, by); err != nil {
				return 0, err
			}
		}
	}
	return strayLook, nil
}

// worked returns the other incident that is worked on the stored one's target, or
// "" if it is the stored one itself; fresh says that it is so from now on.
func (e *Engine) worked(s Stored) (by string, fresh bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	name := s.Incident.Target.Name
	if e.closed[s.Incident.ID] != nil {
		return "", false // ended here; the read was older
	}
	en := e.live[name]
	if en == nil {
		e.live[name] = &entry{inc: s.Incident, version: s.Version, saved: len(s.Incident.Timeline) + s.Incident.Dropped}
		return "", true
	}
	if en.inc.ID == s.Incident.ID {
		return "", false
	}
	return en.inc.ID, false
}

func (e *Engine) supersede(ctx context.Context, s Stored, by string) error {
	if s.Incident.Op != nil {
		e.mu.Lock()
		e.adopted[s.Incident.Target.Name] = *s.Incident.Op
		e.mu.Unlock()
		e.Wake(s.Incident.Target.Name)
	}
	inc := incident.Supersede(s.Incident, by, e.o.Now())
	version, err := e.o.Store.SaveIncident(ctx, inc, s.Version)
	if errors.Is(err, ErrConflict) {
		return nil // somebody works it after all; the next look tells
	}
	if err != nil {
		return fmt.Errorf("store incident %s: %w", inc.ID, err)
	}
	last := inc.Timeline[len(inc.Timeline)-1]
	if err := e.o.Audit(audit.Record{At: last.At, Kind: last.What, Incident: inc.ID, Target: inc.Target.String(), Actor: "watchdog", Text: last.Text}); err != nil {
		e.o.Logger.Warn("end of a superseded incident not recorded", "incident", inc.ID, "err", err)
	}
	e.mu.Lock()
	e.closed[inc.ID] = &entry{inc: inc, version: version, saved: len(inc.Timeline) + inc.Dropped}
	e.mu.Unlock()
	e.o.Observed(inc, last)
	e.o.Tell(inc)
	return nil
}

// adopt gives the incident the op of a stray, if the ledger still has it.
func (e *Engine) adopt(ctx context.Context, name string, inc incident.Incident) (incident.Incident, error) {
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
	if _, flying := find(ledger, op.ID); !flying {
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
