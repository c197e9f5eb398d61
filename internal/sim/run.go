package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// calm is how long a world goes on without faults after the scenario, so that
// what was begun can end.
const calm = 30 * time.Minute

// Result is what became of one run.
type Result struct {
	Scenario   *Scenario
	Score      Score
	Violations []Violation
}

// Run plays a scenario. trace, if not nil, hears everything that happens.
func Run(s *Scenario, trace func(at time.Duration, text string)) Result {
	w := play(s, trace)
	return Result{Scenario: s, Score: w.score.Score, Violations: w.oracle.violations}
}

// play plays a scenario to its end and returns the world it leaves.
func play(s *Scenario, trace func(at time.Duration, text string)) *World {
	w := newWorld(s, trace)
	w.run()
	return w
}

// run plays the world's scenario to its end.
func (w *World) run() {
	s := w.scenario
	w.clock.run(w.epoch.Add(s.Length))
	quiet := *s
	quiet.Faults = Faults{}
	w.scenario = &quiet
	w.say("no more faults from here")
	w.clock.run(w.epoch.Add(s.Length + calm))
	w.oracle.end()
	w.score.end()
}

// newWorld is the world of a scenario with everything due that happens in it.
func newWorld(s *Scenario, trace func(at time.Duration, text string)) *World {
	begin := s.Begin
	if begin.IsZero() {
		begin = epoch
	}
	w := &World{scenario: s, epoch: begin, clock: newClock(begin), dice: rand.New(rand.NewPCG(s.Seed, 1)),
		byName: map[string]*app{}, namespaces: map[string]map[string]string{}, lead: -1, records: map[string]*stored{},
		incidents: map[string]*stored{}, words: map[string]said{}, undelivered: map[string]incident.Incident{}}
	if trace != nil {
		w.trace = func(at time.Time, text string) { trace(at.Sub(w.epoch), text) }
	}
	w.oracle, w.score = newOracle(w), newScore(w)
	w.habits()
	for _, t := range s.Targets {
		a := newApp(w, t)
		w.apps = append(w.apps, a)
		w.byName[t.Name] = a
	}
	w.external = newAlertmanager(w)
	w.sources = newSources(w)
	for k := range s.Replicas {
		w.replicas = append(w.replicas, &replica{w: w, id: k})
	}
	for _, r := range w.replicas {
		w.clock.after(w.startsIn(), -1, func() { w.start(r) })
	}
	for _, h := range s.Happens {
		w.clock.after(h.At, -1, func() { w.happen(h) })
	}
	return w
}

// startsIn is when a replica starts: of the past nothing may be missed.
func (w *World) startsIn() time.Duration {
	if w.past() != nil {
		return 0
	}
	return w.span(2 * time.Second)
}

// Story plays a scenario again and returns what happened, a line each.
func Story(s *Scenario) string {
	var b strings.Builder
	Run(s, func(at time.Duration, text string) {
		fmt.Fprintf(&b, "%9s  %s\n", at.Round(100*time.Millisecond), text)
	})
	return b.String()
}

// Shrink drops from a scenario whatever is not needed for it to fail: faults,
// happenings, targets, replicas. fails must say of the scenario given that it does.
//
// It gives up after some hundred tries: a story that is small enough beats the smallest.
func Shrink(s *Scenario, fails func(*Scenario) bool) *Scenario {
	tries := 0
	for {
		smaller := shrinkOnce(s, func(c *Scenario) bool { tries++; return tries < shrinkTries && fails(c) })
		if smaller == nil {
			return s
		}
		s = smaller
	}
}

const shrinkTries = 400

func shrinkOnce(s *Scenario, fails func(*Scenario) bool) *Scenario {
	for _, try := range []func(*Scenario, int) bool{
		func(c *Scenario, k int) bool { return c.Faults.drop(k) },
		func(c *Scenario, k int) bool { return c.withoutSources(k) },
		func(c *Scenario, k int) bool {
			if k > 0 || c.Replicas < 2 {
				return false
			}
			c.Replicas--
			return true
		},
		func(c *Scenario, k int) bool {
			// Halves first, then single ones.
			n := len(c.Happens)
			switch {
			case n > 3 && k == 0:
				c.Happens = c.Happens[n/2:]
			case n > 3 && k == 1:
				c.Happens = c.Happens[:n/2]
			case n > 3 && k-2 < n || n <= 3 && k < n:
				at := k
				if n > 3 {
					at = k - 2
				}
				c.Happens = append(append([]Happening{}, c.Happens[:at]...), c.Happens[at+1:]...)
			default:
				return false
			}
			return true
		},
		func(c *Scenario, k int) bool {
			if k >= len(c.Targets) || len(c.Targets) < 2 {
				return false
			}
			c.Targets = append(append([]Target{}, c.Targets[:k]...), c.Targets[k+1:]...)
			return true
		},
		func(c *Scenario, k int) bool {
			if k >= len(c.External) {
				return false
			}
			c.External = append(append([]ExternalAlert{}, c.External[:k]...), c.External[k+1:]...)
			return true
		},
	} {
		for k := 0; ; k++ {
			c := *s
			if !try(&c, k) {
				break
			}
			if fails(&c) {
				return &c
			}
		}
	}
	return nil
}

// drop sets the k-th fault that is possible to never; false: there is none.
func (f *Faults) drop(k int) bool {
	for _, p := range []*float64{&f.Kill, &f.Stall, &f.Slow, &f.Error, &f.Stale, &f.Lost, &f.Late, &f.Reply, &f.Twice,
		&f.Disk} {
		if *p == 0 {
			continue
		}
		if k == 0 {
			*p = 0
			return true
		}
		k--
	}
	return false
}
