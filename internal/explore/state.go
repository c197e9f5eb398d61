package explore

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"

	"watchdog.io/watchdog/pkg/incident"
)

// Stages of a pass over one target: the next contact with the world.
const (
	idle     = iota
	working  // the first effect of the queue
	opening  // store the new incident before anything else
	keeping  // store the incident before the write
	sending  // send the write
	awaiting // the answer to the write
	closing  // store what changed in this pass
	reread   // storing lost against somebody: read the incident again
	readopt  // then the ledger
	swapping // without compare-and-swap: write the ledger that was read before
)

// task is one replica's work on one target.
type task struct {
	inc       uint32 // its copy of the incident; 0: none
	snap      uint32 // the ledger as read, while swapping
	queue     uint16
	stage     uint8
	flags     uint8
	duplicate uint32 // an incident of somebody else on the same target, about to be ended
	taken     uint32 // the incident whose op the next pass takes over
	moved     uint8  // the duplicate was stored again since it was read
}

// Flags of a task.
const (
	fresh   = 1 << iota // the incident was never stored by this replica
	stale               // somebody else stored a newer version
	touched             // the pass changed something
	unsaved             // an earlier pass could not store
)

// replica is one process. Down and standing by are the same: no memory.
type replica struct {
	leads uint8 // it believes that it leads
	load  uint8 // 2: must read the incidents, 1: must read the ledger
	over  uint8 // for how long it has not held the lease that it believes to hold
	task  [maxTargets]task
}

// Conditions of a target, as its rule sees them.
const (
	fine     = iota // OK and not firing
	breach          // BREACH and firing
	nodata          // NO_DATA and firing
	clearing        // OK, and firing until the next unit of time
)

// target is one workload as the API server holds it, and the incidents on it.
type target struct {
	slot      [maxSlots]uint32 // stored incidents
	tried     uint8            // per slot and rung: an effect was accepted
	rv        uint8
	human     uint8 // how often a person changed the spec
	effects   uint8 // how often watchdog did
	op        uint8 // the op id on the object
	newest    uint8 // the op reserved last
	hold      uint8
	condition uint8
	rolling   uint8
}

// before is what a plan remembers of the object it was made for.
func (t target) before() uint8 { return 1 + t.human<<4 + t.effects }

// message is a write on its way.
type message struct {
	op, target, slot, rung uint8
	before, rv             uint8
	age                    uint8
	wait                   uint8 // 1 + the replica that waits for the answer
	intent                 uint8 // its op was in the ledger when it was sent
	doubled                uint8 // there is, or was, a copy
}

// Kinds of trouble, as indices of what is left of the budget.
const (
	crashes = iota
	leases
	faults
	people
	world
)

type state struct {
	rep      [maxReplicas]replica
	tgt      [maxTargets]target
	msg      [maxMessages]message
	ledger   uint32
	holder   uint8  // 1 + the replica that holds the lease
	accepted uint16 // ops whose effect was accepted
	reserved uint16 // ops that were ever in the ledger
	late     uint16 // ops that were reserved although the kill switch was set
	left     [5]uint8
}

// used returns the op ids that anything refers to.
func (m *machine) used(s *state) uint16 {
	var u uint16
	for r := range m.Replicas {
		for t := range m.Targets {
			k := &s.rep[r].task[t]
			u |= 1<<m.incidents.get(k.inc).op.id | 1<<m.incidents.get(k.duplicate).op.id | 1<<m.incidents.get(k.taken).op.id
			if snap := s.rep[r].task[t].snap; snap != 0 {
				u |= m.ledgers.get(snap).ids()
			}
		}
	}
	for t := range m.Targets {
		for _, i := range s.tgt[t].slot {
			u |= 1 << m.incidents.get(i).op.id
		}
		u |= 1 << s.tgt[t].op
		u |= 1 << s.tgt[t].newest
	}
	for _, g := range s.msg {
		u |= 1 << g.op
	}
	return u | m.ledgers.get(s.ledger).ids()
}

func (k *ledgerKey) ids() uint16 {
	var u uint16
	for _, o := range k.ops {
		u |= 1 << o.id
	}
	for _, o := range k.spent {
		u |= 1 << o.op
	}
	return u
}

// newID returns the smallest op id that nothing refers to; 0 if there is none.
func (m *machine) newID(s *state) uint8 {
	free := bits.TrailingZeros16(^(m.used(s) | 1))
	if free > maxOps {
		return 0
	}
	s.accepted &^= 1 << free
	s.reserved &^= 1 << free
	s.late &^= 1 << free
	return uint8(free)
}

// tidy forgets what nothing can tell any more and puts replicas and messages in
// an order that does not depend on their names. It returns where each replica went.
func (m *machine) tidy(s *state) [maxReplicas]uint8 {
	for t := range m.Targets {
		for n, id := range s.tgt[t].slot {
			k := m.incidents.get(id)
			if id != 0 && phases[k.phase] == incident.Resolved && k.op.id == 0 && !m.refers(s, t, uint8(n)) {
				s.tgt[t].slot[n] = 0
				s.tgt[t].tried &^= 3 << (2 * n)
			}
		}
	}
	u := m.used(s)
	s.accepted &= u
	s.reserved &= u
	s.late &= u

	order := [maxReplicas]uint8{0, 1, 2}
	for i := 1; i < m.Replicas; i++ {
		for j := i; j > 0 && m.compare(s, order[j], order[j-1]) < 0; j-- {
			order[j], order[j-1] = order[j-1], order[j]
		}
	}
	var where [maxReplicas]uint8
	for i, r := range order {
		where[r] = uint8(i)
	}
	if order != [maxReplicas]uint8{0, 1, 2} {
		old := s.rep
		for i, r := range order {
			s.rep[i] = old[r]
		}
		if s.holder > 0 {
			s.holder = 1 + where[s.holder-1]
		}
		for i := range s.msg {
			if s.msg[i].wait > 0 {
				s.msg[i].wait = 1 + where[s.msg[i].wait-1]
			}
		}
	}
	for i := 1; i < len(s.msg); i++ {
		for j := i; j > 0 && s.msg[j].less(s.msg[j-1]); j-- {
			s.msg[j], s.msg[j-1] = s.msg[j-1], s.msg[j]
		}
	}
	return where
}

// refers reports whether anything but the store refers to the target's incident.
func (m *machine) refers(s *state, t int, slot uint8) bool {
	for r := range m.Replicas {
		k := &s.rep[r].task[t]
		for _, i := range []uint32{k.inc, k.duplicate, k.taken} {
			if i != 0 && (m.incidents.get(i).slot == slot || m.incidents.get(i).op.id != 0 &&
				m.incidents.get(i).op.slot == slot) {
				return true
			}
		}
	}
	for n, i := range s.tgt[t].slot {
		if o := m.incidents.get(i).op; n != int(slot) && o.id != 0 && o.slot == slot {
			return true
		}
	}
	for _, o := range m.ledgers.get(s.ledger).ops {
		if o.id != 0 && int(o.target) == t && o.slot == slot {
			return true
		}
	}
	return false
}

// compare orders replicas by what they hold, never by numbers that depend on the
// order of discovery.
func (m *machine) compare(s *state, a, b uint8) int {
	x, y := &s.rep[a], &s.rep[b]
	if *x == *y {
		return cmp.Or(cmp.Compare(flag(s.holder == b+1), flag(s.holder == a+1)),
			cmp.Compare(m.waits(s, a), m.waits(s, b)))
	}
	if c := cmp.Or(cmp.Compare(flag(s.holder == b+1), flag(s.holder == a+1)), cmp.Compare(y.leads, x.leads),
		cmp.Compare(x.load, y.load), cmp.Compare(x.over, y.over)); c != 0 {
		return c
	}
	for t := range m.Targets {
		p, q := x.task[t], y.task[t]
		if c := cmp.Or(cmp.Compare(p.stage, q.stage), cmp.Compare(p.flags, q.flags),
			cmp.Compare(p.queue, q.queue)); c != 0 {
			return c
		}
		for _, i := range [][2]uint32{{p.inc, q.inc}, {p.duplicate, q.duplicate}, {p.taken, q.taken}} {
			if i[0] != i[1] {
				return bytes.Compare(m.incidents.get(i[0]).bytes(), m.incidents.get(i[1]).bytes())
			}
		}
		if c := cmp.Compare(p.moved, q.moved); c != 0 {
			return c
		}
		if c := cmp.Compare(p.snap, q.snap); c != 0 {
			return c
		}
	}
	return cmp.Compare(m.waits(s, a), m.waits(s, b))
}

// waits tells apart replicas that are alike but for the write they wait for.
func (m *machine) waits(s *state, r uint8) int {
	n := 0
	for _, g := range s.msg {
		if g.wait == r+1 {
			n = n*4096 + int(g.op)<<8 + int(g.age)<<4 + int(g.rv) + 1
		}
	}
	return n
}

func (k *incKey) bytes() []byte {
	o := k.op
	return []byte{k.target, k.slot, k.phase, flag(k.seen), flag(k.lead), k.next, k.tries, flag(k.firing), k.verdict,
		k.useless, k.held, flag(k.paged), k.nextIn, flag(k.evidence), k.last,
		o.id, o.slot, o.rung, o.phase, o.before, o.rv, o.sends, o.sent, o.applied, o.rolled, flag(o.evidence),
		o.verdict, o.hold}
}

func (g message) less(o message) bool {
	// Empty places come last.
	return cmp.Or(cmp.Compare(flag(g.op == 0), flag(o.op == 0)), cmp.Compare(g.target, o.target),
		cmp.Compare(g.op, o.op), cmp.Compare(g.rv, o.rv), cmp.Compare(g.before, o.before),
		cmp.Compare(g.age, o.age), cmp.Compare(g.wait, o.wait), cmp.Compare(g.intent, o.intent),
		cmp.Compare(g.doubled, o.doubled), cmp.Compare(g.slot, o.slot), cmp.Compare(g.rung, o.rung)) < 0
}

// encode writes everything that makes the state what it is.
func (m *machine) encode(s *state, b []byte) []byte {
	for r := range m.Replicas {
		p := &s.rep[r]
		b = append(b, p.over<<6|p.leads<<4|p.load)
		if p.leads == 0 {
			continue
		}
		for t := range m.Targets {
			k := &p.task[t]
			b = append(b, k.stage<<4|k.flags)
			b = binary.LittleEndian.AppendUint16(b, k.queue)
			b = binary.LittleEndian.AppendUint32(b, k.inc)
			if k.snap|k.duplicate|k.taken != 0 {
				b = binary.LittleEndian.AppendUint32(b, k.snap)
				b = binary.LittleEndian.AppendUint32(b, k.duplicate)
				b = binary.LittleEndian.AppendUint32(b, k.taken)
				b = append(b, 0xff, k.moved)
			}
		}
	}
	for t := range m.Targets {
		o := &s.tgt[t]
		for _, i := range o.slot {
			b = binary.LittleEndian.AppendUint32(b, i)
		}
		b = append(b, o.tried, o.rv, o.human, o.effects, o.op, o.newest, o.hold<<6|o.condition<<1|o.rolling)
	}
	for _, g := range s.msg {
		if g.op != 0 {
			b = append(b, g.op<<4|g.target, g.doubled<<7|g.slot<<4|g.rung, g.before, g.rv, g.age<<4|g.wait<<1|g.intent)
		}
	}
	b = binary.LittleEndian.AppendUint32(b, s.ledger)
	b = binary.LittleEndian.AppendUint16(b, s.accepted)
	b = binary.LittleEndian.AppendUint16(b, s.reserved)
	b = binary.LittleEndian.AppendUint16(b, s.late)
	return append(b, s.holder, s.left[0], s.left[1], s.left[2], s.left[3], s.left[4])
}

// digest is a state's name. With 128 bits, two among ten million states share
// one with a chance below 10^-24.
type digest [2]uint64

func digestOf(b []byte) digest {
	h, g := uint64(0x9e3779b97f4a7c15)^uint64(len(b)), uint64(0xd6e8feb86659fd93)
	for len(b) >= 8 {
		h, g = mix(h, g, binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	var last [8]byte
	copy(last[:], b)
	h, g = mix(h, g, binary.LittleEndian.Uint64(last[:]))
	h, g = mix(h, g, 0x2545f4914f6cdd1d)
	return digest{h, g}
}

func mix(h, g, w uint64) (uint64, uint64) {
	a, b := bits.Mul64(h^w, 0xa0761d6478bd642f)
	c, d := bits.Mul64(g+w, 0xe7037ed1a0b428db)
	return a ^ b ^ bits.RotateLeft64(g, 23), c ^ d ^ bits.RotateLeft64(h, 41)
}
