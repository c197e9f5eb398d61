package explore

import "fmt"

// Kinds of moves.
const (
	moveContact = iota + 1 // a: replica, b: target
	moveTick               // a: replica, b: target
	moveLoad               // a: replica
	moveArrive             // a: message
	moveTimeout            // a: message
	moveDeny               // a: message
	moveDouble             // a: message
	moveStray              // a: replica, b: target
	moveNotice             // a: replica
	moveAcquire            // a: replica
	moveTime
	moveCrash // a: replica
	moveLose  // a: replica
	moveHold  // b: target
	moveLift  // b: target
	moveEdit  // b: target
	moveTouch // b: target
	moveKill
	moveUnkill
	moveRecover // b: target
	moveBlind   // b: target
	moveSee     // b: target
	moveAgain   // b: target
)

// move is one thing that happens, to one replica, message or target.
type move struct{ kind, a, b, variant uint8 }

func (v move) code() uint32 {
	return uint32(v.kind)<<24 | uint32(v.a)<<16 | uint32(v.b)<<8 | uint32(v.variant)
}

func moveOf(c uint32) move { return move{uint8(c >> 24), uint8(c >> 16), uint8(c >> 8), uint8(c)} }

// Variants of a contact.
const (
	plain    = iota
	fails    // it fails before anything is done
	lost     // it is done, the answer is lost
	variants // how many there are
)

// Variants of an arrival, to be added.
const (
	cures    = 1
	unheard  = 2
	arrivals = 4
)

// run is one move being made on a copy of a state.
type run struct {
	*machine
	s      state
	broken string // the invariant that was broken
	full   bool   // a bound of the model was met: the move was left out
	told   func(string)
	names  [maxReplicas]uint8 // names of the replicas, for stories
}

func (x *run) say(format string, args ...any) {
	if x.told != nil {
		x.told(fmt.Sprintf(format, args...))
	}
}

func (x *run) who(r uint8) string { return string(rune('A' + x.names[r])) }

func (x *run) breaks(what string) {
	if x.broken == "" {
		x.broken = what
	}
}

// spend takes one trouble from the budget.
func (x *run) spend(kind int) bool {
	if x.s.left[kind] == 0 {
		return false
	}
	x.s.left[kind]--
	return true
}

// moves calls f with every move that may be possible. The calm ones come first:
// those of a world in which nothing goes wrong, in the order in which they are made.
func (m *machine) moves(s *state, f func(move)) {
	for i := range s.msg {
		if s.msg[i].op != 0 {
			f(move{moveArrive, uint8(i), 0, plain})
		}
	}
	for r := range uint8(m.Replicas) {
		if s.rep[r].leads > 0 && s.holder != r+1 {
			f(move{moveNotice, r, 0, 0})
		}
	}
	for r := range uint8(m.Replicas) {
		if s.rep[r].leads == 0 && s.holder == 0 {
			f(move{moveAcquire, r, 0, 0})
		}
	}
	for r := range uint8(m.Replicas) {
		if s.rep[r].leads > 0 && s.rep[r].load > 0 {
			f(move{moveLoad, r, 0, 0})
		}
	}
	for _, kind := range []uint8{moveContact, moveStray, moveTick} {
		for r := range uint8(m.Replicas) {
			for t := range uint8(m.Targets) {
				if s.rep[r].leads > 0 && s.rep[r].load == 0 &&
					(kind == moveStray || (s.rep[r].task[t].stage == idle) == (kind == moveTick)) {
					f(move{kind, r, t, plain})
				}
			}
		}
	}
	f(move{moveTime, 0, 0, 0})
	m.troubles(s, f)
}

func (m *machine) troubles(s *state, f func(move)) {
	for i := range s.msg {
		if s.msg[i].op == 0 {
			continue
		}
		f(move{moveArrive, uint8(i), 0, cures})
		if s.left[faults] > 0 {
			if s.msg[i].wait > 0 {
				f(move{moveArrive, uint8(i), 0, unheard})
				f(move{moveArrive, uint8(i), 0, cures + unheard})
				f(move{moveTimeout, uint8(i), 0, 0})
				f(move{moveDeny, uint8(i), 0, 0})
			}
			f(move{moveDouble, uint8(i), 0, 0})
		}
	}
	for r := range uint8(m.Replicas) {
		if s.rep[r].leads == 0 {
			continue
		}
		if s.left[crashes] > 0 {
			f(move{moveCrash, r, 0, 0})
		}
		if s.left[leases] > 0 && s.holder == r+1 {
			f(move{moveLose, r, 0, 0})
		}
		for t := range uint8(m.Targets) {
			if s.rep[r].load == 0 && s.rep[r].task[t].stage != idle && s.left[faults] > 0 {
				f(move{moveContact, r, t, fails})
				f(move{moveContact, r, t, lost})
			}
		}
	}
	for t := range uint8(m.Targets) {
		if s.left[people] > 0 {
			f(move{moveHold, 0, t, 0})
			f(move{moveLift, 0, t, 0})
			f(move{moveEdit, 0, t, 0})
		}
		if s.left[world] > 0 {
			for _, k := range []uint8{moveTouch, moveRecover, moveBlind, moveSee, moveAgain} {
				f(move{k, 0, t, 0})
			}
		}
	}
	if s.left[people] > 0 {
		f(move{moveKill, 0, 0, 0})
		f(move{moveUnkill, 0, 0, 0})
	}
}

// calm moves cost nothing and need no luck.
func (v move) calm() bool {
	switch v.kind {
	case moveContact, moveArrive:
		return v.variant == plain
	case moveTick, moveStray, moveLoad, moveNotice, moveAcquire, moveTime:
		return true
	}
	return false
}

// make makes the move, or reports that it is not possible.
func (x *run) make(v move) bool {
	switch v.kind {
	case moveContact:
		return x.contact(v.a, v.b, v.variant)
	case moveTick:
		return x.tick(v.a, v.b)
	case moveStray:
		return x.orphans(v.a, v.b)
	case moveLoad:
		return x.load(v.a)
	case moveArrive:
		return x.arrive(v.a, v.variant)
	case moveTimeout:
		return x.timeout(v.a)
	case moveDeny:
		return x.deny(v.a)
	case moveDouble:
		return x.double(v.a)
	case moveNotice:
		return x.notice(v.a)
	case moveAcquire:
		return x.acquire(v.a)
	case moveTime:
		return x.time()
	case moveCrash:
		return x.crash(v.a)
	case moveLose:
		return x.lose(v.a)
	}
	return x.outside(v)
}
