package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/decision"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// Limits on single contacts with the world.
const (
	writeTimeout   = 15 * time.Second
	captureTimeout = 10 * time.Second
	swapAttempts   = 8
	// maxLookAge is how old the last look may be when an op is sent (INV-12).
	maxLookAge = 10 * time.Second
)

// effectTable is what the core may ask for, in the order of an op. Each is performed by one function,
// which returns what happened as an event for the core. An error means that there is no event yet: the effect
// will be asked for again.
var effectTable = map[incident.Effect]func(*Engine, context.Context, *claim, incident.Incident) (incident.Event, error){
	incident.Consider: (*Engine).consider, // plan the lead's next rung and ask the guards
	incident.Reserve:  (*Engine).reserve,  // put the op into the ledger
	incident.Capture:  (*Engine).capture,  // take evidence
	incident.Recheck:  (*Engine).recheck,  // look, judge and ask the guards once more
	incident.Act:      (*Engine).act,      // record, then send the op's one write
	incident.Find:     (*Engine).find,     // read whether a write without an answer was done
	incident.Release:  (*Engine).release,  // take the op out of the ledger
}

// do performs one effect.
func (e *Engine) do(ctx context.Context, effect incident.Effect, c *claim,
	inc incident.Incident) (incident.Event, error) {
	perform := effectTable[effect]
	if perform == nil {
		return nil, fmt.Errorf("unknown effect %q", effect)
	}
	return perform(e, ctx, c, inc)
}

func (e *Engine) consider(ctx context.Context, c *claim, inc incident.Incident) (incident.Event, error) {
	id, asked := e.o.NewID(), false
	if lead, ok := inc.Alert(inc.Lead); ok {
		asked = inc.Asks(lead.Rule, lead.Next)
	}
	facts, err := e.facts(ctx, c, inc, id, c.setup.Snapshot(c.target.Target.Name))
	if err != nil {
		return incident.Considered{At: e.o.Now(), OpID: id, Hold: incident.Freeze, Reason: err.Error()}, nil
	}
	var plan incident.Plan
	var answers []incident.Answer
	if asked {
		again := facts
		again.OpID = inc.Asked.Op
		if plan, answers = remediate.Consider(again); plan.Hash == inc.Asked.Plan.Hash || plan.Hash == "" {
			id = again.OpID
		} else {
			asked = false // the workload is not what it was: another plan, and so another request
		}
	}
	if !asked {
		plan, answers = remediate.Consider(facts)
	}
	hold, reason, retryAt := remediate.Held(answers)
	e.metrics.answered(answers)
	return incident.Considered{
		At: e.o.Now(), OpID: id, Plan: plan, Ready: facts.Workload.Ready, Endpoints: facts.Workload.Endpoints(),
		Config:  c.setup.Config,
		Answers: answers, Hold: hold, Reason: reason, RetryAt: retryAt, Quorum: facts.Options.Approvals,
		CoolOff: facts.Options.CoolOff,
	}, nil
}

// recheck looks again at everything a moment before the write (INV-12).
func (e *Engine) recheck(ctx context.Context, c *claim, inc incident.Incident) (incident.Event, error) {
	began := e.o.Now()
	snapshot, err := c.setup.Fresh(ctx, c.target.Target.Name)
	if err == nil {
		var facts remediate.Facts
		if facts, err = e.facts(ctx, c, inc, inc.Op.ID, snapshot); err == nil {
			plan, answers := remediate.Recheck(facts, inc.Op.Plan)
			hold, reason, retryAt := remediate.Held(answers)
			e.metrics.answered(answers)
			return incident.Rechecked{At: e.o.Now(), Looked: began, Plan: plan, Answers: answers, Hold: hold,
				Reason: reason, RetryAt: retryAt}, nil
		}
	}
	return incident.Rechecked{At: e.o.Now(), Hold: incident.Freeze, Reason: err.Error()}, nil
}

// facts reads everything a plan and its guards may look at.
func (e *Engine) facts(ctx context.Context, c *claim, inc incident.Incident, opID string,
	snapshot Snapshot) (remediate.Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	w, err := e.o.Cluster.Workload(ctx, c.target.Target, c.target.Service)
	if err != nil {
		return remediate.Facts{}, err
	}
	ledger, _, err := e.o.Store.Ledger(ctx)
	if err != nil {
		return remediate.Facts{}, fmt.Errorf("read ledger: %w", err)
	}
	records, _, err := e.o.Store.Records(ctx, c.target.Target.Namespace)
	if err != nil {
		return remediate.Facts{}, fmt.Errorf("read revision records: %w", err)
	}
	alert, index := subject(inc, snapshot)
	global := e.refresh(c.setup)
	fleet := c.setup.FleetHealth()
	f := remediate.Facts{
		Now: e.o.Now(), OpID: opID, Incident: inc, Alert: alert, Workload: w, Ledger: ledger, Limits: c.setup.Limits,
		Signals: snapshot.Signals, CPU: snapshot.CPU, Dependencies: c.setup.Dependencies(ctx, c.target.Target.Name),
		Suspended: snapshot.Suspended,
		Watched:   fleet.Watched, Unhealthy: fleet.Unhealthy, Blind: global.frozen(), Storm: global.storm,
		Records: records[c.target.Target.String()], Settings: c.setup.Settings, Installation: c.setup.Installation,
	}
	if index < len(alert.Ladder) {
		f.Rung = alert.Ladder[index]
		r := c.setup.Rung(c.target.Target.Name, alert, index)
		f.Options, f.Mode, f.ModeWhy = r.Options, r.Mode, r.ModeWhy
	}
	if incident.Lowest(f.Mode) == incident.Approve {
		if f.Responders, err = e.approvals(ctx, c, inc, opID); err != nil {
			return f, err
		}
	}
	if needs := remediate.Needs(f); len(needs) > 0 {
		f.References = e.o.Cluster.References(ctx, c.target.Target.Namespace, needs)
	}
	return f, nil
}

// subject is the alert of which a plan is made, as it is now, and the rung: the op's, or the next of what leads.
func subject(inc incident.Incident, snapshot Snapshot) (alert incident.Alert, index int) {
	rule := inc.Lead
	if inc.Op != nil {
		rule = inc.Op.Rule
	}
	alert, _ = inc.Alert(rule)
	for _, a := range snapshot.Alerts {
		if a.Rule == rule {
			a.Next, a.Tries = alert.Next, alert.Tries
			alert = a
		}
	}
	if inc.Op != nil {
		return alert, inc.Op.Rung
	}
	return alert, alert.Next
}

// swap changes the ledger by compare-and-swap, reading it anew after each loss.
func (e *Engine) swap(ctx context.Context, change func(incident.Ledger) (incident.Ledger, error)) error {
	for range swapAttempts {
		l, version, err := e.o.Store.Ledger(ctx)
		if err != nil {
			return fmt.Errorf("read ledger: %w", err)
		}
		next, err := change(l)
		if err != nil {
			return err
		}
		_, err = e.o.Store.SwapLedger(ctx, next, version)
		if err == nil {
			return nil
		}
		if !errors.Is(err, incident.ErrConflict) {
			return fmt.Errorf("write ledger: %w", err)
		}
	}
	return fmt.Errorf("write ledger: %d conflicts in a row with other writers", swapAttempts)
}

// refusal carries a ledger's answer through swap.
type refusal struct{ answer incident.Answer }

func (r refusal) Error() string { return r.answer.Reason }

func (e *Engine) reserve(ctx context.Context, c *claim, inc incident.Incident) (incident.Event, error) {
	err := e.swap(ctx, func(l incident.Ledger) (incident.Ledger, error) {
		next, no := l.Reserve(*inc.Op, e.o.Now(), c.setup.Limits)
		if no != nil {
			return l, refusal{*no}
		}
		return next, nil
	})
	var no refusal
	if errors.As(err, &no) {
		e.metrics.answered([]incident.Answer{no.answer})
		return incident.Refused{At: e.o.Now(), Answer: no.answer}, nil
	}
	if err != nil {
		return nil, err
	}
	return incident.Reserved{At: e.o.Now()}, nil
}

func (e *Engine) capture(ctx context.Context, _ *claim, inc incident.Incident) (incident.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, captureTimeout)
	defer cancel()
	name := inc.ID
	if inc.Op != nil {
		name += "-" + inc.Op.ID
	}
	ref, gap, err := e.o.Cluster.Capture(ctx, inc.Target, name)
	if err != nil {
		// Evidence is owed, not a condition, for actions that keep a service alive: the gap is recorded.
		gap = strings.TrimPrefix(gap+"; "+err.Error(), "; ")
	}
	return incident.Captured{At: e.o.Now(), Ref: ref, Gap: gap}, nil
}

// act records and sends. What cannot be recorded is not done.
func (e *Engine) act(ctx context.Context, c *claim, inc incident.Incident) (incident.Event, error) {
	op := *inc.Op
	// Before the age of the last look is asked for: this may take its time.
	plan, outcome, err := e.fill(ctx, op.Plan, c.target.Service)
	if err != nil {
		return incident.Acted{At: e.o.Now(), Outcome: outcome, Reason: err.Error()}, nil
	}
	rec := audit.Record{At: e.o.Now(), Kind: "act", Incident: inc.ID, Op: op.ID, Target: op.Plan.Target.String(),
		Actor: "watchdog", Text: op.Plan.Summary, Plan: op.Plan.Hash, Data: decision.Act(inc)}
	if no := e.deniedSince(ctx, c, inc); no != nil {
		return *no, nil
	}
	if err := e.o.Audit(rec); err != nil {
		return incident.Acted{At: e.o.Now(), Outcome: incident.Unsent, Reason: "not sent, audit record failed: " +
			err.Error()}, nil
	}
	if err := ctx.Err(); err != nil {
		return incident.Acted{At: e.o.Now(), Outcome: incident.Unsent, Reason: "this replica is no longer the leader"}, nil
	}
	if age := e.o.Now().Sub(op.LookedAt); age > maxLookAge || age < 0 {
		return incident.Acted{At: e.o.Now(), Outcome: incident.Unsent,
			Reason: fmt.Sprintf("the last check of the target was %s ago; at most %s is allowed before a write",
				age.Round(time.Second), maxLookAge)}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	outcome, err = e.o.Cluster.Write(ctx, op.ID, plan)
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	e.metrics.ops.WithLabelValues(string(op.Plan.Action), string(outcome)).Inc()
	rec.At, rec.Kind, rec.Text, rec.Data = e.o.Now(), "outcome", strings.TrimSuffix(string(outcome)+": "+reason,
		": "), nil
	if err := e.o.Audit(rec); err != nil {
		e.o.Logger.Error("could not record the outcome of an op; no further actions until it is recorded", "op", op.ID,
			"outcome", outcome, "err", err)
	}
	return incident.Acted{At: e.o.Now(), Outcome: outcome, Reason: reason}, nil
}

// deniedSince reads, for an op that needs an approval, the answers once more. The incident is stored as being sent
// by now, so that nobody's no is taken any more: what was taken stands there, also one that came after the guard had
// looked. Nil: nobody said no.
func (e *Engine) deniedSince(ctx context.Context, c *claim, inc incident.Incident) *incident.Acted {
	alert, index := subject(inc, c.snapshot)
	if index >= len(alert.Ladder) {
		return nil
	}
	if r := c.setup.Rung(c.target.Target.Name, alert, index); incident.Lowest(r.Mode) != incident.Approve {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	w, err := e.approvals(ctx, c, inc, inc.Op.ID)
	if err != nil {
		return &incident.Acted{At: e.o.Now(), Outcome: incident.Unsent, Reason: "not sent: " + err.Error()}
	}
	if who, a, denied := w.Denial(inc.Op.ID); denied {
		return &incident.Acted{
			At: e.o.Now(), Outcome: incident.Unsent, Hold: incident.Skip,
			Reason: fmt.Sprintf("denied by %s at %s", incident.Name(who), a.At.UTC().Format(time.RFC3339)),
		}
	}
	return nil
}

// fill returns the plan as it is to be sent, with the pod template that it names. If
// that is not there any more, the outcome says so: nothing is sent.
func (e *Engine) fill(ctx context.Context, plan incident.Plan,
	service string) (incident.Plan, incident.Outcome, error) {
	if plan.Revision == nil {
		return plan, "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	w, err := e.o.Cluster.Workload(ctx, plan.Target, service)
	if err != nil {
		return plan, incident.Unsent, fmt.Errorf("read the pod template to write: %w", err)
	}
	filled, err := remediate.Fill(plan, w)
	if errors.Is(err, remediate.ErrMoved) {
		return plan, incident.Conflicted, err
	}
	return filled, incident.Unsent, err
}

func (e *Engine) find(ctx context.Context, _ *claim, inc incident.Incident) (incident.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	applied, err := e.o.Cluster.Find(ctx, inc.Op.ID, inc.Op.Plan)
	if err != nil {
		e.o.Logger.Warn("outcome of an op still unknown", "op", inc.Op.ID, "target", inc.Target.String(),
			"err", err)
	}
	return incident.Found{At: e.o.Now(), Known: err == nil, Applied: applied}, nil
}

func (e *Engine) release(ctx context.Context, c *claim, inc incident.Incident) (incident.Event, error) {
	op := *inc.Op
	err := e.swap(ctx, func(l incident.Ledger) (incident.Ledger, error) {
		return l.Release(op, op.Verdict, e.o.Now(), c.setup.Limits), nil
	})
	if err != nil {
		return nil, err
	}
	if op.Verdict != incident.Aborted {
		e.metrics.verdicts.WithLabelValues(string(op.Plan.Action), string(op.Verdict)).Inc()
	}
	e.Wake(leasesKey)
	return incident.Released{At: e.o.Now()}, nil
}
