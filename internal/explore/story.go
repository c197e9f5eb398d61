package explore

import (
	"fmt"
	"strings"

	"watchdog.io/watchdog/pkg/incident"
)

// view says how a target looks to anybody who looks now.
func (x *run) view(t uint8) string {
	o := x.s.tgt[t]
	v := map[uint8]string{fine: "OK", breach: "in breach", nodata: "NO_DATA", clearing: "OK, clearing"}[o.condition]
	if o.hold > 0 {
		v += ", on hold"
	}
	return v
}

// condition says under which precondition a write is sent.
func (x *run) condition(rv uint8) string {
	if x.Guards.NoPrecondition {
		return ", without precondition"
	}
	return fmt.Sprintf(", only if the resourceVersion is still %d", rv)
}

// phrase says how an incident stands.
func (x *run) phrase(id uint32) string {
	if id == 0 {
		return "none"
	}
	k := x.incidents.get(id)
	p := string(phases[k.phase])
	if k.op.id != 0 {
		p += fmt.Sprintf(", op %d %s", k.op.id, opPhases[k.op.phase])
		if opPhases[k.op.phase] == incident.Finished {
			p += " (" + string(results[k.op.verdict]) + ")"
		}
	}
	if k.paged {
		p += ", paged"
	}
	return p
}

func (x *run) held(r uint8) string {
	var all []string
	for t := range x.Targets {
		if i := x.s.rep[r].task[t].inc; i != 0 {
			all = append(all, targetNames[t]+": "+x.phrase(i))
		}
	}
	if len(all) == 0 {
		return ": none is open"
	}
	return ": " + strings.Join(all, "; ")
}

// story tells the moves from the start in plain English.
func (m *machine) story(path []move) []string {
	s := m.start()
	x := &run{machine: m, names: [maxReplicas]uint8{0, 1, 2}}
	lines := []string{fmt.Sprintf("At the start replica A leads, %s is in trouble, and no incident is open.",
		targetNames[0])}
	if m.Targets > 1 {
		lines[0] = fmt.Sprintf("At the start replica A leads, %s and %s are in trouble, and no incident is open.",
			targetNames[0], targetNames[1])
	}
	for _, v := range path {
		var said []string
		x.s, x.told = s, func(t string) { said = append(said, strings.ToUpper(t[:1])+t[1:]) }
		if !x.make(v) {
			panic("explore: a story cannot be told again")
		}
		where := m.tidy(&x.s)
		names := x.names
		for r, to := range where {
			names[to] = x.names[r]
		}
		x.names = names
		s = x.s
		lines = append(lines, strings.Join(said, " "))
	}
	return lines
}

// start: replica 0 leads with nothing in memory or store, every target is in breach.
func (m *machine) start() state {
	s := state{holder: 1}
	s.rep[0].leads = 1
	for t := range m.Targets {
		s.tgt[t].condition, s.tgt[t].rv = breach, 1
	}
	b := m.Budget
	s.left = [5]uint8{uint8(b.Crashes), uint8(b.Leases), uint8(b.Faults), uint8(b.People), uint8(b.World)}
	return s
}
