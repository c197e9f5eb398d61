package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

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
	// maxReadAge is how old a read of the cluster may be that was begun ahead, beside something
	// else, when it is judged.
	maxReadAge = 200 * time.Millisecond
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
	r, err := e.readAhead(ctx, c)
	var facts remediate.Facts
	if err == nil {
		facts, err = e.facts(ctx, c, inc, id, c.setup.Snapshot(c.target.Target.Name), r)
	}
	if err != nil {
		return incident.Considered{At: e.o.Now(), OpID: id, Hold: incident.Freeze, Reason: err.Error()}, nil
	}
	c.ledger = &r.ledger
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
	snapshot, r, err := e.again(ctx, c)
	if err == nil {
		var facts remediate.Facts
		if facts, err = e.facts(ctx, c, inc, inc.Op.ID, snapshot, r); err == nil {
			plan, answers := remediate.Recheck(facts, inc.Op.Plan)
			hold, reason, retryAt := remediate.Held(answers)
			e.metrics.answered(answers)
			c.live = &r.workload
			return incident.Rechecked{At: e.o.Now(), Looked: began, Plan: plan, Answers: answers, Hold: hold,
				Reason: reason, RetryAt: retryAt}, nil
		}
	}
	return incident.Rechecked{At: e.o.Now(), Hold: incident.Freeze, Reason: err.Error()}, nil
}

// again looks at the target and reads the cluster beside that. A look may take seconds: then
// the cluster is read once more.
func (e *Engine) again(ctx context.Context, c *claim) (Snapshot, reading, error) {
	var snapshot Snapshot
	var r reading
	var looked time.Time
	err := e.together(func() (err error) {
		snapshot, err = c.setup.Fresh(ctx, c.target.Target.Name)
		looked = e.o.Now()
		return err
	}, func() (err error) { r, err = e.read(ctx, c); return err })
	if err == nil && looked.Sub(r.began) > maxReadAge {
		r, err = e.read(ctx, c)
	}
	return snapshot, r, err
}

// reading is what a plan and its guards look at in the cluster, as of one moment.
type reading struct {
	workload remediate.Workload
	ledger   versioned
	records  []remediate.Record // of the target
	began    time.Time
}

// versioned is a ledger under the version that it was read with.
type versioned struct {
	incident.Ledger
	version string
}

// read reads the cluster, all parts beside each other.
func (e *Engine) read(ctx context.Context, c *claim) (reading, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	r, target := reading{began: e.o.Now()}, c.target.Target
	err := e.together(func() (err error) {
		r.workload, err = e.o.Cluster.Workload(ctx, target, c.target.Service)
		return err
	}, func() (err error) {
		if r.ledger.Ledger, r.ledger.version, err = e.o.Store.Ledger(ctx); err != nil {
			return fmt.Errorf("read ledger: %w", err)
		}
		return nil
	}, func() error {
		all, _, err := e.o.Store.Records(ctx, target.Namespace)
		if err != nil {
			return fmt.Errorf("read revision records: %w", err)
		}
		r.records = all[target.String()]
		return nil
	})
	return r, err
}

// readAhead returns what was read while the incident was stored, or reads it now.
func (e *Engine) readAhead(ctx context.Context, c *claim) (reading, error) {
	ahead := c.ahead
	if c.ahead = nil; ahead != nil && e.o.Now().Sub(ahead.began) <= maxReadAge {
		return *ahead, nil
	}
	return e.read(ctx, c)
}

// together does all of them, beside each other if it may. A panic of one is that of the caller.
func (e *Engine) together(all ...func() error) error {
	if e.o.InTurn {
		for _, do := range all {
			if err := do(); err != nil {
				return err
			}
		}
		return nil
	}
	var g errgroup.Group
	panics := make(chan any, len(all))
	for _, do := range all {
		g.Go(func() error {
			defer func() {
				if r := recover(); r != nil {
					panics <- r
				}
			}()
			return do()
		})
	}
	err := g.Wait()
	select {
	case r := <-panics:
		panic(r)
	default:
	}
	return err
}

// facts are everything that a plan and its guards may look at.
func (e *Engine) facts(ctx context.Context, c *claim, inc incident.Incident, opID string,
	snapshot Snapshot, r reading) (remediate.Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	alert, index := subject(inc, snapshot)
	global := e.refresh(c.setup)
	fleet := c.setup.FleetHealth()
	f := remediate.Facts{
		Now: e.o.Now(), OpID: opID, Incident: inc, Alert: alert, Workload: r.workload, Ledger: r.ledger.Ledger,
		Limits:  c.setup.Limits,
		Signals: snapshot.Signals, CPU: snapshot.CPU, Dependencies: c.setup.Dependencies(ctx, c.target.Target.Name),
		Suspended: snapshot.Suspended,
		Watched:   fleet.Watched, Unhealthy: fleet.Unhealthy, Blind: global.frozen(), Storm: global.storm,
		Records: r.records, Settings: c.setup.Settings, Installation: c.setup.Installation,
	}
	if index < len(alert.Ladder) {
		f.Rung = alert.Ladder[index]
		rung := c.setup.Rung(c.target.Target.Name, alert, index)
		f.Options, f.Mode, f.ModeWhy = rung.Options, rung.Mode, rung.ModeWhy
	}
	if incident.Lowest(f.Mode) == incident.Approve {
		var err error
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
	return e.swapFrom(ctx, nil, change)
}

// swapFrom is swap for a caller who has read the ledger; nil: it is read first.
func (e *Engine) swapFrom(ctx context.Context, read *versioned,
	change func(incident.Ledger) (incident.Ledger, error)) error {
	for range swapAttempts {
		if read == nil {
			read = &versioned{}
			var err error
			if read.Ledger, read.version, err = e.o.Store.Ledger(ctx); err != nil {
				return fmt.Errorf("read ledger: %w", err)
			}
		}
		next, err := change(read.Ledger)
		if err != nil {
			return err
		}
		_, err = e.o.Store.SwapLedger(ctx, next, read.version)
		read = nil
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

// reserve puts the op into the ledger that the plan was considered with. If it has changed
// since, the compare-and-swap fails, and it is read again.
func (e *Engine) reserve(ctx context.Context, c *claim, inc incident.Incident) (incident.Event, error) {
	considered := c.ledger
	c.ledger = nil
	err := e.swapFrom(ctx, considered, func(l incident.Ledger) (incident.Ledger, error) {
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
	plan, outcome, err := e.fill(ctx, op.Plan, c.target.Service, c.live)
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
// that template no longer exists, the outcome says so: nothing is sent. live is the workload as
// it was read for the recheck: the write succeeds only on that version of it. Nil: it is read.
func (e *Engine) fill(ctx context.Context, plan incident.Plan, service string,
	live *remediate.Workload) (incident.Plan, incident.Outcome, error) {
	if plan.Revision == nil {
		return plan, "", nil
	}
	if live == nil {
		ctx, cancel := context.WithTimeout(ctx, writeTimeout)
		defer cancel()
		w, err := e.o.Cluster.Workload(ctx, plan.Target, service)
		if err != nil {
			return plan, incident.Unsent, fmt.Errorf("read the pod template to write: %w", err)
		}
		live = &w
	}
	filled, err := remediate.Fill(plan, *live)
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
