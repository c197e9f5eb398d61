package explore

import "watchdog.io/watchdog/pkg/incident"

// This file is the API server's side of an op's one write, and the oracle: every
// invariant about effects is held where an effect is accepted.

// arrive lets a write reach the API server.
func (x *run) arrive(n, variant uint8) bool {
	g := x.s.msg[n]
	o := &x.s.tgt[g.target]
	heard := variant&unheard == 0
	if g.op == 0 || !heard && (g.wait == 0 || !x.spend(faults)) {
		return false
	}
	conflict := !x.Guards.NoPrecondition && g.rv != o.rv
	again := !conflict && o.op == g.op // the object is already what the patch makes of it
	if variant&cures != 0 && (conflict || again || o.condition != breach && o.condition != nodata) {
		return false
	}
	x.s.msg[n] = message{}
	what := "The write of op " + text(g.op) + " reaches the API server"
	if g.wait == 0 {
		what = "The write of op " + text(g.op) + ", which nobody waits for any more, reaches the API server"
	}
	switch {
	case conflict:
		what += " and is refused: " + targetNames[g.target] + " has changed since"
	case again:
		what += " and changes nothing: " + targetNames[g.target] + " carries this op already"
	default:
		what += " and is accepted: " + targetNames[g.target] + " gets its " + string(x.Ladder[g.rung].Action)
		x.accept(g)
		if variant&cures != 0 {
			what += ", and that is the cure"
			o.condition = clearing
		}
	}
	if g.wait > 0 && !heard {
		what += "; the answer is lost"
	}
	x.say("%s.", what)
	if g.wait == 0 {
		return true
	}
	outcome := incident.Applied
	switch {
	case !heard:
		outcome = incident.Unknown
	case conflict:
		outcome = incident.Conflicted
	}
	x.reply(g, outcome)
	return true
}

// reply gives the sender its answer.
func (x *run) reply(g message, o incident.Outcome) {
	k := &x.s.rep[g.wait-1].task[g.target]
	k.pop()
	x.apply(g.wait-1, g.target, eventKey{kind: onActed, a: outcomes.code(o)})
}

// accept changes the object, and holds the invariants against it.
func (x *run) accept(g message) {
	o, bit := &x.s.tgt[g.target], uint16(1)<<g.op
	l := x.ledgers.get(x.s.ledger)
	total := uint8(0)
	for t := range x.Targets {
		total += x.s.tgt[t].effects
	}
	token := false
	for _, s := range l.spent {
		token = token || s.op == g.op
	}
	rung := uint8(1) << (2*g.slot + min(g.rung, 1))
	switch {
	case g.intent == 0:
		x.breaks("INV-37: an effect without intent: the op was not in the ledger when it was sent")
	case x.s.accepted&bit != 0:
		x.breaks("INV-02: one op took effect twice")
	case o.hold > 0:
		x.breaks("INV-25: an effect after a person's hold")
	case x.s.late&bit != 0:
		x.breaks("INV-25: an effect of an op that was reserved after the kill switch")
	case g.before>>4 != o.before()>>4:
		x.breaks("INV-26: an effect on an object that a person changed after the op last looked at it")
	case int(total) >= x.Ops:
		x.breaks("INV-17: more effects than the budget allows")
	case !token:
		x.breaks("INV-17: an effect whose token was given back: the ledger does not count it")
	case o.newest != g.op:
		x.breaks("INV-04: an effect of an op after a newer op was reserved on the target")
	case o.tried&rung != 0:
		x.breaks("INV-21: a rung took effect more often than its attempts")
	}
	x.s.accepted |= bit
	o.tried |= rung
	o.rv++
	o.effects++
	o.rolling = 1
	if !x.Guards.NoOpID {
		o.op = g.op
	}
}

// timeout: the sender gives up waiting; the write is still on its way.
func (x *run) timeout(n uint8) bool {
	g := x.s.msg[n]
	if g.wait == 0 || !x.spend(faults) {
		return false
	}
	x.s.msg[n].wait = 0
	x.say("The write of op %d is held up in the network; replica %s gives up waiting for the answer.", g.op,
		x.who(g.wait-1))
	x.reply(g, incident.Unknown)
	return true
}

// deny: an admission webhook says no to this request. It would say the same to a
// copy, so a write that was doubled is not denied.
func (x *run) deny(n uint8) bool {
	g := x.s.msg[n]
	if g.wait == 0 || g.doubled > 0 || !x.spend(faults) {
		return false
	}
	x.s.msg[n] = message{}
	x.say("The write of op %d is denied by an admission webhook.", g.op)
	x.reply(g, incident.Denied)
	return true
}

// double: the network delivers the write a second time, at some later moment.
func (x *run) double(n uint8) bool {
	if !x.spend(faults) {
		return false
	}
	g := x.freeMessage()
	if g == nil {
		x.full = true
		return false
	}
	x.s.msg[n].doubled = 1
	*g = x.s.msg[n]
	g.wait = 0
	x.say("The network makes a copy of the write of op %d.", g.op)
	return true
}
