package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// renotifyWithin is how long after its end an incident is handed to the receivers
// again by a new leader.
const renotifyWithin = 24 * time.Hour

// load reads what earlier leaders left, and gives incidents the ops that only the ledger knows of.
func (e *Engine) load(ctx context.Context) error {
	var entries []*entry
	responders, newer := map[string]incident.ResponderActions{}, map[string]bool{}
	err := e.o.Store.EachIncident(ctx, func(s incident.Stored) error {
		if s.Newer {
			newer[s.Incident.Target.Name] = true
			return nil
		}
		entries, responders[s.Incident.ID] = append(entries, newEntry(s)), s.Responders
		return nil
	})
	if err != nil {
		return fmt.Errorf("read incidents: %w", err)
	}
	e.leaveToNewer(newer)
	ledger, err := e.loadLedger(ctx)
	if err != nil {
		return err
	}
	open, closed := sortOut(entries, ledger, e.o.Now())
	e.mu.Lock()
	for name := range e.targets {
		e.changeLocked(name, func(t *targetState) { t.open = nil })
	}
	for name, en := range open {
		e.changeLocked(name, func(t *targetState) { t.open = en })
	}
	e.closed, e.killSwitch, e.responders = closed, ledger.Hold, responders
	e.resumeGlobal(open[Self])
	e.mu.Unlock()
	e.announce(open, closed)
	e.o.Logger.Info("state loaded", "open", len(open), "resolved", len(closed), "ops", len(ledger.Ops),
		"leases", len(ledger.Leases))
	return nil
}

// loadLedger reads the ledger. Times in it that lie ahead count from now on.
func (e *Engine) loadLedger(ctx context.Context) (incident.Ledger, error) {
	ledger, _, err := e.o.Store.Ledger(ctx)
	if errors.Is(err, incident.ErrNewer) {
		// It tells and does nothing: that needs no ledger.
		e.Distrust(err.Error())
		return incident.Ledger{}, nil
	}
	if err != nil {
		return incident.Ledger{}, fmt.Errorf("read ledger: %w", err)
	}
	if _, ahead := ledger.Sane(e.o.Now()); ahead {
		e.o.Logger.Warn("the ledger holds times in the future: a leader's clock was wrong; resetting them to now")
		err = e.swap(ctx, func(l incident.Ledger) (incident.Ledger, error) {
			ledger, _ = l.Sane(e.o.Now())
			return ledger, nil
		})
	}
	return ledger, err
}

// sortOut finds the one incident that is to be worked on each target, by the target's name, and
// those that are over, by id. Of several on a target it is the one with an op.
func sortOut(all []*entry, ledger incident.Ledger, now time.Time) (open, closed map[string]*entry) {
	open, closed = map[string]*entry{}, map[string]*entry{}
	byID := map[string]*entry{}
	for _, en := range all {
		byID[en.inc.ID] = en
		if over(en.inc) {
			closed[en.inc.ID] = en
			continue
		}
		if other := open[en.inc.Target.Name]; other != nil && !olderWork(en.inc, other.inc) {
			continue // a duplicate; see orphans
		}
		open[en.inc.Target.Name] = en
	}
	for _, op := range ledger.Ops {
		if op.Plan.Action == incident.ActionRevert {
			continue
		}
		// The op's own incident goes on, and no other on the target: whoever sent
		// the op may be at work on it still.
		en := byID[op.Incident]
		if en == nil {
			en = &entry{inc: incident.New(op.Incident, op.Plan.Target, now)}
		}
		delete(closed, op.Incident)
		open[op.Plan.Target.Name] = en
		en.inc = incident.Adopt(en.inc, op, now)
	}
	return open, closed
}

// announce hands the receivers what is open or ended lately: a predecessor may have ended before
// everybody was told. Receivers that were told compare receipts and stay silent.
func (e *Engine) announce(open, closed map[string]*entry) {
	e.mu.Lock()
	all := make([]incident.Incident, 0, len(open))
	for _, name := range slices.Sorted(maps.Keys(open)) {
		all = append(all, open[name].inc)
	}
	var ended []incident.Incident
	for _, id := range slices.Sorted(maps.Keys(closed)) {
		if inc := closed[id].inc; e.o.Now().Sub(inc.ResolvedAt) < renotifyWithin {
			ended = append(ended, inc)
		}
	}
	e.mu.Unlock()
	e.o.Restored(all)
	for _, some := range [][]incident.Incident{all, ended} {
		for _, i := range some {
			e.o.Tell(i)
		}
	}
}
