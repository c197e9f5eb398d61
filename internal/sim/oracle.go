package sim

import (
	"fmt"
	"math"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
)

// effect is one write that the API server accepted.
type effect struct {
	at, sent time.Time
	by       int
	op       string
	plan     incident.Plan
	app      *app
	cause    string // the truth at that moment
	well     time.Time
	before   int // replicas wanted, or the autoscaler's minimum
	after    int
	ready    int
	served   int  // ready endpoints of its Service
	moving   bool // a rollout was in progress
	// lastReady is when a pod had last become ready.
	lastReady time.Time
	from, to  int // templates
}

func (e effect) revert() bool { return e.plan.Action == incident.ActionRevert }

// Violation is one broken invariant.
type Violation struct {
	Invariant string
	At        time.Duration
	Text      string
}

// oracle holds the invariants against what happens. It knows what the API server
// accepted and when, and believes nothing that watchdog says of itself.
type oracle struct {
	w          *World
	violations []Violation

	effects  []effect
	byOp     map[string]int
	reserved map[string]incident.Op         // every op that was ever in the ledger
	approved map[string][]incident.Approval // what people said, by op, as time went
	asked    map[string]bool                // the requests that somebody has seen
	audit    map[string]bool                // ops with a record of the act
	holds    map[*app]time.Time
	edits    map[*app]time.Time
	claims   map[*app]time.Time
	kill     time.Time // since when the kill switch is set; zero: it is not
	opened   map[string]time.Time
	last     map[string]incident.Incident // as last stored
	lastSent map[string]incident.Incident // as it was last sent
	pages    map[string]bool
	cycles   map[*app]cycles
	troubled time.Time // when watchdog itself was last disturbed
	// suspended is when a replica last went on after it had hung. Its probes hung, too: what
	// they say rests on looks from before until they have looked often enough again.
	suspended time.Time
	// of template or replicas: when another controller set back what watchdog wrote
	undone   map[*app]map[bool]time.Time
	restored map[*app]map[int]bool // releases that a rollback of ours restored
	calls    []call
	waits    map[string]time.Time // since when an incident is under a hold, by id
	cures    map[*app]cure
	because  map[string]because // why a person was asked for, by incident
}

// call is a person who was paged.
type call struct {
	at     time.Duration
	target string
}

func newOracle(w *World) *oracle {
	return &oracle{w: w, byOp: map[string]int{}, reserved: map[string]incident.Op{}, audit: map[string]bool{},
		holds: map[*app]time.Time{}, edits: map[*app]time.Time{}, claims: map[*app]time.Time{},
		approved: map[string][]incident.Approval{}, asked: map[string]bool{}, opened: map[string]time.Time{},
		last: map[string]incident.Incident{}, lastSent: map[string]incident.Incident{}, pages: map[string]bool{},
		undone: map[*app]map[bool]time.Time{}, cycles: map[*app]cycles{}, restored: map[*app]map[int]bool{},
		waits: map[string]time.Time{}}
}

func (o *oracle) violate(invariant, format string, args ...any) {
	v := Violation{invariant, o.w.clock.now.Sub(o.w.epoch), fmt.Sprintf(format, args...)}
	o.w.say("VIOLATION of %s: %s", v.Invariant, v.Text)
	o.violations = append(o.violations, v)
}

func (o *oracle) held(a *app)    { o.holds[a] = o.w.clock.now }
func (o *oracle) unheld(a *app)  { delete(o.holds, a) }
func (o *oracle) edited(a *app)  { o.edits[a] = o.w.clock.now; delete(o.undone, a) }
func (o *oracle) claimed(a *app) { o.claims[a] = o.w.clock.now }
func (o *oracle) lifted(a *app)  { delete(o.cycles, a) }
func (o *oracle) switched(on bool) {
	o.kill = time.Time{}
	if on {
		o.kill = o.w.clock.now
	}
}

// ledger looks at each ledger that was committed.
func (o *oracle) ledger(l incident.Ledger) {
	flying := map[string]string{}
	remedies := 0
	for _, op := range l.Ops {
		if op.Plan.Action != incident.ActionRevert {
			remedies++
		}
		t := op.Plan.Target.String()
		if other, two := flying[t]; two {
			o.violate("INV-01", "ops %s and %s are in flight on %s at once", other, op.ID, t)
		}
		flying[t] = op.ID
		if _, known := o.reserved[op.ID]; !known {
			o.reserved[op.ID] = op
			if !o.kill.IsZero() {
				o.violate("INV-25", "op %s was reserved after the kill switch was set", op.ID)
			}
			o.spread(l, op)
		}
	}
	o.concurrent(remedies)
}

// spread looks at the start of a disruptive op, by the ledger's own times.
func (o *oracle) spread(l incident.Ledger, op incident.Op) {
	var own, last time.Time
	for _, s := range l.Spent {
		switch {
		case s.Op == op.ID:
			own = s.At
		case s.Class >= incident.C3 && s.At.After(last):
			last = s.At
		}
	}
	if need := o.w.scenario.Policy.Limits.MinInterval; op.Plan.Class >= incident.C3 &&
		op.Plan.Action != incident.ActionRevert && !last.IsZero() && own.Sub(last) < need {
		o.violate("INV-24", "op %s (%s) began %s after another, at least %s must lie between", op.ID, op.Plan.Summary,
			own.Sub(last).Round(time.Millisecond), need)
	}
}

// concurrent is checked on each ledger that was committed, too.
func (o *oracle) concurrent(remedies int) {
	if limit := o.w.scenario.Policy.Limits.Concurrent; remedies > limit {
		o.violate("INV-17", "%d ops are in flight at once, at most %d are allowed", remedies, limit)
	}
}

// looked keeps the last look before a write.
func (o *oracle) looked(r *replica, target string, v engine.Snapshot, blind string) {
	w := r.sight.world()
	r.looked[target] = look{at: o.w.clock.now, view: v, blind: blind, unhealthy: w.Unhealthy, watched: w.Watched}
}

// sent looks at what a replica does at the moment it sends.
func (o *oracle) sent(r *replica, opID string, p incident.Plan) {
	op, known := o.reserved[opID]
	if !known {
		o.violate("INV-37", "op %s (%s) is sent and was never in the ledger", opID, p.Summary)
	}
	if !o.audit[opID] {
		o.violate("INV-38", "op %s (%s) is sent and the audit record does not know it", opID, p.Summary)
	}
	switch o.w.scenario.Policy.Mode {
	case incident.Auto, incident.Approve:
	default:
		o.violate("INV-47", "op %s (%s) is sent in mode %s", opID, p.Summary, o.w.scenario.Policy.Mode)
	}
	if p.Action == incident.ActionRevert {
		return
	}
	l, ok := r.looked[p.Target.Name]
	if !ok {
		o.violate("INV-12", "op %s (%s) is sent without a fresh look", opID, p.Summary)
		return
	}
	if age := o.w.clock.now.Sub(l.at); age > 10*time.Second {
		o.violate("INV-12", "op %s (%s) is sent %s after the last look", opID, p.Summary, age)
	}
	o.evidence(r, op, p, l)
	// A revert belongs to the plan that was approved, with its lease.
	if o.w.scenario.Policy.Mode == incident.Approve {
		o.allowed(opID, p, l.at)
	}
	if !o.kill.IsZero() && o.kill.Before(l.at) {
		o.violate("INV-25", "op %s (%s) is sent, and the kill switch was set before the last look", opID, p.Summary)
	}
}

// evidence holds the last look against what an action needs.
func (o *oracle) evidence(r *replica, op incident.Op, p incident.Plan, l look) {
	breach := false
	for _, a := range l.view.Alerts {
		if a.Rule == op.Rule && a.Verdict == incident.Breach {
			breach = true
		}
	}
	if !breach {
		o.violate("INV-08", "op %s (%s) is sent, and %s was not in BREACH at the last look", op.ID, p.Summary, op.Rule)
	}
	if l.blind != "" {
		o.violate("INV-13", "op %s (%s) is sent while blind: %s", op.ID, p.Summary, l.blind)
	}
	if at := r.storm; !at.IsZero() && o.w.clock.now.Sub(at) < calmAfterStorm-10*time.Second {
		o.violate("W3", "op %s (%s) is sent %s after too many targets were in breach", op.ID, p.Summary,
			o.w.clock.now.Sub(at).Round(time.Second))
	}
	if p.Class < incident.C3 {
		return
	}
	if limit := believed(o.w.scenario.Policy, l.watched); float64(l.unhealthy) > limit {
		o.violate("INV-14", "op %s (%s) is sent while %d of %d targets are in breach", op.ID, p.Summary, l.unhealthy,
			l.watched)
	}
	bad := 0
	for _, s := range l.view.Signals {
		if s.Known && s.Bad {
			bad++
		}
	}
	k := o.w.scenario.Policy.rule(op.Rule)
	if bad < 2 && (k < 0 || o.w.scenario.Policy.Rules[k].SingleSource == "") {
		o.violate("INV-11", "op %s (%s) is sent, and %d sources said bad", op.ID, p.Summary, bad)
	}
}

// effect looks at each accepted write.
func (o *oracle) effect(e effect) {
	if p := o.w.past(); p != nil && p.Did != nil {
		p.Did(e.at, e.op, e.plan)
	}
	o.byOp[e.op]++
	if n := o.byOp[e.op]; n > 1 {
		o.violate("INV-02", "op %s (%s) took effect %d times", e.op, e.plan.Summary, n)
	}
	if at, on := o.holds[e.app]; on && o.fenced(e, at) {
		o.violate("INV-25", "%s is accepted %s after a person put a hold on %s", e.plan.Summary,
			e.at.Sub(at).Round(time.Second), e.app.name)
	}
	if at, on := o.claims[e.app]; on {
		o.violate("INV-29", "%s is accepted %s after another installation claimed %s", e.plan.Summary,
			e.at.Sub(at).Round(time.Second), e.app.name)
	}
	if e.app.spec.Owner != "" {
		o.violate("INV-27", "%s is accepted, and %s owns it", e.plan.Summary, e.app.spec.Owner)
	}
	o.beside(e)
	op := o.reserved[e.op]
	if at, on := o.edits[e.app]; on && o.fenced(e, at) && !e.revert() && at.After(o.opened[op.Incident]) &&
		e.at.Sub(at) < o.w.scenario.Policy.Settings.HumanChange-time.Second && !o.opened[op.Incident].IsZero() {
		o.violate("INV-26", "%s is accepted %s after somebody changed %s, while the incident was open", e.plan.Summary,
			e.at.Sub(at).Round(time.Second), e.app.name)
	}
	o.effects = append(o.effects, e)
	if !e.revert() {
		o.budget(e)
		o.pods(e)
		o.again(e, op)
	}
	if e.plan.Class >= incident.C3 && !e.revert() {
		o.disturbs(e, op)
	}
	switch e.plan.Action {
	case incident.ActionScale:
		if e.after <= e.before || e.after > o.w.scenario.Policy.Settings.MaxReplicas {
			o.violate("INV-20", "%s took %s from %d to %d replicas", e.plan.Summary, e.app.name, e.before, e.after)
		}
	case incident.ActionRollback:
		o.rollback(e, op)
	case incident.ActionRestart:
		o.restart(e)
	case incident.ActionRevert:
		if e.plan.Is != "" {
			break // it gives a template back
		}
		if have := fmt.Sprint(e.before); e.plan.Before != have {
			o.violate("INV-26", "%s is accepted, and %s had %s replicas, not the %s of watchdog", e.plan.Summary,
				e.app.name, have, e.plan.Before)
		}
	}
}

// cycles are the incidents in which watchdog changed a target, with the time of
// the last change, and the one that made their number complete.
type cycles struct {
	at       map[string]time.Time
	complete string
	natural  map[string]bool // those whose trouble ended before anything could help
}

// again is about what was done before: to the same target, and to the same field.
func (o *oracle) again(e effect, op incident.Op) {
	p, c := o.w.scenario.Policy, o.cycles[e.app]
	if c.complete != "" && c.complete != op.Incident {
		o.violate("INV-22", "%s is accepted in incident %s, and %s was to be left to people since incident %s",
			e.plan.Summary, op.Incident, e.app.name, c.complete)
	}
	if c.at == nil {
		c.at = map[string]time.Time{}
	}
	o.cooldown(e, op, c)
	c.at[op.Incident] = e.at
	n := 0
	for id, at := range c.at {
		if e.at.Sub(at) < p.Limits.Quarantine.Per && (!c.natural[id] || id == op.Incident) {
			n++
		}
	}
	if p.Limits.Quarantine.Count > 0 && n >= p.Limits.Quarantine.Count && c.complete == "" {
		c.complete = op.Incident
	}
	o.cycles[e.app] = c

	if at, yes := o.undone[e.app][e.to != e.from]; yes && e.sent.Sub(at) < p.Settings.OwnChange {
		o.violate("INV-28", "%s is accepted %s after a change of watchdog to %s that another controller set back",
			e.plan.Summary, e.at.Sub(at).Round(time.Second), e.app.name)
	}
	for _, x := range o.effects[:len(o.effects)-1] {
		if e.plan.Action == incident.ActionScale && x.app == e.app && x.plan.Object.UID == e.plan.Object.UID &&
			x.before != x.after && x.before == e.after && e.sent.Sub(x.at) < p.Settings.OwnChange {
			o.violate("INV-23", "%s takes %s back to %d replicas, which watchdog itself had left %s before (%s)",
				e.plan.Summary, e.app.name, e.after, e.at.Sub(x.at).Round(time.Second), x.plan.Summary)
		}
	}
}

// cooldown is the pause between the incidents of one target; it doubles with each.
func (o *oracle) cooldown(e effect, op incident.Op, c cycles) {
	lim, n, last := o.w.scenario.Policy.Limits, 0, time.Time{}
	for id, at := range c.at {
		if id == op.Incident {
			continue
		}
		if e.sent.Sub(at) < lim.Quarantine.Per && !c.natural[id] {
			n++
		}
		if at.After(last) {
			last = at
		}
	}
	need := lim.Cooldown
	for k := 1; k < n && need < lim.Quarantine.Per; k++ {
		need *= 2
	}
	need = max(lim.Cooldown, min(need, lim.Quarantine.Per))
	if since := e.at.Sub(last); !last.IsZero() && since < need {
		o.violate("INV-22", "%s is accepted %s after the last change for another incident; after %d of them the "+
			"pause is %s", e.plan.Summary, since.Round(time.Second), n, need)
	}
}

// harmed looks whether what did harm is taken back soon, where nothing is in the way.
func (o *oracle) harmed(opID string) {
	if o.w.scenario.Faults != (Faults{}) {
		return
	}
	began := o.w.clock.now
	o.w.clock.after(undoWithin, -1, func() {
		l, _ := o.w.readLedger()
		for _, x := range l.Leases {
			if x.Op == opID && o.free(x) && !o.troubled.After(began) {
				o.violate("W2", "%s did harm, and stands %s later", x.Plan.Summary, undoWithin)
			}
		}
	})
}

// undoWithin is one evaluation and one look at the leases, and some.
const undoWithin = 30 * time.Second

// undid is another controller that set back what watchdog wrote at the given time.
func (o *oracle) undid(a *app, template bool, ours time.Time) {
	if o.undone[a] == nil {
		o.undone[a] = map[bool]time.Time{}
	}
	o.undone[a][template] = ours
}

// fenced reports whether the write had to notice what happened to the application
// at that time. The precondition of a write to an autoscaler is the autoscaler's:
// of its application it knows what was true at the last look.
func (o *oracle) fenced(e effect, at time.Time) bool {
	if e.plan.Object.Resource != autoscalers {
		return true
	}
	l, ok := o.w.replicas[e.by].looked[e.plan.Target.Name]
	return o.w.scenario.Faults.Stale == 0 && ok && at.Before(l.at)
}

// restart must leave enough, and nothing may be moving.
func (o *oracle) restart(e effect) {
	s := o.w.scenario.Policy.Settings
	need := max(1, int(math.Ceil(s.AvailabilityFloor*float64(e.before)-1e-9)))
	if worst := e.ready - e.app.spec.MaxUnavailable; worst < need {
		o.violate("INV-19", "%s is accepted with %d of %d replicas ready and %d unavailable at worst; %d must stay",
			e.plan.Summary, e.ready, e.before, e.app.spec.MaxUnavailable, need)
	}
	if e.moving {
		o.violate("INV-19", "%s is accepted while a rollout of %s is in progress", e.plan.Summary, e.app.name)
	}
}

// budget counts sliding windows, on the API server's clock.
func (o *oracle) budget(e effect) {
	lim := o.w.scenario.Policy.Limits
	for _, b := range []struct {
		what string
		rate incident.Rate
		same func(effect) bool
	}{
		{"target", lim.PerTarget, func(x effect) bool { return x.app == e.app }},
		{"namespace", lim.PerNamespace, func(x effect) bool { return x.app.spec.Namespace == e.app.spec.Namespace }},
		{"cluster", lim.Cluster, func(effect) bool { return true }},
	} {
		n := 0
		for k := len(o.effects) - 1; k >= 0; k-- {
			x := o.effects[k]
			// A write that was long under way counts from when it was sent.
			if e.sent.Sub(x.at) >= b.rate.Per-time.Minute {
				break
			}
			if !x.revert() && b.same(x) {
				n++
			}
		}
		if n > b.rate.Count {
			o.violate("INV-17", "%d effects per %s within %s, at most %d are allowed (%s)", n, b.what, b.rate.Per,
				b.rate.Count, e.plan.Summary)
		}
	}
}

// pods counts what effects disturbed, as budget does.
func (o *oracle) pods(e effect) {
	r := o.w.scenario.Policy.Limits.Pods
	if r.Per <= 0 {
		return
	}
	n, ops := 0, 0
	for k := len(o.effects) - 1; k >= 0 && e.sent.Sub(o.effects[k].at) < r.Per-time.Minute; k-- {
		if x := o.effects[k]; !x.revert() && x.plan.Price > 0 {
			n, ops = n+x.plan.Price, ops+1
		}
	}
	if n > r.Count && ops > 1 {
		o.violate("INV-17", "%d ops disturb %d pods within %s, at most %d are allowed (%s)", ops, n, r.Per, r.Count,
			e.plan.Summary)
	}
}

func (o *oracle) rollback(e effect, op incident.Op) {
	a := e.app
	to, from := a.templates[e.to].release, a.templates[e.from].release
	if r := a.releases[to]; !r.hidden && (r.crash || r.unready || r.errors > 0 || r.latency > 0) {
		o.violate("INV-31", "%s goes back to release v%d, which was never good", e.plan.Summary, to)
	}
	if came, began := a.came[e.from], o.alert(op).ActiveAt; !came.IsZero() && !began.IsZero() &&
		(began.Sub(came) > o.w.scenario.Policy.Settings.SuspectWindow+time.Minute || came.Sub(began) > time.Minute) {
		o.violate("INV-32", "%s: the breach began %s after the release", e.plan.Summary,
			began.Sub(came).Round(time.Second))
	}
	if o.restored[a][from] {
		o.violate("INV-33", "%s rolls back release v%d, which a rollback had restored", e.plan.Summary, from)
	}
	if o.restored[a] == nil {
		o.restored[a] = map[int]bool{}
	}
	o.restored[a][to] = true
	n := 0
	for _, x := range o.effects {
		if x.plan.Action == incident.ActionRollback && o.reserved[x.op].Incident == op.Incident {
			n++
		}
	}
	if n > 1 {
		o.violate("INV-33", "%d rollbacks in incident %s", n, op.Incident)
	}
}

// alert is the alert for which the op was planned.
func (o *oracle) alert(op incident.Op) incident.Alert {
	i := o.last[op.Incident]
	a, _ := i.Alert(op.Rule)
	return a
}

func (o *oracle) audited(r audit.Record) {
	if r.Kind == "act" {
		o.audit[r.Op] = true
	}
}

// incident looks at each incident that was stored.
func (o *oracle) incident(i incident.Incident) {
	was, known := o.last[i.ID]
	if !known {
		o.opened[i.ID] = o.w.clock.now
		o.w.score.opened(i)
	}
	o.last[i.ID] = i
	o.asks(was, i)
	o.suppressed(i)
	for _, a := range i.Alerts {
		if b, ok := was.Alert(a.Rule); ok && a.Next < b.Next {
			o.violate("INV-21", "the ladder of %s went back from rung %d to %d in incident %s", a.Rule, b.Next, a.Next,
				i.ID)
		}
	}
	if known && was.Phase == incident.Resolved && was.Op == nil && i.Phase != incident.Resolved &&
		!(superseded(was) && i.Op != nil) {
		o.violate("INV-40", "incident %s came back from resolved to %s", i.ID, i.Phase)
	}
	useless := 0
	for _, t := range i.Attempts {
		if t.Verdict == incident.NoEffect || t.Verdict == incident.Unclear || t.Verdict == incident.Harmed {
			useless++
		}
	}
	if limit := o.w.scenario.Policy.Core.StopLoss; useless > limit {
		o.violate("INV-21", "%d actions without improvement in incident %s, the stop-loss is %d", useless, i.ID, limit)
	}
	if was.Severity != "" && was.Severity.Worse(i.Severity) {
		o.violate("INV-21", "the severity of incident %s fell from %s to %s by itself", i.ID, was.Severity, i.Severity)
	}
	o.rungs(i)
	o.spoken(i, was)
	if i.Phase == incident.Resolved && was.Phase != incident.Resolved && !o.superseded(i) {
		for _, a := range i.Alerts {
			b, _ := was.Alert(a.Rule)
			if a.Firing || b.Firing && a.Verdict != "" && a.Verdict.Unknown() {
				o.violate("INV-10", "incident %s is resolved, and %s is %s (firing: %v)", i.ID, a.Rule, a.Verdict,
					a.Firing)
			}
		}
	}
	for k := len(was.Attempts); k < len(i.Attempts); k++ {
		o.w.score.judged(i.Attempts[k])
		o.judgedEarly(i, i.Attempts[k])
		o.helped(i, i.Attempts[k])
	}
	o.patient(was, i)
}

func (o *oracle) superseded(i incident.Incident) bool {
	n := len(i.Timeline)
	return n > 0 && i.Timeline[n-1].Kind == incident.KindSuperseded
}

// rungs counts the attempts of each rung.
func (o *oracle) rungs(i incident.Incident) {
	type rung struct {
		rule  string
		index int
	}
	tries := map[rung]int{}
	for _, t := range i.Attempts {
		op, ok := o.reserved[t.OpID]
		if !ok || t.Verdict == incident.Aborted || op.Incident != i.ID {
			continue
		}
		r := rung{op.Rule, op.Rung}
		if tries[r]++; tries[r] > o.w.scenario.Policy.attempts(op.Rule, op.Rung) {
			o.violate("INV-21", "rung %d of %s was taken %d times in incident %s", op.Rung+1, op.Rule, tries[r], i.ID)
		}
	}
}

func (o *oracle) notified(i incident.Incident) {
	o.hears(i)
	o.lastSent[i.ID] = i
	if o.w.pager != nil {
		o.w.pager.notified(i)
	}
	o.w.external.notified(i)
	if o.w.scenario.Policy.Own != nil && i.Phase == incident.Escalated {
		o.w.score.notified(i) // a plan that a mode left to people is told, too
	}
	if i.Paged && !o.pages[i.ID] {
		o.pages[i.ID] = true
		o.calls = append(o.calls, call{o.w.clock.now.Sub(o.w.epoch), i.Target.Name})
		o.w.say("a person is paged for %s: %s", i.ID, i.PageReason)
		o.sound(i)
		o.w.score.paged(i)
		o.woken(i)
		o.w.call(i)
	}
}

// free reports whether no person or controller keeps a lease from being taken back.
func (o *oracle) free(x incident.Lease) bool {
	a := o.w.byName[x.Plan.Target.Workload]
	_, held := o.holds[a]
	_, claimed := o.claims[a]
	return !held && !claimed && o.kill.IsZero() && o.w.scenario.Policy.Mode == incident.Auto && a.spec.Owner == ""
}

// alone reports whether nothing keeps a lease from being taken back.
func (o *oracle) alone(x incident.Lease) bool {
	a := o.w.byName[x.Plan.Target.Workload]
	if !o.free(x) {
		return false
	}
	for _, s := range o.w.incidents {
		if i := s.value.(incident.Incident); i.Target.Workload == a.name && i.Phase != incident.Resolved {
			return false
		}
	}
	return true
}

// pagedAsOne reports whether somebody was paged for what is bigger than one target.
func (o *oracle) pagedAsOne() bool {
	for id := range o.pages {
		if i := o.last[id]; i.Target.Name == incident.Self && i.Phase != incident.Resolved {
			return true
		}
	}
	return false
}

// calmAfterStorm is how long watchdog waits after a storm.
const calmAfterStorm = 5 * time.Minute

// settled is how long an op or an incident may take without faults.
const settled = 20 * time.Minute

// end looks at what is left when faults have stopped for long enough.
func (o *oracle) end() {
	l, _ := o.w.readLedger()
	for _, op := range l.Ops {
		if o.w.clock.now.Sub(op.PlannedAt) < settled {
			continue
		}
		o.violate("INV-40", "op %s (%s) is still in flight %s after it was planned", op.ID, op.Plan.Summary,
			o.w.clock.now.Sub(op.PlannedAt).Round(time.Second))
	}
	for _, x := range l.Leases {
		if late := o.w.clock.now.Sub(x.ExpiresAt); late > settled &&
			o.w.byName[x.Plan.Target.Workload].spec.Owner == "" && o.alone(x) {
			o.violate("INV-40", "the lease of op %s (%s) ended %s ago and still stands", x.Op, x.Plan.Summary,
				late.Round(time.Second))
		}
	}
	for _, s := range o.w.incidents {
		i := s.value.(incident.Incident)
		o.forgotten(i)
		o.lingering(i)
		switch {
		case o.w.clock.now.Sub(o.opened[i.ID]) < settled:
			continue
		case i.Phase == incident.Resolved || i.Phase == incident.Escalated || i.Phase == incident.Suppressed || i.Paged:
		case i.Shared && o.pagedAsOne():
		case strings.HasPrefix(string(i.Phase), string(incident.Verifying)) && i.Op == nil:
			// It waits for the end of a recovery.
		default:
			o.violate("INV-40", "incident %s on %s is still %s, and nobody was paged", i.ID, i.Target.Name, i.Phase)
		}
		// A rule's own lower mode hands over without a page.
		if i.Phase == incident.Escalated && !i.Paged && o.w.scenario.Policy.Mode == incident.Auto &&
			o.w.scenario.Policy.Own == nil {
			o.violate("INV-42", "incident %s on %s is a person's, and nobody was paged", i.ID, i.Target.Name)
		}
		notified, ok := o.lastSent[i.ID]
		if !ok || notified.Phase != i.Phase {
			o.violate("INV-42", "incident %s is %s, and receivers were last notified of %q", i.ID, i.Phase, notified.Phase)
		}
	}
}

// allowed holds that enough people had said yes to the plan by the time of the last
// look, and nobody no, and that there was time to object.
func (o *oracle) allowed(opID string, p incident.Plan, looked time.Time) {
	options := o.w.scenario.Policy.Rules[0].Options[0]
	words, since, need := map[string]incident.Approval{}, time.Time{}, max(1, options.Approvals)
	for _, a := range o.approved[opID] {
		if a.At.After(looked) {
			continue
		}
		if words[a.By] = a; since.IsZero() && agreed(words, p.Hash, need > 1) >= need {
			since = a.At
		}
	}
	for who, a := range words {
		if a.Denied {
			o.violate("INV-47", "op %s (%s) is sent, and %s denied it", opID, p.Summary, who)
		}
	}
	switch n := agreed(words, p.Hash, need > 1); {
	case n < need:
		o.violate("INV-47", "op %s (%s) is sent, and %d of %d people approved its plan", opID, p.Summary, n, need)
	case looked.Sub(since) < options.CoolOff:
		o.violate("INV-35", "op %s (%s) is sent %s after it was approved; %s are for whoever objects", opID, p.Summary,
			looked.Sub(since), options.CoolOff)
	}
}

// agreed counts who said yes to the plan; a program counts only where one word is enough.
func agreed(words map[string]incident.Approval, hash string, people bool) int {
	n := 0
	for who, a := range words {
		if a.Plan == hash && !a.Denied && !(people && strings.HasPrefix(who, "system:")) {
			n++
		}
	}
	return n
}

// superseded reports whether the incident ended because another one on its target
// goes on. A replica that no longer led and did not know it may have reserved an op for it a
// moment later: once the ledger shows that op, the incident goes on until it is finished.
func superseded(i incident.Incident) bool {
	return len(i.Timeline) > 0 && i.Timeline[len(i.Timeline)-1].Kind == incident.KindSuperseded
}
