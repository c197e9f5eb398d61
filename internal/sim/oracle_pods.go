package sim

import (
	"slices"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// What the oracle holds about pods that take their time.

// patientFor is how long a pod may wait for a node or a registry before it may count as
// failing, whatever the workload says of its start-up.
const patientFor = 3 * time.Minute

// judgedEarly looks at a verdict on an op whose pods are still to come (INV-63).
func (o *oracle) judgedEarly(i incident.Incident, t incident.Attempt) {
	e, ok := o.w.score.byOp[t.OpID]
	if !ok || t.Verdict == incident.Aborted || e.revert() || e.plan.Action == incident.ActionJob {
		return
	}
	a, now := e.app, o.w.clock.now
	if since := now.Sub(e.at); since < a.spec.Pods.deadline() && !a.madeAt.After(e.at) && a.stillRolls(e) {
		o.violate("INV-63", "%s is judged %q in incident %s %s after it was accepted, and its pods are still to "+
			"come: one takes %s to become ready", e.plan.Summary, t.Verdict, i.ID, since.Round(time.Second),
			a.spec.Pods.starts(e.plan.Action == incident.ActionScale))
	}
	o.byItself(i, t, e)
	if c := o.cycles[e.app]; t.Verdict == incident.ByItself &&
		!slices.ContainsFunc(i.Attempts, func(x incident.Attempt) bool {
			return x.Verdict != incident.ByItself &&
				x.Verdict != incident.Aborted
		}) {
		// It counts for no quarantine and makes no pause longer.
		if c.natural == nil {
			c.natural = map[string]bool{}
		}
		if c.natural[i.ID] = true; c.complete == i.ID {
			c.complete = ""
		}
		o.cycles[e.app] = c
	} else if t.Verdict != incident.ByItself {
		delete(c.natural, i.ID)
	}
}

// stillRolls reports whether what the effect began goes on as it should.
func (a *app) stillRolls(e effect) bool {
	if e.to != e.from {
		return a.template == e.to && !a.rolling.IsZero() && !a.on(CrashLoop)
	}
	return slices.ContainsFunc(a.coming, func(b added) bool {
		return b.born.Equal(e.at) &&
			b.ready.After(a.w.clock.now)
	}) && a.spec.Pods.Quota == 0 && a.rolling.IsZero()
}

// firstReady is when the effect's first pod was ready, if it is.
func (a *app) firstReady(e effect) time.Time {
	if e.to != e.from {
		return e.at.Add(a.spec.Rollout + a.spec.Pods.starts(false))
	}
	return e.at.Add(max(10*time.Second, a.spec.Pods.starts(true)))
}

// plainly is how long before an action took effect a fault must have ended for everybody to see.
const plainly = 30 * time.Second

// byItself looks at a verdict of help for what had ended before the action could help (W2).
func (o *oracle) byItself(i incident.Incident, t incident.Attempt, e effect) {
	a, took := e.app, e.app.firstReady(e)
	// Kubernetes gives times in seconds: a pod that became ready in the second of the write may be the write's.
	if t.Verdict != incident.Helped || e.plan.Action == incident.ActionRollback ||
		e.at.Sub(e.lastReady) < 2*time.Second || o.w.scenario.Faults != (Faults{}) || e.cause == "" ||
		o.w.led.After(e.at) || a.lying.After(e.at) {
		return
	}
	last := time.Time{}
	for _, c := range strings.Split(e.cause, ", ") {
		at, over := a.over[c]
		if !over || at.Before(e.at) {
			return
		}
		last = later(last, at)
	}
	for _, at := range a.over {
		if at.After(last) {
			return // something else was wrong meanwhile, and the action may have helped against that
		}
	}
	for at := last; at.Before(took); at = at.Add(5 * time.Second) {
		if o.w.monitor(a, at) != "" {
			return
		}
	}
	// What monitoring sees late nobody can tell from help.
	if took.Sub(last) > plainly+o.w.scenario.Lag.behind() {
		o.violate("W2", "%s is judged to have helped in incident %s, and what was wrong (%s) had ended %s before "+
			"its first pod was ready", e.plan.Summary, i.ID, e.cause, took.Sub(last).Round(time.Second))
	}
}

// read is how old what is known of pods may be when a plan is made.
const read = 10 * time.Second

// patient looks at what an incident made of pods that only wait (INV-64, INV-70).
func (o *oracle) patient(was, i incident.Incident) {
	a := o.w.byName[i.Target.Workload]
	if a == nil || o.w.scenario.Faults.Stale > 0 || o.w.clock.now.Before(o.w.mishaps.unknown) {
		return
	}
	now := o.w.clock.now
	n := len(was.Timeline) + was.Dropped - i.Dropped
	for _, t := range i.Timeline[max(0, min(n, len(i.Timeline))):] {
		if t.Kind == incident.KindSkipped && answered(i, incident.CodePodsFail) && !a.on(CrashLoop) &&
			now.Sub(a.over[CrashLoop]) > read && a.onlyWaits() {
			o.violate("INV-64", "incident %s skips a rung for good, and no pod of %s fails: they wait for a node or "+
				"a registry (%s)", i.ID, a.name, t.Text)
		}
	}
	if slices.Equal(was.Answers, i.Answers) || a.moving() || now.Sub(a.movedAt) < 30*time.Second || len(a.going) == 0 ||
		o.w.scenario.Faults.Stall > 0 {
		return
	}
	for _, x := range i.Answers {
		if x.Guard == "rollout" && x.Hold == incident.Wait {
			o.violate("INV-70", "incident %s waits for a rollout of %s, and only pods that are terminating are left "+
				"of it (%s)", i.ID, a.name, x.Reason)
		}
	}
}

// onlyWaits reports whether pods wait for a node or a registry, and none for longer than is usual.
func (a *app) onlyWaits() bool {
	now, waits := a.w.clock.now, false
	for _, b := range a.coming {
		if now.Before(b.pulled) {
			if waits = true; now.Sub(b.born) >= patientFor {
				return false
			}
		}
	}
	return waits || !a.rolling.IsZero() && now.Before(a.rolledAt.Add(a.spec.Pods.Pull))
}

// disturbs looks at a disruptive effect (INV-63, INV-64).
func (o *oracle) disturbs(e effect, op incident.Op) {
	a := e.app
	if op.Rule == "crash_looping" && !strings.Contains(e.cause, CrashLoop) && a.waitedFor(e) {
		o.violate("INV-64", "%s is accepted because of pods of %s that wait for a registry, for %s at most",
			e.plan.Summary, a.name, a.spec.Pods.Pull)
	}
	if e.plan.Action != incident.ActionRollback {
		return
	}
	began := o.alert(op).ActiveAt
	for _, x := range o.effects {
		if x.app == a && x.plan.Action == incident.ActionRestart && x.to == e.from && began.After(x.at) {
			o.violate("INV-63", "%s is accepted %s after %s, and the breach began only then: the revision is "+
				"watchdog's own", e.plan.Summary, e.at.Sub(x.at).Round(time.Second), x.plan.Summary)
		}
	}
}

// waitedFor reports whether the registry throttled the pods that were there before the effect.
func (a *app) waitedFor(e effect) bool {
	if a.spec.Pods.Pull == 0 {
		return false
	}
	return e.at.Sub(a.cameAt) < a.spec.Pods.Pull+time.Minute
}
