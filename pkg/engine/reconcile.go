package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/decision"
	"watchdog.io/watchdog/pkg/incident"
)

// How soon an incident is looked at again when nothing else wakes it.
const (
	lookAgain    = 5 * time.Second
	lookSettling = time.Second
)

// maxEffects bounds one pass: a ladder has few rungs, and a pass that does not
// come to rest is a bug that must not spin.
const maxEffects = 100

// target moves the incident of one target as far as it goes at this moment.
func (e *Engine) target(ctx context.Context, name string) (time.Duration, error) {
	setup, en := e.held(name)
	switch {
	case setup == nil:
		return lookAgain, nil
	case e.newerVersion(name):
		return 0, nil
	}
	return e.reconcile(ctx, name, setup, en, e.shared(e.refresh(setup)))
}

// newerVersion reports whether a newer watchdog works the target.
func (e *Engine) newerVersion(name string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.newer[name]
}

// reconcile moves the incident of one target on, if it has one or needs one. shared
// says what is wrong with more than this target.
func (e *Engine) reconcile(ctx context.Context, name string, setup *Setup, en *entry, shared string) (time.Duration, error) {
	ts, known := setup.target(name)
	snapshot := Snapshot{}
	if known {
		snapshot = setup.Snapshot(name)
	}
	if e.takeStale(name, en) {
		err := e.reload(ctx, name, en.inc.ID)
		if errors.Is(err, incident.ErrConflict) {
			err = nil // that is how it says that all is to begin anew
		}
		return 50 * time.Millisecond, err
	}
	if swapped, err := e.switchToDuplicate(ctx, name, en); swapped || err != nil {
		return 50 * time.Millisecond, err // the other is worked at once
	}
	if en == nil {
		if !slices.ContainsFunc(snapshot.Alerts, func(a incident.Alert) bool { return a.Firing }) {
			return 0, nil
		}
		inc := e.relapse(incident.New("", ts.Target, e.o.Now()))
		if !slices.ContainsFunc(snapshot.Alerts, func(a incident.Alert) bool { return a.Firing && !inc.Residual(a, e.o.Now()) }) {
			return lookAgain, nil // what fires is what the last incident's action has ended
		}
		inc.ID = e.o.NewID()
		en = &entry{inc: inc}
	}
	before, was := en.inc.UpdatedAt, en.inc.Phase
	if en.unsaved {
		// Nothing new is begun before what was reached is stored: after a crash the
		// ledger's op would belong to an incident that knows of another.
		if err := e.put(ctx, name, en, en.inc); err != nil {
			return 0, err
		}
	}
	now, err := e.adoptOp(ctx, name, en.inc)
	if err != nil {
		return 0, err
	}
	if !e.o.NoDecisions && en.scribe == nil {
		en.scribe = &decision.Scribe{}
	}
	inc, effects := en.scribe.Step(e.withReceipts(now), incident.Tick{At: e.o.Now(), Alerts: snapshot.Alerts, Rollout: e.progress(ctx, now, caughtUp(snapshot, now.Op, e.o.Now())), Shared: shared, Words: e.words(ctx, en.inc), Maintenance: snapshot.Maintenance}, e.policy(setup))
	if !now.CalmSince.IsZero() && inc.CalmSince.IsZero() && inc.Phase != incident.Resolved {
		e.metrics.flaps.Inc()
	}
	if en.version == "" {
		// Opened: it is in the store before anything is done about it.
		if err := e.put(ctx, name, en, inc); err != nil {
			return 0, err
		}
	}
	inc, err = e.perform(ctx, name, setup, ts, en, inc, effects)
	if err == nil && (en.unsaved || !inc.UpdatedAt.Equal(before) || !same(inc, en.inc)) {
		err = e.put(ctx, name, en, inc)
	} else if err == nil {
		e.mu.Lock()
		en.inc = inc
		e.mu.Unlock()
	}
	if err != nil {
		// How far it came is not forgotten: the ledger may know an op by now that
		// the stored incident does not. It is stored with the next step.
		e.mu.Lock()
		en.inc, en.unsaved = inc, true
		e.mu.Unlock()
	} else if e.renotifyDue(name) {
		e.o.Tell(inc)
	}
	if inc.Phase == incident.Escalated && was != incident.Escalated {
		e.Wake(leasesKey) // a change that did harm is a person's now, and no longer kept for the incident
	}
	if over(inc) && slices.ContainsFunc(snapshot.Alerts, func(a incident.Alert) bool { return a.Firing }) {
		return 50 * time.Millisecond, err // what fires is the next incident's
	}
	return e.next(inc), err
}

// renotifyDue reports, once, whether the receivers have changed since they were last told.
func (e *Engine) renotifyDue(name string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	yes := e.renotify[name]
	delete(e.renotify, name)
	return yes
}

// perform does what the core asked for, one effect after the other, and returns
// how far the incident came, also with an error.
func (e *Engine) perform(ctx context.Context, name string, setup *Setup, ts TargetSetup, en *entry, inc incident.Incident, effects []incident.Effect) (incident.Incident, error) {
	for range maxEffects {
		if len(effects) == 0 || ctx.Err() != nil {
			return inc, nil
		}
		if effects[0] == incident.Act || effects[0] == incident.Release && inc.Op.Verdict == incident.Aborted {
			// The incident knows that the op is being sent before it is sent, and what
			// the receivers have been told by now: a successor tells them nothing twice.
			// And an op is given up only by who still may: another leader that sends it
			// has stored the incident since.
			inc = e.withReceipts(inc)
			if err := e.put(ctx, name, en, inc); err != nil {
				return inc, err
			}
		}
		event, err := e.do(ctx, effects[0], setup, ts, inc)
		if err != nil {
			return inc, err
		}
		var more []incident.Effect
		inc, more = en.scribe.Step(inc, event, e.policy(setup))
		effects = append(effects[1:], more...)
	}
	return inc, fmt.Errorf("incident %s did not come to rest after %d effects", inc.ID, maxEffects)
}

func (e *Engine) policy(s *Setup) incident.Policy {
	if s.Policy != (incident.Policy{}) {
		return s.Policy
	}
	return e.o.Policy
}

// held returns the present setup and the target's incident.
func (e *Engine) held(name string) (*Setup, *entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.setup, e.live[name]
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
	if inc.Phase == incident.Resolved && inc.Op == nil {
		delete(e.live, name)
		e.closed[inc.ID], en.scribe = en, nil
	} else {
		e.live[name] = en
	}
	e.metrics.incidents(e.live)
	e.mu.Unlock()
	e.o.Tell(inc)
	if inc.Phase == incident.Resolved {
		e.retire(ctx)
	}
	return nil
}

// record appends to the audit record what was decided, and the timeline's new entries.
func (e *Engine) record(en *entry, inc incident.Incident) error {
	if r, news := en.scribe.Pending(inc); news {
		if err := e.o.Audit(r); err != nil {
			return fmt.Errorf("record the decisions on incident %s: %w", inc.ID, err)
		}
		en.scribe.Written()
	}
	total := len(inc.Timeline) + inc.Dropped
	fresh := inc.Timeline[len(inc.Timeline)-min(len(inc.Timeline), max(0, total-en.saved)):]
	for _, t := range fresh {
		if err := e.o.Audit(audit.Record{At: t.At, Kind: string(t.Kind), Incident: inc.ID, Target: inc.Target.String(), Actor: "watchdog", Text: t.Text}); err != nil {
			return fmt.Errorf("record %q of incident %s: %w", t.Kind, inc.ID, err)
		}
		en.saved++
		e.metrics.responded(inc, t)
		e.o.Observed(inc, t)
	}
	return nil
}

func (e *Engine) reload(ctx context.Context, name, id string) error {
	stored, err := e.o.Store.Incidents(ctx)
	if err != nil {
		return fmt.Errorf("read incidents after a conflict: %w", err)
	}
	ledger, _, err := e.o.Store.Ledger(ctx)
	if err != nil {
		return fmt.Errorf("read ledger after a conflict: %w", err)
	}
	for _, s := range stored {
		if s.Incident.ID == id {
			for _, op := range ledger.Ops {
				if op.Incident == id && op.Plan.Action != incident.ActionRevert {
					s.Incident = incident.Adopt(s.Incident, op, e.o.Now())
				}
			}
			e.mu.Lock()
			if over(s.Incident) {
				// It was resolved, and only the answer was lost; or another leader did
				// it, and this one may have told an older state since.
				delete(e.live, name)
				e.closed[id] = newEntry(s)
			} else {
				e.live[name] = newEntry(s)
			}
			e.mu.Unlock()
			e.o.Tell(s.Incident)
		}
	}
	return fmt.Errorf("incident %s: %w; read again", id, incident.ErrConflict)
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

// writeReceipts stores deliveries for an incident that is already resolved.
func (e *Engine) writeReceipts(ctx context.Context, id string) error {
	return e.updateClosed(ctx, id, false, func(inc incident.Incident) (incident.Incident, bool) { return inc.WithWord(e.word(id), e.o.Now()) })
}

// next says when an incident must be looked at again even if nothing wakes it.
func (e *Engine) next(inc incident.Incident) time.Duration {
	switch {
	case inc.Phase == incident.Resolved && inc.Op == nil:
		return 0
	case inc.Op != nil && inc.Op.Phase == incident.Settling:
		return lookSettling
	}
	soon := lookAgain
	for _, at := range []time.Time{inc.NextAt, inc.AckBy, inc.PhaseBy} {
		if at.After(e.o.Now()) {
			soon = min(soon, max(50*time.Millisecond, at.Sub(e.o.Now())))
		}
	}
	return soon
}

// same reports whether two states differ in nothing that must be stored. The
// value of an alert changes with every look and is not worth a write.
func same(a, b incident.Incident) bool {
	if a.Phase != b.Phase || a.Severity != b.Severity || a.Lead != b.Lead || a.Paged != b.Paged || !a.HeldSince.Equal(b.HeldSince) || !a.OnHoldSince.Equal(b.OnHoldSince) ||
		len(a.Timeline) != len(b.Timeline) || a.Dropped != b.Dropped || a.Shared != b.Shared || a.HandedOver != b.HandedOver || len(a.Attempts) != len(b.Attempts) || len(a.Alerts) != len(b.Alerts) || (a.Op == nil) != (b.Op == nil) {
		return false
	}
	if a.Op != nil && (a.Op.ID != b.Op.ID || a.Op.Phase != b.Op.Phase || !a.Op.RolledAt.Equal(b.Op.RolledAt)) {
		return false
	}
	if !maps.Equal(a.Receipts, b.Receipts) {
		return false
	}
	// A clock that runs is stored when it begins: a successor goes on with it.
	if !a.AckBy.Equal(b.AckBy) || a.AckFor != b.AckFor || !a.NeededAt.Equal(b.NeededAt) || a.Stage != b.Stage || (a.Asked == nil) != (b.Asked == nil) || a.Asked != nil && !a.Asked.ReadyAt.Equal(b.Asked.ReadyAt) {
		return false
	}
	return slices.EqualFunc(a.Alerts, b.Alerts, func(x, y incident.Alert) bool {
		return x.Rule == y.Rule && x.Next == y.Next && x.Tries == y.Tries && x.Ended == y.Ended && x.Firing == y.Firing && x.Verdict == y.Verdict && slices.Equal(x.Keys, y.Keys) && news(x) == news(y)
	})
}

// progress is the workload's rollout, or that of the Job which an op has made. One that cannot be
// read is waited for.
func (e *Engine) progress(ctx context.Context, i incident.Incident, workload incident.Rollout) incident.Rollout {
	if i.Op == nil || i.Op.Plan.Action != incident.ActionJob || i.Op.Phase != incident.Settling {
		return workload
	}
	r, err := e.o.Cluster.Job(ctx, i.Op.Plan.Object)
	if err != nil {
		e.o.Logger.Warn("Job not read", "incident", i.ID, "job", i.Op.Plan.Object.Namespace+"/"+i.Op.Plan.Object.Name, "err", err)
		return incident.Rollout{OfJob: true}
	}
	r.OfJob = true
	return r
}
