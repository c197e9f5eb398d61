package incident

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// An episode is what a rule's value did around an action, and what a person who
// knows the cause would say of the action. Values are in units of the bound: usual
// is 0.5, trouble is 4, the bound is 1.
type episode struct {
	name  string
	truth OpVerdict
	// before and after give the value at a time from the action on, without noise.
	before, after func(t time.Duration) float64
	noise         float64 // standard deviation, around every value
	usual         float64
	blind         bool // the rule cannot see after the action
	rolled        time.Duration
	ready         int // replicas ready after the action; 3 before
}

func flat(v float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return v }
}

// line goes from one value to another in the given time and stays there.
func line(from, to float64, d time.Duration) func(time.Duration) float64 {
	return func(t time.Duration) float64 { return from + (to-from)*min(1, max(0, t.Seconds()/d.Seconds())) }
}

// families of episodes; each is played with several strengths of noise, as a
// value that is bad above its bound and as one that is bad below it.
func families() []episode {
	spike := func(t time.Duration) float64 {
		if t < 25*time.Second {
			return 9
		}
		return 0.5
	}
	relapse := func(t time.Duration) float64 {
		if t < 22*time.Second {
			return 0.5
		}
		return 4
	}
	never := time.Hour
	return []episode{
		{name: "cured at once", truth: Helped, before: flat(4), after: flat(0.5)},
		{name: "cured within a minute", truth: Helped, before: flat(4), after: line(4, 0.5, time.Minute)},
		{name: "cold caches first, then cured", truth: Helped, before: flat(4), after: spike},
		{name: "cured while it grew", truth: Helped, before: line(2, 6, time.Minute), after: flat(0.5)},
		{name: "nothing changes", truth: NoEffect, before: flat(4), after: flat(4)},
		{name: "better, and still in breach", truth: NoEffect, before: flat(4), after: flat(2.5)},
		{name: "it grew before and goes on growing", truth: NoEffect, before: line(2, 4, time.Minute),
			after: line(4, 9, 2*time.Minute)},
		{name: "a relapse at once", truth: NoEffect, before: flat(4), after: relapse},
		{name: "twice as bad", truth: Harmed, before: flat(4), after: flat(9)},
		{name: "worse and worse", truth: Harmed, before: flat(4), after: line(6, 14, 2*time.Minute)},
		{name: "pods do not come back", truth: Harmed, before: flat(4), after: flat(4), rolled: never, ready: 1},
		{name: "the rule is blind afterwards", truth: Unclear, before: flat(4), after: flat(0.5), blind: true},
		{name: "well, and the rollout hangs", truth: Unclear, before: flat(4), after: flat(0.5), rolled: never,
			ready: 3},
		{name: "it always strays about its bound", truth: Unclear, before: flat(1.05), after: flat(0.75), noise: 0.35,
			usual: 0.8},
	}
}

// play returns the verdict that the core gives, and what the rule last said.
func (ep episode) play(t *testing.T, above bool, dice *rand.Rand) (verdict OpVerdict, last Verdict) {
	t.Helper()
	value := func(f func(time.Duration) float64, at time.Duration) float64 {
		v := f(at) + ep.noise*dice.NormFloat64()
		if !above {
			v = 2 - v // mirrored at the bound
		}
		return v
	}
	a := Alert{Rule: "r", Severity: P1, Firing: true, Bound: 1, Above: above, ActiveAt: t0, Usual: ep.usual,
		Noise:  3 * ep.noise,
		Ladder: []Rung{{Action: "scale", Settle: 10 * time.Second, Verify: 2 * time.Minute}, {Action: "page"}}}
	if !above {
		a.Usual = 2 - ep.usual
	}
	s := &story{t: t, inc: New("i1", target, t0), at: t0.Add(-time.Minute), policy: DefaultPolicy()}
	look := func(f func(time.Duration) float64, blind bool, r Rollout) {
		a.Value = value(f, s.at.Sub(t0))
		a.Verdict = OK
		if above == (a.Value > 1) && a.Value != 1 {
			a.Verdict = Breach
		}
		if blind {
			a.Verdict = NoData
		}
		last = a.Verdict
		s.tick(r, a)
	}
	for ; s.at.Before(t0); s.at = s.at.Add(5 * time.Second) {
		look(func(x time.Duration) float64 { return ep.before(x + time.Minute) }, false, steady)
	}
	a.Value, a.Verdict = value(func(time.Duration) float64 { return max(1.01, ep.before(time.Minute)) }, 0), Breach
	s.tick(steady, a)
	s.run("scale", C2)
	ready := ep.ready
	if ready == 0 {
		ready = 4
	}
	for s.inc.Op != nil && s.inc.Op.Phase == Settling && s.at.Before(t0.Add(time.Hour)) {
		s.at = s.at.Add(5 * time.Second)
		look(ep.after, ep.blind, Rollout{Known: true, Done: s.at.Sub(t0) > ep.rolled, Ready: ready})
	}
	if s.inc.Op == nil || s.inc.Op.Phase != Finished {
		t.Fatalf("%s: no verdict: %+v", ep.name, s.inc.Op)
	}
	return s.inc.Op.Verdict, last
}

// TestVerdictsOfLabelledEpisodes_W2 wants 95 % of the verdicts to be what a person
// who knows the cause would say, and never "helped" while the condition holds.
func TestVerdictsOfLabelledEpisodes_W2(t *testing.T) {
	total, right := 0, 0
	for _, ep := range families() {
		noises := []float64{0, 0.05, 0.1}
		if ep.usual == 0 {
			ep.usual = 0.5
		} else {
			noises = []float64{ep.noise, ep.noise * 1.1, ep.noise * 0.9}
		}
		for _, noise := range noises {
			for _, above := range []bool{true, false} {
				ep.noise = noise
				total++
				name := fmt.Sprintf("%s, noise %.2f, above %v", ep.name, noise, above)
				got, last := ep.play(t, above, rand.New(rand.NewPCG(uint64(total), 7)))
				if got == Helped && last != OK {
					t.Errorf("%s: helped, and the rule says %s", name, last)
				}
				if got == ep.truth {
					right++
				} else {
					t.Logf("%s: %s, the truth is %s", name, got, ep.truth)
				}
			}
		}
	}
	t.Logf("%d of %d verdicts are right (%.1f %%)", right, total, 100*float64(right)/float64(total))
	if total < 60 || float64(right) < 0.95*float64(total) {
		t.Errorf("%d of %d right", right, total)
	}
}
