package explore

import "watchdog.io/watchdog/pkg/incident"

// This file mirrors the order of pkg/engine: reconcile, perform, put and reload.

// tick starts a pass over a target.
func (x *run) tick(r, t uint8) bool {
	k, o := &x.s.rep[r].task[t], &x.s.tgt[t]
	e := eventKey{kind: onTick, a: flag(o.condition != fine), b: verdictOf(o.condition), c: o.rolling}
	if k.inc == 0 {
		k.taken = 0
		if o.condition == fine {
			return false
		}
		slot, free := x.freeSlot(t)
		if !free {
			x.full = true
			return false
		}
		res := x.open(t, slot, e)
		*k = task{inc: res.inc, queue: res.queue, stage: opening, flags: fresh | touched, duplicate: k.duplicate,
			moved: k.moved}
		x.say("Replica %s sees %s in trouble and opens an incident.", x.who(r), targetNames[t])
		return true
	}
	if k.flags&unsaved != 0 && !x.Shell.BeginUnsaved {
		k.stage = closing
		x.say("Replica %s still has to store how far it came with %s.", x.who(r), targetNames[t])
		return true
	}
	k.flags &^= touched
	x.say("Replica %s looks at %s again (%s).", x.who(r), targetNames[t], x.view(t))
	if op := x.incidents.get(k.taken).op; op.id != 0 && x.ledgers.get(x.s.ledger).ids()&(1<<op.id) != 0 &&
		x.ledgers.get(x.s.ledger).flies(op.id) {
		k.inc = x.adopt(k.inc, op)
		x.say("It takes over op %d.", op.id)
	}
	k.taken = 0
	x.apply(r, t, e)
	return true
}

func verdictOf(condition uint8) uint8 {
	switch condition {
	case breach:
		return verdicts.code(incident.Breach)
	case nodata:
		return verdicts.code(incident.NoData)
	}
	return verdicts.code(incident.OK)
}

// freeSlot returns an incident id that nothing refers to.
func (x *run) freeSlot(t uint8) (uint8, bool) {
	for n := range uint8(maxSlots) {
		if x.s.tgt[t].slot[n] == 0 && !x.refers(&x.s, int(t), n) && x.noneAfter(t, n) {
			x.s.tgt[t].tried &^= 3 << (2 * n)
			return n, true
		}
	}
	return 0, false
}

// noneAfter keeps the slots of a target in the order in which they were opened.
func (x *run) noneAfter(t, slot uint8) bool {
	for n := slot + 1; n < maxSlots; n++ {
		if x.s.tgt[t].slot[n] != 0 || x.refers(&x.s, int(t), n) {
			return false
		}
	}
	return true
}

// apply gives the core an event and goes on to the pass's next contact.
func (x *run) apply(r, t uint8, e eventKey) {
	k := &x.s.rep[r].task[t]
	res := x.step(k.inc, e)
	if res.broken != "" {
		x.breaks(res.broken)
	}
	k.inc = res.inc
	if res.touched {
		k.flags |= touched
	}
	// What the event asks for comes after what was asked before.
	shift := 0
	for k.queue>>shift != 0 {
		shift += 4
	}
	k.queue |= res.queue << shift
	x.proceed(r, t)
}

// abandons reports whether the op to release was not applied: its budget goes
// back, so no other replica may be about to send it.
func (x *run) abandons(k *task) bool {
	return results[x.incidents.get(k.inc).op.verdict] == incident.Aborted
}

func (k *task) head() incident.Effect { return effects[k.queue&15] }

func (k *task) pop() { k.queue >>= 4 }

// proceed finds the pass's next contact with the world. Evidence touches nothing
// that anybody here can see, so it is taken on the way.
func (x *run) proceed(r, t uint8) {
	k := &x.s.rep[r].task[t]
	switch {
	case k.queue == 0 && k.flags&(touched|unsaved) != 0:
		k.stage = closing
	case k.queue == 0:
		k.stage = idle
	case k.head() == incident.Capture:
		k.pop()
		x.apply(r, t, eventKey{kind: onCaptured})
	case k.head() == incident.Act, k.head() == incident.Release && x.abandons(k) && !x.Shell.ReleaseUnstored:
		k.stage = keeping
	default:
		k.stage = working
	}
}

// stop ends a pass with an error: how far it came is kept in memory.
func (k *task) stop() {
	k.queue, k.stage, k.snap = 0, idle, 0
	k.flags |= unsaved
}

// contact makes the pass's next contact with the world.
func (x *run) contact(r, t, variant uint8) bool {
	if variant != plain && !x.spend(faults) {
		return false
	}
	k := &x.s.rep[r].task[t]
	switch k.stage {
	case opening, keeping, closing:
		return x.put(r, t, variant)
	case sending:
		return x.send(r, t, variant)
	case reread:
		return x.rereadIncident(r, t, variant)
	case readopt:
		return x.readoptOp(r, t, variant)
	case swapping:
		return variant == plain && x.swapBlindly(r, t)
	case working:
		switch k.head() {
		case incident.Consider:
			return x.consider(r, t, variant)
		case incident.Reserve, incident.Release:
			return x.swap(r, t, variant)
		case incident.Recheck:
			return x.recheck(r, t, variant)
		case incident.Find:
			return x.find(r, t, variant)
		}
	}
	return false // the answer to a write comes with its arrival
}

// put stores the incident by compare-and-swap.
func (x *run) put(r, t, variant uint8) bool {
	k, inc := &x.s.rep[r].task[t], x.incidents.get(x.s.rep[r].task[t].inc)
	stored, stage := &x.s.tgt[t].slot[inc.slot], k.stage
	lostRace := k.flags&stale != 0 || k.flags&fresh != 0 && *stored != 0
	why := map[uint8]string{opening: "", keeping: " before anything else",
		closing: " as it stands after this pass"}[stage]
	switch {
	case variant == fails:
		x.say("Replica %s cannot reach the API server to store the incident%s.", x.who(r), why)
		x.putFailed(k, stage)
		return true
	case variant == lost && lostRace:
		return false
	case lostRace:
		x.say("Replica %s tries to store the incident%s and is refused: somebody else has stored it since it was read.",
			x.who(r), why)
		k.queue, k.stage = 0, reread
		return true
	}
	if old := x.incidents.get(*stored); *stored != 0 && phases[inc.phase] != incident.Resolved &&
		phases[old.phase] != incident.Resolved && inc.next < old.next {
		x.breaks("INV-21: the stored ladder went back down")
	}
	*stored = k.inc
	for q := range x.Replicas {
		o := &x.s.rep[q].task[t]
		if q != int(r) && o.inc != 0 && x.incidents.get(o.inc).slot == inc.slot {
			o.flags |= stale
		}
		if o.duplicate != 0 && x.incidents.get(o.duplicate).slot == inc.slot {
			o.moved = 1
		}
	}
	if variant == lost {
		x.say("Replica %s stores the incident%s (%s); it is stored, but the answer is lost.", x.who(r), why,
			x.phrase(k.inc))
		k.flags |= stale
		x.putFailed(k, stage)
		return true
	}
	x.say("Replica %s stores the incident%s (%s).", x.who(r), why, x.phrase(k.inc))
	k.flags &^= fresh | stale | unsaved
	switch {
	case stage == keeping && k.head() == incident.Act:
		k.stage = sending
	case stage == keeping:
		k.stage = working
	case stage == opening:
		x.proceed(r, t)
	case phases[inc.phase] == incident.Resolved && inc.op.id == 0:
		*k = task{duplicate: k.duplicate, taken: k.taken, moved: k.moved}
	default:
		k.stage = idle
		k.flags &^= touched
	}
	return true
}

// putFailed ends the pass. A new incident is forgotten if it could not be stored.
func (x *run) putFailed(k *task, stage uint8) {
	if stage == opening {
		*k = task{duplicate: k.duplicate, taken: k.taken, moved: k.moved}
		return
	}
	k.stop()
}

// rereadIncident replaces the replica's copy after a lost race.
func (x *run) rereadIncident(r, t, variant uint8) bool {
	k := &x.s.rep[r].task[t]
	switch variant {
	case lost:
		return false
	case fails:
		x.say("Replica %s cannot read the incident again.", x.who(r))
		k.stop()
		return true
	}
	slot := x.incidents.get(k.inc).slot
	x.say("Replica %s drops its copy and reads the incident again (%s).", x.who(r), x.phrase(x.s.tgt[t].slot[slot]))
	*k = task{inc: x.s.tgt[t].slot[slot], stage: readopt, duplicate: k.duplicate, taken: k.taken, moved: k.moved}
	return true
}

// readoptOp reads the ledger after the incident.
func (x *run) readoptOp(r, t, variant uint8) bool {
	k := &x.s.rep[r].task[t]
	if variant != plain {
		return false
	}
	slot := x.incidents.get(k.inc).slot
	for _, op := range x.ledgers.get(x.s.ledger).ops {
		if op.id != 0 && op.target == t && op.slot == slot {
			k.inc = x.adopt(k.inc, op)
		}
	}
	k.stage = idle
	if over(k.inc, x.incidents.get(k.inc)) && !x.Shell.KeepResolved {
		*k = task{duplicate: k.duplicate, taken: k.taken, moved: k.moved}
	}
	x.say("Replica %s reads the ledger: the incident is now %s.", x.who(r), x.phrase(k.inc))
	return true
}

// load is the start of leadership: read the incidents, then the ledger.
func (x *run) load(r uint8) bool {
	p := &x.s.rep[r]
	if p.load == 2 {
		p.load = 1
		for t := range x.Targets {
			p.task[t] = task{}
			for n, id := range x.s.tgt[t].slot {
				k := x.incidents.get(id)
				if !over(id, k) && (p.task[t].inc == 0 || k.op.id != 0 && x.incidents.get(p.task[t].inc).op.id == 0) {
					p.task[t] = task{inc: x.s.tgt[t].slot[n]}
				}
			}
		}
		x.say("Replica %s reads all incidents%s.", x.who(r), x.held(r))
		return true
	}
	p.load = 0
	for _, op := range x.ledgers.get(x.s.ledger).ops {
		if op.id == 0 {
			continue
		}
		k := &p.task[op.target]
		if k.inc == 0 || !x.Shell.ShareOps && x.incidents.get(k.inc).slot != op.slot {
			x.own(r, op)
			continue
		}
		k.inc = x.adopt(k.inc, op)
	}
	x.say("Replica %s reads the ledger and begins%s.", x.who(r), x.held(r))
	return true
}

// own makes the op's incident, as it is stored now, the one to work on. It was
// stored before the op was reserved.
func (x *run) own(r uint8, op opKey) {
	k := &x.s.rep[r].task[op.target]
	stored := x.s.tgt[op.target].slot[op.slot]
	*k = task{inc: x.adopt(stored, op), duplicate: k.duplicate, moved: k.moved}
	if stored == 0 {
		k.flags = fresh
	}
}
