package sim

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Habits are what people and their tools do in a world, each on or off for the whole
// run. They are drawn from a source of their own: a seed's other draws stay as they were.
type Habits struct {
	Pager       bool // a paging service rings people, and they acknowledge
	Connections bool // the connection to it dies without a sign, now and then
	Forgotten   bool // a hold or the kill switch is set, and nobody lifts it
}

// habitsOf draws the habits of a scenario, and adds to it what happens because of them.
func habitsOf(s *Scenario) Habits {
	d := &draw{rand.New(rand.NewPCG(s.Seed, 3))}
	h := Habits{Pager: d.chance(0.3), Forgotten: d.chance(0.1)}
	h.Connections = h.Pager && d.chance(0.5)
	if h.Connections {
		for at := d.between(0, 40*time.Minute); at < s.Length; at += d.between(5*time.Minute, time.Hour) {
			s.Happens = append(s.Happens, Happening{At: at, What: "connection dies"})
		}
	}
	if h.Forgotten {
		x := Happening{At: d.between(0, s.Length), What: "hold", Target: s.Targets[d.IntN(len(s.Targets))].Name}
		if d.chance(0.3) {
			x.What, x.Target = "kill switch", ""
		}
		s.Happens = append(s.Happens, x)
	}
	slices.SortStableFunc(s.Happens, func(a, b Happening) int { return int(a.At - b.At) })
	return h
}

// habits gives a world what its habits need.
func (w *World) habits() {
	if w.scenario.Habits.Pager {
		w.pager = newPager(w)
	}
}
