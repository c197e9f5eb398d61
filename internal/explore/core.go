package explore

import (
	"fmt"

	"watchdog.io/watchdog/pkg/incident"
)

// machine calls the core. Step is a function of its arguments, so each call is
// made once and remembered; nothing else here knows what the core decides.
type machine struct {
	Config
	lim       incident.Limits
	incidents mirror[incKey]
	ledgers   mirror[ledgerKey]
	steps     map[stepCall]stepResult
	adopts    map[adoptCall]stepResult
	ages      map[uint32]uint32
	reserves  map[ledgerCall]ledgerResult
	releases  map[ledgerCall]ledgerResult
	checks    map[ledgerCall]ledgerResult
}

type shared struct {
	incidents *interned[incKey]
	ledgers   *interned[ledgerKey]
}

func newShared() shared { return shared{newInterned[incKey](), newInterned[ledgerKey]()} }

func newMachine(c Config, s shared) *machine {
	return &machine{
		Config: c, lim: c.limits(), incidents: mirror[incKey]{of: s.incidents, ids: map[incKey]uint32{}},
		ledgers: mirror[ledgerKey]{of: s.ledgers, ids: map[ledgerKey]uint32{}},
		steps:   map[stepCall]stepResult{}, adopts: map[adoptCall]stepResult{}, ages: map[uint32]uint32{},
		reserves: map[ledgerCall]ledgerResult{}, releases: map[ledgerCall]ledgerResult{},
		checks: map[ledgerCall]ledgerResult{},
	}
}

// Events as values that can be compared.
const (
	onTick = iota + 1
	onConsidered
	onReserved
	onRefused
	onCaptured
	onRechecked
	onActed
	onFound
	onReleased
)

// eventKey is an event: a, b, c and d mean what event says for its kind.
type eventKey struct{ kind, a, b, c, d uint8 }

func flag(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// event builds the real event for an incident.
func (m *machine) event(k incKey, e eventKey) incident.Event {
	retry := now
	if e.d > 0 {
		retry = now.Add(farAway)
	}
	switch e.kind {
	case onTick:
		return incident.Tick{At: now, Alerts: m.alerts(e.a > 0, e.b),
			Rollout: incident.Rollout{Known: true, Done: e.c == 0, Ready: 3, Deadline: unit}}
	case onConsidered:
		return incident.Considered{At: now, OpID: text(e.a),
			Plan: m.plan(k.target, min(k.next, uint8(len(m.Ladder)-1)), e.b, 0), Ready: 3, Hold: holds[e.c],
			Reason: "held", RetryAt: retry}
	case onReserved:
		return incident.Reserved{At: now}
	case onRefused:
		return incident.Refused{At: now, Answer: incident.Answer{Guard: "ledger", Hold: holds[e.c], Reason: "refused",
			RetryAt: retry}}
	case onCaptured:
		return incident.Captured{At: now, Ref: "evidence"}
	case onRechecked:
		return incident.Rechecked{At: now, Plan: m.plan(k.target, k.op.rung, k.op.before, e.a), Hold: holds[e.c],
			Reason: "held", RetryAt: retry}
	case onActed:
		return incident.Acted{At: now, Outcome: outcomes[e.a], Reason: "answered"}
	case onFound:
		return incident.Found{At: now, Known: e.a > 0, Applied: e.b > 0}
	case onReleased:
		return incident.Released{At: now}
	}
	panic("no such event")
}

type stepCall struct {
	inc   uint32
	event eventKey
}

type stepResult struct {
	inc     uint32
	queue   uint16 // effects, four bits each, the first lowest
	touched bool   // the shell would store it
	broken  string // an invariant that this one step breaks
}

func (m *machine) step(inc uint32, e eventKey) stepResult {
	call := stepCall{inc, e}
	if r, ok := m.steps[call]; ok {
		return r
	}
	k := *m.incidents.get(inc)
	before := m.unpack(k)
	after, todo := incident.Step(before, m.event(k, e), policy)
	r := m.stepped(k, before, after, todo)
	m.steps[call] = r
	return r
}

// open is the first tick of a new incident.
func (m *machine) open(target, slot uint8, tick eventKey) stepResult {
	before := incident.New(incidentID(target, slot), targetOf(target), now)
	after, todo := incident.Step(before, m.event(incKey{target: target}, tick), policy)
	return m.stepped(incKey{target: target, slot: slot}, before, after, todo)
}

func (m *machine) stepped(k incKey, before, after incident.Incident, todo []incident.Effect) stepResult {
	r := stepResult{touched: !after.UpdatedAt.Equal(before.UpdatedAt) || len(after.Timeline) != len(before.Timeline)}
	for n, e := range todo {
		r.queue |= uint16(effects.code(e)) << (4 * n)
	}
	next := m.pack(after, k.target, k.slot)
	r.touched = r.touched || next.differs(k)
	r.inc = m.incidents.id(next)
	switch {
	case k.seen && next.seen && (next.next < k.next || next.next == k.next && next.tries < k.tries):
		r.broken = "INV-21: the ladder went back down"
	case k.op.id == 0 && next.op.id != 0 && (verdicts[next.verdict] != incident.Breach || !next.firing):
		r.broken = "INV-08: an action was planned though the rule did not say BREACH"
	case k.op.id != 0 && next.op.id != 0 && k.op.id != next.op.id:
		r.broken = "INV-01: an op was replaced by another before it was over"
	}
	return r
}

// differs mirrors engine.same: what is worth a write.
func (k incKey) differs(o incKey) bool {
	return k.phase != o.phase || k.lead != o.lead || k.paged != o.paged || k.held != o.held || k.useless != o.useless ||
		k.seen != o.seen || k.op.id != o.op.id ||
		k.op.phase != o.op.phase || k.op.rolled != o.op.rolled || k.next != o.next || k.tries != o.tries ||
		k.firing != o.firing || k.verdict != o.verdict
}

// supersede ends a duplicate incident.
func (m *machine) supersede(inc uint32) uint32 {
	k := *m.incidents.get(inc)
	return m.incidents.id(m.pack(incident.Supersede(m.unpack(k), "another", now), k.target, k.slot))
}

type adoptCall struct {
	inc uint32
	op  opKey
}

// adopt gives the incident the op that the ledger holds for it.
func (m *machine) adopt(inc uint32, op opKey) uint32 {
	call := adoptCall{inc, op}
	if r, ok := m.adopts[call]; ok {
		return r.inc
	}
	k := *m.incidents.get(inc)
	i := m.unpack(k)
	if inc == 0 {
		k.target, k.slot = op.target, op.slot
		i = incident.New(incidentID(op.target, op.slot), targetOf(op.target), now)
	}
	r := stepResult{inc: m.incidents.id(m.pack(incident.Adopt(i, m.unpackOp(op), now), k.target, k.slot))}
	m.adopts[call] = r
	return r.inc
}

func (m *machine) older(inc uint32) uint32 {
	if inc == 0 {
		return 0
	}
	if o, ok := m.ages[inc]; ok {
		return o
	}
	o := m.incidents.id(older(*m.incidents.get(inc)))
	m.ages[inc] = o
	return o
}

type ledgerCall struct {
	ledger uint32
	op     opKey
}

type ledgerResult struct {
	ledger uint32
	hold   uint8
	far    uint8 // the answer says to ask again after the window only
}

// reserve is Ledger.Reserve.
func (m *machine) reserve(ledger uint32, op opKey) ledgerResult {
	call := ledgerCall{ledger, op}
	if r, ok := m.reserves[call]; ok {
		return r
	}
	r := ledgerResult{ledger: ledger}
	next, no := m.unpackLedger(*m.ledgers.get(ledger)).Reserve(m.unpackOp(op), now, m.lim)
	if no != nil {
		r.hold, r.far = holds.code(no.Hold), flag(no.RetryAt.After(now))
	} else {
		r.ledger = m.ledgers.id(m.packLedger(next))
	}
	m.reserves[call] = r
	return r
}

// release is Ledger.Release.
func (m *machine) release(ledger uint32, op opKey) uint32 {
	call := ledgerCall{ledger, op}
	if r, ok := m.releases[call]; ok {
		return r.ledger
	}
	full := m.unpackOp(op)
	next := m.unpackLedger(*m.ledgers.get(ledger)).Release(full, full.Verdict, now, m.lim)
	r := ledgerResult{ledger: m.ledgers.id(m.packLedger(next))}
	m.releases[call] = r
	return r.ledger
}

// check is what the ledger's guard says before a plan: Ledger.Check, with what
// the op has taken already not held against it.
func (m *machine) check(ledger uint32, op opKey) ledgerResult {
	call := ledgerCall{ledger, op}
	if r, ok := m.checks[call]; ok {
		return r
	}
	var r ledgerResult
	full, l := m.unpackOp(op), m.unpackLedger(*m.ledgers.get(ledger))
	for _, a := range l.Check(full, now, m.lim) {
		r.far |= flag(a.Hold == incident.Wait && a.RetryAt.After(now))
		if weight(a.Hold) > weight(holds[r.hold]) {
			r.hold = holds.code(a.Hold)
		}
	}
	m.checks[call] = r
	return r
}

// weight orders holds as remediate.Held does.
func weight(h incident.Hold) int {
	for i, o := range []incident.Hold{"", incident.Wait, incident.Advise, incident.Skip, incident.HandOver,
		incident.Freeze, incident.Suppress} {
		if h == o {
			return i
		}
	}
	panic(fmt.Sprintf("explore does not know the hold %q", h))
}

// killed is the ledger with the kill switch set or lifted.
func (m *machine) killed(ledger uint32, set bool) uint32 {
	k := *m.ledgers.get(ledger)
	k.kill = set
	return m.ledgers.id(k)
}
