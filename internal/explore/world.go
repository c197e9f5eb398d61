package explore

import "watchdog.io/watchdog/pkg/incident"

// This file is everything that happens around the replicas.

// time lets one unit pass for everybody. What must happen before it may pass:
// writes arrive or are given up, replicas without a lease notice.
func (x *run) time() bool {
	for r := range x.Replicas {
		if p := &x.s.rep[r]; p.leads > 0 && x.s.holder != uint8(r)+1 {
			if p.over == overlap {
				return false
			}
			p.over++
		}
		for t := range x.Targets {
			k := &x.s.rep[r].task[t]
			if k.head() == incident.Act {
				if x.incidents.get(k.inc).op.sent >= flight {
					return false
				}
			}
		}
	}
	for i := range x.s.msg {
		g := &x.s.msg[i]
		if g.op == 0 {
			continue
		}
		if g.age++; g.age >= flight {
			if g.wait > 0 {
				return false
			}
			x.say("The write of op %d never arrives.", g.op)
			*g = message{}
		}
	}
	for r := range x.Replicas {
		for t := range x.Targets {
			k := &x.s.rep[r].task[t]
			k.inc, k.duplicate, k.taken = x.older(k.inc), x.older(k.duplicate), x.older(k.taken)
		}
	}
	for t := range x.Targets {
		o := &x.s.tgt[t]
		for n := range o.slot {
			o.slot[n] = x.older(o.slot[n])
		}
		o.rolling = 0
		if o.condition == clearing {
			o.condition = fine
		}
	}
	x.say("A minute passes.")
	return true
}

// crash: all memory is gone. The replica starts again and stands by.
func (x *run) crash(r uint8) bool {
	if !x.spend(crashes) {
		return false
	}
	x.say("Replica %s crashes.", x.who(r))
	x.forget(r)
	if x.s.holder == r+1 {
		x.s.holder = 0
	}
	return true
}

// forget drops what a replica has in memory. What it has sent stays on its way.
func (x *run) forget(r uint8) {
	x.s.rep[r] = replica{}
	for i := range x.s.msg {
		if x.s.msg[i].wait == r+1 {
			x.s.msg[i].wait = 0
		}
	}
}

// notice: a replica learns that its lease is gone.
func (x *run) notice(r uint8) bool {
	x.say("Replica %s notices that it does not lead any more, and stops.", x.who(r))
	x.forget(r)
	return true
}

// lose: the lease runs out under a replica that goes on.
func (x *run) lose(r uint8) bool {
	if !x.spend(leases) {
		return false
	}
	x.s.holder = 0
	x.say("Replica %s loses its lease and does not know it yet.", x.who(r))
	return true
}

func (x *run) acquire(r uint8) bool {
	x.s.holder = r + 1
	x.s.rep[r] = replica{leads: 1, load: 2}
	x.say("Replica %s takes the lease.", x.who(r))
	return true
}

// outside is what people, controllers and the trouble itself do.
func (x *run) outside(v move) bool {
	o, kill := &x.s.tgt[v.b], x.ledgers.get(x.s.ledger).kill
	budget, possible, text := world, false, ""
	switch v.kind {
	case moveHold:
		budget, possible, text = people, o.hold == 0, "A person puts "+targetNames[v.b]+" on hold."
	case moveLift:
		budget, possible, text = people, o.hold == 1, "The person lifts the hold on "+targetNames[v.b]+"."
	case moveEdit:
		budget, possible, text = people, true, "A person edits "+targetNames[v.b]+"."
	case moveKill:
		budget, possible, text = people, !kill, "A person sets the kill switch in the ledger."
	case moveUnkill:
		budget, possible, text = people, kill, "The person lifts the kill switch."
	case moveTouch:
		possible, text = true, "Another controller writes to "+targetNames[v.b]+" (only its status and annotations)."
	case moveRecover:
		possible, text = o.condition == breach || o.condition == nodata, targetNames[v.b]+" recovers by itself."
	case moveBlind:
		possible, text = o.condition == breach, "The monitoring of "+targetNames[v.b]+" loses its data (NO_DATA)."
	case moveSee:
		possible, text = o.condition == nodata, "The data of "+targetNames[v.b]+" is back: still in breach."
	case moveAgain:
		possible, text = o.condition == fine || o.condition == clearing, targetNames[v.b]+" gets into trouble again."
	}
	if !possible || !x.spend(budget) {
		return false
	}
	switch v.kind {
	case moveHold, moveLift:
		o.hold ^= 1
		o.rv++
	case moveEdit:
		o.human++
		o.rv++
	case moveTouch:
		o.rv++
	case moveKill, moveUnkill:
		x.s.ledger = x.killed(x.s.ledger, !kill)
	case moveRecover:
		o.condition = clearing
	case moveBlind:
		o.condition = nodata
	case moveSee, moveAgain:
		o.condition = breach
	}
	x.say("%s", text)
	return true
}

// settled reports whether every target is well, or in a person's hands, and no
// op holds a lock (INV-40).
func (m *machine) settled(s *state) bool {
	l := m.ledgers.get(s.ledger)
	for _, op := range l.ops {
		if op.id != 0 {
			return false
		}
	}
	for t := range m.Targets {
		o, open := &s.tgt[t], false
		for _, id := range o.slot {
			k := m.incidents.get(id)
			if id == 0 || phases[k.phase] == incident.Resolved && k.op.id == 0 {
				continue
			}
			open = true
			if k.op.id != 0 {
				return false
			}
			switch phases[k.phase] {
			case incident.Escalated:
			case incident.Suppressed:
				if o.hold == 0 && !l.kill {
					return false
				}
			case incident.Frozen:
				if !k.paged {
					return false
				}
			default:
				return false
			}
		}
		if open != (o.condition != fine) {
			return false
		}
	}
	return true
}
