package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/decision"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// How soon an incident is looked at again when nothing else wakes it.
const (
	lookAgain    = 5 * time.Second
	lookSettling = time.Second
	// lookAtOnce is for what another pass goes on with.
	lookAtOnce = 50 * time.Millisecond
)

// maxEffects bounds one pass: a ladder has few rungs, and a pass that does not
// come to rest is a bug that must not spin.
const maxEffects = 100

// reconcile moves the incident of one target as far as it goes at this moment, and says when to look again. It is
// all that watchdog ever does about a target: claim it, ask the core what follows from what is known now (Step),
// perform what the core asks for, and save how far that came. After an error or a crash at any point the next
// call goes on from what is stored. shared says what is wrong with more than this target.
func (e *Engine) reconcile(ctx context.Context, name string, setup *Setup, shared string) (time.Duration, error) {
	// Claim the target: its open incident, or a new one. There is none if nothing is wrong.
	c, again, err := e.claim(ctx, name, setup)
	if c == nil {
		return again, err
	}

	// Step: the core, which does no I/O, decides what the incident becomes and what is to be done.
	inc, effects := c.entry.scribe.Step(c.inc, e.tick(ctx, c, shared), e.policy(setup))
	e.metrics.stepped(c.inc, inc)

	// An incident is in the store before anything is done about it.
	if c.entry.version == "" {
		if err := e.putFirst(ctx, c, inc, effects); err != nil {
			return 0, e.keepOpening(name, c.entry, inc, err)
		}
	}

	// Perform the effects; what comes of each is an event for the core, which may ask for more.
	inc, err = e.perform(ctx, c, inc, effects)

	// Save how far it came, also after an error.
	err = e.save(ctx, c, inc, err)
	return e.next(c, inc), err
}

// reconcileTarget works a target of the configuration, or one that has alerts all the same.
func (e *Engine) reconcileTarget(ctx context.Context, name string) (time.Duration, error) {
	setup := e.currentSetup()
	switch {
	case setup == nil:
		return lookAgain, nil
	case e.known(name).newer:
		return 0, nil
	}
	return e.reconcile(ctx, name, setup, e.shared(e.refresh(setup)))
}

// claim is a target in the hands of its worker.
type claim struct {
	name     string
	setup    *Setup
	target   TargetSetup
	snapshot Snapshot          // what is known of it without asking the cluster
	entry    *entry            // its incident, as it is in memory and in the store
	was      incident.Incident // the incident as it was in memory
	inc      incident.Incident // the incident to go on from

	ahead  *reading            // read while the incident was stored; nil: nothing was
	ledger *versioned          // that the plan was considered with; nil: it is used, or of an earlier pass
	live   *remediate.Workload // as the recheck read it; nil: there was none in this pass
}

// claim takes a target with its open incident, and brings that up to date with what another leader did. Without
// one it opens one if an alert fires. The claim is nil if there is nothing to work on, or not yet.
func (e *Engine) claim(ctx context.Context, name string, setup *Setup) (c *claim, again time.Duration, err error) {
	c = &claim{name: name, setup: setup, entry: e.known(name).open}
	var known bool
	if c.target, known = setup.target(name); known {
		c.snapshot = setup.Snapshot(name)
	}
	if changed, err := e.catchUp(ctx, c); changed || err != nil {
		return nil, lookAtOnce, err
	}
	if c.entry == nil {
		if c.entry, again = e.opened(c); c.entry == nil {
			return nil, again, nil
		}
	}
	c.was = c.entry.inc
	if c.entry.unsaved {
		// Nothing new is begun before what was reached is stored: after a crash the
		// ledger's op would belong to an incident that knows of another.
		if err := e.put(ctx, name, c.entry, c.entry.inc); err != nil {
			return nil, 0, err
		}
	}
	if c.inc, err = e.adoptOp(ctx, name, c.entry.inc); err != nil {
		return nil, 0, err
	}
	if !e.o.NoDecisions && c.entry.scribe == nil {
		c.entry.scribe = &decision.Scribe{}
	}
	c.inc = e.withReceipts(c.inc)
	return c, 0, nil
}

// putFirst stores a new incident. What is considered next is read beside that: reading does
// nothing about the incident.
func (e *Engine) putFirst(ctx context.Context, c *claim, inc incident.Incident, next []incident.Effect) error {
	store := func() error { return e.put(ctx, c.name, c.entry, inc) }
	if e.o.InTurn || len(next) == 0 || next[0] != incident.Consider {
		return store()
	}
	return e.together(store, func() error {
		if r, err := e.read(ctx, c); err == nil { // else it is read again
			c.ahead = &r
		}
		return nil
	})
}

// opened returns a new incident if an alert fires that no earlier incident's action has ended already; nil: none
// does, and again is when to look again.
func (e *Engine) opened(c *claim) (_ *entry, again time.Duration) {
	if !c.snapshot.firing() {
		return nil, 0
	}
	inc := e.relapse(incident.New("", c.target.Target, e.o.Now()))
	if !slices.ContainsFunc(c.snapshot.Alerts, func(a incident.Alert) bool {
		return a.Firing &&
			!inc.Residual(a, e.o.Now())
	}) {
		return nil, lookAgain
	}
	inc.ID = e.o.NewID()
	return &entry{inc: inc}, 0
}

// tick is what the core is told of the target.
func (e *Engine) tick(ctx context.Context, c *claim, shared string) incident.Tick {
	return incident.Tick{
		At: e.o.Now(), Alerts: c.snapshot.Alerts, Rollout: e.progress(ctx, c.inc,
			caughtUp(c.snapshot, c.inc.Op, e.o.Now())),
		Shared: shared, Responders: e.responderActions(ctx, c.entry.inc), Maintenance: c.snapshot.Maintenance,
	}
}

// perform does what the core asked for, one effect after the other, and returns
// how far the incident came, also with an error.
func (e *Engine) perform(ctx context.Context, c *claim, inc incident.Incident,
	effects []incident.Effect) (incident.Incident, error) {
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
			if err := e.put(ctx, c.name, c.entry, inc); err != nil {
				return inc, err
			}
		}
		event, err := e.do(ctx, effects[0], c, inc)
		if err != nil {
			return inc, err
		}
		var more []incident.Effect
		inc, more = c.entry.scribe.Step(inc, event, e.policy(c.setup))
		effects = append(effects[1:], more...)
	}
	return inc, fmt.Errorf("incident %s did not settle after %d effects", inc.ID, maxEffects)
}

func (e *Engine) policy(s *Setup) incident.Policy {
	if s.Policy != (incident.Policy{}) {
		return s.Policy
	}
	return e.o.Policy
}

// next says when an incident must be looked at again even if nothing wakes it.
func (e *Engine) next(c *claim, inc incident.Incident) time.Duration {
	switch {
	case over(inc) && c.snapshot.firing():
		return lookAtOnce // what fires is the next incident's
	case over(inc):
		return 0
	case inc.Op != nil && inc.Op.Phase == incident.Settling:
		return lookSettling
	}
	soon := lookAgain
	for _, at := range []time.Time{inc.NextAt, inc.AckBy, inc.PhaseBy} {
		if at.After(e.o.Now()) {
			soon = min(soon, max(lookAtOnce, at.Sub(e.o.Now())))
		}
	}
	return soon
}

// progress is the workload's rollout, or that of the Job which an op has made. One that cannot be
// read is waited for.
func (e *Engine) progress(ctx context.Context, i incident.Incident, workload incident.Rollout) incident.Rollout {
	if i.Op == nil || i.Op.Plan.Action != incident.ActionJob || i.Op.Phase != incident.Settling {
		return workload
	}
	r, err := e.o.Cluster.Job(ctx, i.Op.Plan.Object)
	if err != nil {
		e.o.Logger.Warn("could not read Job", "incident", i.ID, "job", i.Op.Plan.Object.Namespace+"/"+i.Op.Plan.Object.Name,
			"err", err)
		return incident.Rollout{OfJob: true}
	}
	r.OfJob = true
	return r
}
