package explore

import "watchdog.io/watchdog/pkg/incident"

// over reports whether a stored incident needs no work any more; one that is not
// there is over too.
func over(id uint32, k *incKey) bool {
	return id == 0 || phases[k.phase] == incident.Resolved && k.op.id == 0
}

// flies reports whether the op is in flight.
func (k *ledgerKey) flies(op uint8) bool {
	for _, o := range k.ops {
		if o.id == op {
			return true
		}
	}
	return false
}

// orphans mirrors engine.orphans: it reads the store, then ends an incident of
// somebody else on a target that this replica works on already.
func (x *run) orphans(r, t uint8) bool {
	k, o := &x.s.rep[r].task[t], &x.s.tgt[t]
	if k.duplicate != 0 {
		slot := x.incidents.get(k.duplicate).slot
		if k.moved > 0 {
			x.say("Replica %s wants to end the other incident on %s, but somebody else has stored it since.", x.who(r),
				targetNames[t])
			k.duplicate, k.moved = 0, 0
			return true
		}
		o.slot[slot] = x.supersede(k.duplicate)
		x.say("Replica %s ends the other incident on %s.", x.who(r), targetNames[t])
		for q := range x.Replicas {
			p := &x.s.rep[q].task[t]
			if p.inc != 0 && x.incidents.get(p.inc).slot == slot {
				p.flags |= stale
			}
			if q != int(r) && p.duplicate != 0 && x.incidents.get(p.duplicate).slot == slot {
				p.moved = 1
			}
		}
		k.duplicate = 0
		return true
	}
	for n, id := range o.slot {
		switch {
		case over(id, x.incidents.get(id)):
		case k.inc == 0 && k.stage == idle:
			k.inc = id
			x.say("Replica %s finds an incident on %s in the store and takes it on (%s).", x.who(r), targetNames[t],
				x.phrase(id))
			return true
		case k.inc != 0 && x.incidents.get(k.inc).slot != uint8(n) && (k.flags&fresh == 0 || k.stage != opening):
			if !x.Shell.AdoptEarly && x.holds(id, t, uint8(n)) {
				// An incident with an op is not ended: it is the one to work on.
				if k.stage == idle && x.incidents.get(k.inc).op.id == 0 {
					x.say("Replica %s finds another incident on %s in the store, with an op (%s), and works on that "+
						"one from now on.", x.who(r), targetNames[t], x.phrase(id))
					*k = task{inc: id}
					for _, op := range x.ledgers.get(x.s.ledger).ops {
						if op.id != 0 && op.target == t && op.slot == uint8(n) {
							k.inc = x.adopt(k.inc, op)
						}
					}
					return true
				}
				continue
			}
			k.duplicate, k.moved = id, 0
			if x.incidents.get(id).op.id != 0 && x.Shell.AdoptEarly {
				k.taken = id
			}
			x.say("Replica %s finds another incident on %s in the store (%s).", x.who(r), targetNames[t], x.phrase(id))
			return true
		}
	}
	return !x.Shell.LeaveOps && x.unattended(r, t)
}

// holds reports whether a stored incident has an op, as far as it or the ledger knows.
func (x *run) holds(id uint32, t, slot uint8) bool {
	if x.incidents.get(id).op.id != 0 {
		return true
	}
	for _, op := range x.ledgers.get(x.s.ledger).ops {
		if op.id != 0 && op.target == t && op.slot == slot {
			return true
		}
	}
	return false
}

// unattended takes on an op in the ledger that this replica does not know of.
func (x *run) unattended(r, t uint8) bool {
	k := &x.s.rep[r].task[t]
	if k.stage != idle || x.incidents.get(k.inc).op.id != 0 {
		return false
	}
	for _, op := range x.ledgers.get(x.s.ledger).ops {
		switch {
		case op.id == 0 || op.target != t:
			continue
		case k.inc != 0 && x.incidents.get(k.inc).slot == op.slot:
			k.inc = x.adopt(k.inc, op)
			k.flags |= unsaved
		default:
			x.own(r, op)
		}
		x.say("Replica %s finds op %d on %s in the ledger and takes it on.", x.who(r), op.id, targetNames[t])
		return true
	}
	return false
}
