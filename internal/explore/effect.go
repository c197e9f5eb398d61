package explore

import "watchdog.io/watchdog/pkg/incident"

// This file mirrors pkg/engine's effects and what remediate's guards look at: the
// hold, the ledger, the verdict, and whether the object is still what it was.

// consider plans the next rung and asks the guards.
func (x *run) consider(r, t, variant uint8) bool {
	k := &x.s.rep[r].task[t]
	inc := x.incidents.get(k.inc)
	id := x.newID(&x.s)
	if id == 0 {
		x.full = true
		return false
	}
	k.pop()
	if variant != plain {
		if variant == lost {
			return false
		}
		x.say("Replica %s cannot read %s to plan an action.", x.who(r), targetNames[t])
		x.apply(r, t, eventKey{kind: onConsidered, a: id, b: x.s.tgt[t].before(), c: holds.code(incident.Freeze)})
		return true
	}
	rung := min(inc.next, uint8(len(x.Ladder)-1))
	hold, far := x.guards(t, opKey{id: id, target: t, slot: inc.slot, rung: rung,
		phase: opPhases.code(incident.Reserving)}, false)
	if hold == 0 {
		x.say("Replica %s plans to %s %s (op %d); nothing stands against it.", x.who(r), x.Ladder[rung].Action,
			targetNames[t], id)
	} else {
		x.say("Replica %s would %s %s, but the guards say %q.", x.who(r), x.Ladder[rung].Action, targetNames[t],
			holds[hold])
	}
	x.apply(r, t, eventKey{kind: onConsidered, a: id, b: x.s.tgt[t].before(), c: hold, d: far})
	return true
}

// guards returns the heaviest answer, and whether one says to ask much later.
func (x *run) guards(t uint8, op opKey, again bool) (hold, far uint8) {
	o := x.s.tgt[t]
	l := x.check(x.s.ledger, op)
	hold, far = l.hold, l.far
	add := func(h incident.Hold) {
		if weight(h) > weight(holds[hold]) {
			hold = holds.code(h)
		}
	}
	if o.hold > 0 {
		add(incident.Suppress)
	}
	switch o.condition {
	case nodata:
		add(incident.Freeze)
	case fine, clearing:
		add(incident.Wait)
	}
	if again && op.before != o.before() {
		add(incident.Wait) // decided anew
	}
	return hold, far
}

// recheck reads the object afresh a moment before the write.
func (x *run) recheck(r, t, variant uint8) bool {
	k := &x.s.rep[r].task[t]
	op := x.incidents.get(k.inc).op
	k.pop()
	switch {
	case variant == lost:
		return false
	case variant == fails:
		x.say("Replica %s cannot read %s before the write.", x.who(r), targetNames[t])
		x.apply(r, t, eventKey{kind: onRechecked, c: holds.code(incident.Freeze)})
	case x.Guards.NoVerify:
		x.say("Replica %s does not look at %s again and goes on.", x.who(r), targetNames[t])
		x.apply(r, t, eventKey{kind: onRechecked, a: x.s.tgt[t].rv})
	default:
		hold, far := x.guards(t, op, true)
		if hold == 0 {
			x.say("Replica %s looks at %s once more: still in breach, not on hold, not changed (resourceVersion %d).",
				x.who(r), targetNames[t], x.s.tgt[t].rv)
		} else {
			x.say("Replica %s looks at %s once more (%s): the guards now say %q.", x.who(r), targetNames[t], x.view(t),
				holds[hold])
		}
		x.apply(r, t, eventKey{kind: onRechecked, a: x.s.tgt[t].rv, c: hold, d: far})
	}
	return true
}

// find looks for the op's id on the object.
func (x *run) find(r, t, variant uint8) bool {
	k := &x.s.rep[r].task[t]
	op := x.incidents.get(k.inc).op
	k.pop()
	switch {
	case variant == lost:
		return false
	case variant == fails:
		x.say("Replica %s cannot read %s to see whether op %d was applied.", x.who(r), targetNames[t], op.id)
		x.apply(r, t, eventKey{kind: onFound})
	case x.Guards.NoVerify:
		x.say("Replica %s does not look whether op %d was applied.", x.who(r), op.id)
		x.apply(r, t, eventKey{kind: onFound, a: 1})
	default:
		there := x.s.tgt[t].op == op.id
		x.say("Replica %s looks for op %d on %s: it is %s.", x.who(r), op.id, targetNames[t],
			map[bool]string{true: "there", false: "not there"}[there])
		x.apply(r, t, eventKey{kind: onFound, a: 1, b: flag(there)})
	}
	return true
}

// swap changes the ledger. Compare-and-swap with reading anew is one step: the
// reads before the one that wins leave no trace.
func (x *run) swap(r, t, variant uint8) bool {
	k := &x.s.rep[r].task[t]
	op := x.incidents.get(k.inc).op
	if variant == fails {
		x.say("Replica %s cannot reach the ledger.", x.who(r))
		k.stop()
		return true
	}
	if x.Guards.NoIntent {
		if variant == lost {
			return false
		}
		x.say("Replica %s writes nothing down about op %d.", x.who(r), op.id)
		e := eventKey{kind: onReleased}
		if k.head() == incident.Reserve {
			e.kind = onReserved
		}
		k.pop()
		x.apply(r, t, e)
		return true
	}
	if x.Guards.NoLedgerCAS {
		if variant == lost {
			return false
		}
		x.say("Replica %s reads the ledger.", x.who(r))
		k.snap, k.stage = x.s.ledger, swapping
		return true
	}
	return x.write(r, t, x.s.ledger, variant)
}

// swapBlindly writes the ledger that follows from what was read, whatever it is by now.
func (x *run) swapBlindly(r, t uint8) bool {
	k := &x.s.rep[r].task[t]
	snap := k.snap
	k.snap = 0
	return x.write(r, t, snap, plain)
}

func (x *run) write(r, t uint8, read uint32, variant uint8) bool {
	k := &x.s.rep[r].task[t]
	op := x.incidents.get(k.inc).op
	if k.head() == incident.Release {
		x.s.ledger = x.release(read, op)
		x.say("Replica %s takes op %d out of the ledger (%s)%s.", x.who(r), op.id, results[op.verdict],
			lostAnswer(variant))
		x.answered(r, t, variant, eventKey{kind: onReleased})
		return true
	}
	res := x.reserve(read, op)
	if res.hold != 0 {
		if variant == lost {
			return false
		}
		x.say("Replica %s asks the ledger for op %d and is refused (%s).", x.who(r), op.id, holds[res.hold])
		x.answered(r, t, plain, eventKey{kind: onRefused, c: res.hold, d: res.far})
		return true
	}
	if killed := x.ledgers.get(x.s.ledger).kill; res.ledger != read {
		if killed {
			x.s.late |= 1 << op.id
		}
		x.s.reserved |= 1 << op.id
		x.s.tgt[t].newest = op.id
	}
	x.s.ledger = res.ledger
	x.singleFlight()
	x.say("Replica %s reserves op %d in the ledger%s.", x.who(r), op.id, lostAnswer(variant))
	x.answered(r, t, variant, eventKey{kind: onReserved})
	return true
}

func lostAnswer(variant uint8) string {
	if variant == lost {
		return "; that is done, but the answer is lost"
	}
	return ""
}

func (x *run) answered(r, t, variant uint8, e eventKey) {
	k := &x.s.rep[r].task[t]
	if variant == lost {
		k.stop()
		return
	}
	k.pop()
	x.apply(r, t, e)
}

// singleFlight holds INV-01.
func (x *run) singleFlight() {
	var seen [maxTargets]bool
	for _, op := range x.ledgers.get(x.s.ledger).ops {
		if op.id != 0 && seen[op.target] {
			x.breaks("INV-01: two ops are in flight on one target")
		}
		seen[op.target] = seen[op.target] || op.id != 0
	}
}

// send hands the write to the network.
func (x *run) send(r, t, variant uint8) bool {
	k := &x.s.rep[r].task[t]
	inc := x.incidents.get(k.inc)
	op := inc.op
	switch variant {
	case lost:
		return false
	case fails:
		x.say("Replica %s cannot record op %d in its audit file, so it does not send it.", x.who(r), op.id)
		k.pop()
		x.apply(r, t, eventKey{kind: onActed, a: outcomes.code(incident.Unsent)})
		return true
	}
	g := x.freeMessage()
	if g == nil {
		x.full = true
		return false
	}
	*g = message{op: op.id, target: t, slot: op.slot, rung: op.rung, before: op.before, rv: op.rv, age: op.sent - 1,
		wait: r + 1, intent: flag(x.s.reserved>>op.id&1 > 0)}
	k.stage = awaiting
	x.say("Replica %s sends the %s of %s (op %d%s).", x.who(r), x.Ladder[op.rung].Action, targetNames[t], op.id,
		x.condition(op.rv))
	return true
}

func (x *run) freeMessage() *message {
	for i := range x.s.msg {
		if x.s.msg[i].op == 0 {
			return &x.s.msg[i]
		}
	}
	return nil
}
