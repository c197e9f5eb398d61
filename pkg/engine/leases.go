package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

const leaseLook = 5 * time.Second

// revertSuffix makes the id of a revert from that of the op whose lease it ends.
const revertSuffix = "r"

// leases reverts what has expired. A lease is kept while an incident is open on
// its target: capacity is not taken away in the middle of trouble.
func (e *Engine) leases(ctx context.Context) (time.Duration, error) {
	setup := e.currentSetup()
	if setup == nil {
		return leaseLook, nil
	}
	ledger, _, err := e.o.Store.Ledger(ctx)
	if err != nil {
		return 0, fmt.Errorf("read ledger: %w", err)
	}
	e.metrics.leases.Set(float64(len(ledger.Leases)))
	e.pollResponders(ctx, ledger)
	next := leaseLook
	for _, op := range ledger.Ops {
		// A revert without its lease: whoever ended the lease did not know of it.
		if lease, ok := strings.CutSuffix(op.ID, revertSuffix); ok && op.Plan.Action == incident.ActionRevert &&
			!ledger.Leased(lease) {
			if err := e.swap(ctx, func(cur incident.Ledger) (incident.Ledger, error) {
				return cur.Release(op, incident.Aborted, e.o.Now(), setup.Limits), nil
			}); err != nil {
				return 0, err
			}
		}
	}
	for _, l := range ledger.Leases {
		_, undo := ledger.Undo[l.Op] // a person's word: neither the lease nor an incident keeps it
		if wait := l.ExpiresAt.Sub(e.o.Now()); wait > 0 && !undo {
			next = min(next, max(wait, 50*time.Millisecond))
			continue
		}
		if !undo && e.busy(l.Plan.Target.Name, l.Incident) {
			continue
		}
		if err := e.revert(ctx, setup, ledger, l); err != nil {
			return 0, fmt.Errorf("revert %s: %w", l.Plan.Summary, err)
		}
	}
	return next, nil
}

// busy reports whether an incident is being worked on the target. The lease's
// own incident, once it is a person's, does not keep a harmful change alive.
func (e *Engine) busy(target, own string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.targets[target]
	return t != nil && t.open != nil && !(t.open.inc.ID == own && t.open.inc.Phase == incident.Escalated)
}

// revert undoes one change by the op protocol. Its op id follows from the
// lease's, so that a successor after a crash finds the same op.
func (e *Engine) revert(ctx context.Context, setup *Setup, ledger incident.Ledger, l incident.Lease) error {
	id := l.Op + revertSuffix
	ts := setup.Targets[l.Plan.Target.Name]
	ts.Target = l.Plan.Target
	if reserved(ledger, id) {
		if applied, err := e.o.Cluster.Find(ctx, id, l.Plan); err != nil {
			return err
		} else if applied {
			return e.ended(ctx, l, id, incident.KindReverted,
				fmt.Sprintf("reverted %s from %s to %s: %s", l.Plan.Field, l.Plan.After, l.Plan.Before,
					remediate.WhyReverted(ledger, l)))
		}
	}
	w, err := e.o.Cluster.Workload(ctx, ts.Target, ts.Service)
	if err != nil {
		return err
	}
	plan, answers := remediate.Revert(remediate.Facts{
		Now: e.o.Now(), OpID: id, Mode: ts.Mode, ModeWhy: ts.ModeWhy, Workload: w, Ledger: ledger, Limits: setup.Limits,
		Settings:     setup.Settings,
		Installation: setup.Installation, Suspended: setup.Snapshot(ts.Target.Name).Suspended,
	}, l)
	hold, reason, _ := remediate.Held(answers)
	switch hold {
	case "":
	case incident.Skip, incident.HandOver:
		return e.ended(ctx, l, id, incident.KindYielded, "lease expired, change not reverted: "+reason)
	default:
		e.o.Logger.Info("lease not yet reverted", "op", l.Op, "reason", reason)
		return nil
	}
	op := incident.Op{ID: id, Incident: l.Incident, Plan: plan, PlannedAt: e.o.Now()}
	if err := e.reserveRevert(ctx, l, op, setup.Limits); err != nil {
		return err
	}
	return e.sendRevert(ctx, l, op, ts.Service)
}

// reserveRevert puts the op that ends a lease into the ledger, unless the lease was ended meanwhile.
func (e *Engine) reserveRevert(ctx context.Context, l incident.Lease, op incident.Op, limits incident.Limits) error {
	return e.swap(ctx, func(cur incident.Ledger) (incident.Ledger, error) {
		if !cur.Leased(l.Op) {
			return cur, fmt.Errorf("the lease of op %s has already ended", l.Op)
		}
		next, no := cur.Reserve(op, e.o.Now(), limits)
		if no != nil {
			return cur, refusal{*no}
		}
		return next, nil
	})
}

// sendRevert records and sends the one write that ends a lease.
func (e *Engine) sendRevert(ctx context.Context, l incident.Lease, op incident.Op, service string) error {
	plan, outcome, err := e.fill(ctx, op.Plan, service, nil)
	if outcome == incident.Conflicted {
		return nil // read again at the next look; the op stays the same
	}
	if err != nil {
		return err
	}
	rec := audit.Record{
		At: e.o.Now(), Kind: "act", Incident: l.Incident, Op: op.ID, Target: op.Plan.Target.String(), Actor: "watchdog",
		Text: op.Plan.Summary, Plan: op.Plan.Hash,
	}
	if err := e.o.Audit(rec); err != nil {
		return fmt.Errorf("not sent, audit record failed: %w", err)
	}
	bounded, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	outcome, err = e.o.Cluster.Write(bounded, op.ID, plan)
	e.metrics.ops.WithLabelValues(string(incident.ActionRevert), string(outcome)).Inc()
	switch {
	case outcome == incident.Applied:
		return e.ended(ctx, l, op.ID, incident.KindReverted, op.Plan.Summary)
	case outcome == incident.Conflicted:
		return nil // read again at the next look; the op stays the same
	case outcome == incident.Denied && op.Plan.Is != "":
		// An admission policy that refuses this template does so each time.
		return e.ended(ctx, l, op.ID, incident.KindYielded,
			fmt.Sprintf("the rollback was not reverted, revert it manually: %v", err))
	}
	return fmt.Errorf("%s: %w", outcome, err)
}

// ended takes lease and revert op out of the ledger and tells it on the incident.
func (e *Engine) ended(ctx context.Context, l incident.Lease, revertID string, what incident.Kind, text string) error {
	if err := e.swap(ctx, func(cur incident.Ledger) (incident.Ledger, error) {
		next := cur.Release(incident.Op{ID: revertID}, incident.Aborted, e.o.Now(),
			incident.Limits{}).WithoutLease(l.Op)
		if what == incident.KindReverted {
			next = next.Reverted(l, revertID, e.o.Now())
		}
		return next, nil
	}); err != nil {
		return err
	}
	if err := e.o.Audit(audit.Record{At: e.o.Now(), Kind: string(what), Incident: l.Incident, Op: l.Op,
		Target: l.Plan.Target.String(), Actor: "watchdog", Text: text}); err != nil {
		return err
	}
	e.o.Logger.Info("lease ended", "op", l.Op, "target", l.Plan.Target.String(), "what", what, "text", text)
	return e.annotate(ctx, l.Incident, incident.Entry{At: e.o.Now(), Kind: what, Text: text})
}

// reserved reports whether the ledger has the op: it is not settled.
func reserved(l incident.Ledger, id string) bool {
	return slices.ContainsFunc(l.Ops, func(op incident.Op) bool { return op.ID == id })
}
