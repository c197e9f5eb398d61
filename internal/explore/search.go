package explore

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Result of an exploration.
type Result struct {
	Name   string
	States int
	Moves  int // how many moves were made
	Depth  int
	Took   time.Duration
	// Complete is false if Limit ended the exploration.
	Complete bool
	// Bounded counts moves left out because a state cannot hold what they make.
	Bounded int
	// Broken is the invariant that was broken, and Story how, as briefly as possible.
	Broken string
	Story  []string
}

// String is the line that a run prints.
func (r Result) String() string {
	s := fmt.Sprintf("%-42s %9d states %10d moves, depth %3d, %5.1fs, %7.0f states/s", r.Name, r.States, r.Moves,
		r.Depth, r.Took.Seconds(), float64(r.States)/r.Took.Seconds())
	if !r.Complete {
		s += ", cut off"
	}
	if r.Bounded > 0 {
		s += fmt.Sprintf(", %d moves left out", r.Bounded)
	}
	if r.Broken != "" {
		s += ", BROKEN: " + r.Broken
	}
	return s
}

// Tell writes the story as a numbered list.
func (r Result) Tell() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", r.Name, strings.Repeat("-", len(r.Name)))
	for n, line := range r.Story {
		fmt.Fprintf(&b, "%3d. %s\n", n, line)
	}
	fmt.Fprintf(&b, "     => %s\n", r.Broken)
	return b.String()
}

// node is what is kept of a state that was visited: how it was reached first, and
// which state follows if nothing goes wrong any more.
type node struct {
	parent, move uint32
	calm         uint32
}

const (
	undecided = 1<<32 - 1
	block     = 1 << 15 // parents expanded between two merges
)

// found is a state that a worker reached and that the table did not know.
type found struct {
	digest digest
	state  state
	parent uint32
	move   uint32
	calm   bool
	broken string
}

type search struct {
	Config
	machines []*machine
	seen     *table
	nodes    []node
	settled  []uint64 // bit set
	res      Result
	wrong    uint32 // the state after which the invariant is broken
	last     move
}

// Run explores. It ends at the first broken invariant, which is then one with a
// shortest story.
func Run(c Config) Result {
	began := time.Now()
	c.Workers = max(1, c.Workers)
	x := &search{Config: c, seen: newTable(), res: Result{Name: c.Name, Complete: true}}
	sh := newShared()
	for range c.Workers {
		x.machines = append(x.machines, newMachine(c, sh))
	}
	m := x.machines[0]
	start := m.start()
	m.tidy(&start)
	x.add(found{digest: digestOf(m.encode(&start, nil)), state: start})
	layer := []state{start}
	for first := uint32(0); len(layer) > 0 && x.res.Broken == ""; x.res.Depth++ {
		if c.Limit > 0 && len(x.nodes) >= c.Limit {
			x.res.Complete = false
			break
		}
		next := make([]state, 0, len(layer))
		for at := 0; at < len(layer) && x.res.Broken == ""; at += block {
			next = x.expand(layer[at:min(at+block, len(layer))], first+uint32(at), next)
		}
		first += uint32(len(layer))
		layer = next
	}
	if x.res.Broken == "" && x.res.Complete {
		x.stuck()
	}
	x.res.States, x.res.Took = len(x.nodes), time.Since(began)
	return x.res
}

// expand makes all moves from some states of a layer and merges what is new, in
// an order that does not depend on the workers.
func (x *search) expand(layer []state, first uint32, next []state) []state {
	parts := make([][]found, len(x.machines))
	moves := make([]int, len(x.machines))
	bounded := make([]int, len(x.machines))
	size := (len(layer) + len(x.machines) - 1) / len(x.machines)
	var wg sync.WaitGroup
	for w, m := range x.machines {
		lo, hi := min(w*size, len(layer)), min((w+1)*size, len(layer))
		wg.Go(func() {
			buf := make([]byte, 0, 512)
			for i := lo; i < hi; i++ {
				parts[w], buf = x.successors(m, &layer[i], first+uint32(i), parts[w], buf, &moves[w], &bounded[w])
			}
		})
	}
	wg.Wait()
	for w, m := range x.machines {
		x.res.Moves += moves[w]
		x.res.Bounded += bounded[w]
		for i := range parts[w] {
			f := &parts[w][i]
			if f.broken != "" {
				x.tell(f.broken, f.parent, moveOf(f.move))
				return next
			}
			id, known := x.seen.find(f.digest)
			if !known {
				id = x.add(*f)
				if m.settled(&f.state) {
					x.mark(id)
				}
				next = append(next, f.state)
			}
			if f.calm {
				x.nodes[f.parent].calm = id
			}
		}
	}
	return next
}

func (x *search) add(f found) uint32 {
	id := uint32(len(x.nodes))
	x.nodes = append(x.nodes, node{f.parent, f.move, undecided})
	x.seen.add(f.digest, id)
	if int(id)/64 >= len(x.settled) {
		x.settled = append(x.settled, 0)
	}
	return id
}

func (x *search) mark(id uint32) { x.settled[id/64] |= 1 << (id % 64) }

func (x *search) marked(id uint32) bool { return x.settled[id/64]>>(id%64)&1 > 0 }

// successors makes every move from s. While it runs nobody writes to the table,
// so what is known already is left out at once. The first calm move that changes
// anything is the state's calm one.
func (x *search) successors(m *machine, s *state, id uint32, out []found, buf []byte, made,
	bounded *int) ([]found, []byte) {
	calm := false
	r := &run{machine: m}
	own := digestOf(m.encode(s, buf[:0]))
	m.moves(s, func(v move) {
		r.s, r.broken, r.full = *s, "", false
		if !r.make(v) {
			*bounded += int(flag(r.full))
			return
		}
		*made++
		if r.broken != "" {
			out = append(out, found{parent: id, move: v.code(), broken: r.broken})
			return
		}
		m.tidy(&r.s)
		buf = m.encode(&r.s, buf[:0])
		d := digestOf(buf)
		first := !calm && v.calm() && d != own
		calm = calm || first
		if to, known := x.seen.find(d); known {
			if first {
				x.nodes[id].calm = to
			}
			return
		}
		out = append(out, found{digest: d, state: r.s, parent: id, move: v.code(), calm: first})
	})
	if !calm {
		x.nodes[id].calm = id
	}
	return out, buf
}

// stuck follows the calm moves from every state: each chain ends in a circle, and
// a circle without a state in which all is well or in a person's hands is a trap.
func (x *search) stuck() {
	good := make([]uint8, len(x.nodes)) // 0 unknown, 1 on the present chain, 2 good
	var chain []uint32
	for from := range uint32(len(x.nodes)) {
		chain = chain[:0]
		at := from
		for good[at] == 0 {
			good[at] = 1
			chain = append(chain, at)
			at = x.nodes[at].calm
		}
		if good[at] == 1 {
			circle := chain[slices.Index(chain, at):]
			if !slices.ContainsFunc(circle, x.marked) {
				x.tell("INV-40: stuck: nothing goes wrong any more, and the incident is neither closed nor in a "+
					"person's hands", from, move{})
				return
			}
		}
		for _, c := range chain {
			good[c] = 2
		}
	}
}

// tell finds how the state was reached and tells it; for a trap also what then
// happens without end.
func (x *search) tell(broken string, id uint32, last move) {
	x.res.Broken = broken
	var path []move
	for at := id; at != 0; at = x.nodes[at].parent {
		path = append(path, moveOf(x.nodes[at].move))
	}
	slices.Reverse(path)
	if last.kind != 0 {
		path = append(path, last)
	}
	x.res.Story = x.machines[0].story(path)
	if last.kind != 0 {
		return
	}
	x.res.Story = append(x.res.Story, "From here on nothing goes wrong any more:")
	var calm []move
	for at, n := id, 0; n < 40 && x.nodes[at].calm != at; n++ {
		to := x.nodes[at].calm
		calm = append(calm, x.moveBetween(append(path, calm...), to))
		at = to
	}
	all := x.machines[0].story(append(path, calm...))
	x.res.Story = append(x.res.Story, all[len(path)+1:]...)
}

// moveBetween finds the calm move that leads from the end of the path to a state.
func (x *search) moveBetween(path []move, to uint32) (chosen move) {
	m := x.machines[0]
	s := m.replay(path)
	m.moves(&s, func(v move) {
		r := &run{machine: m, s: s}
		if chosen.kind != 0 || !v.calm() || !r.make(v) {
			return
		}
		m.tidy(&r.s)
		if id, known := x.seen.find(digestOf(m.encode(&r.s, nil))); known && id == to {
			chosen = v
		}
	})
	return chosen
}

func (m *machine) replay(path []move) state {
	s := m.start()
	m.tidy(&s)
	for _, v := range path {
		r := &run{machine: m, s: s}
		if !r.make(v) {
			panic("explore: a path cannot be walked again")
		}
		m.tidy(&r.s)
		s = r.s
	}
	return s
}
