package probes

import "fmt"

// NofM says how many checks it takes to believe: Failures of the last Window
// make a probe bad, Successes in a row make it good again.
type NofM struct {
	Failures  int // default 3
	Window    int // default 5
	Successes int // default 3
}

func (n NofM) withDefaults() NofM {
	if n.Window == 0 {
		n.Window = max(5, n.Failures)
	}
	if n.Failures == 0 {
		n.Failures = min(3, n.Window)
	}
	if n.Successes == 0 {
		n.Successes = 3
	}
	return n
}

const maxLooks = 1000

func (n NofM) validate() error {
	if n.Failures < 1 || n.Window < n.Failures || n.Successes < 1 || n.Window > maxLooks || n.Successes > maxLooks {
		return fmt.Errorf("invalid failures %d, window %d or successes %d; use 1 ≤ failures ≤ window ≤ %d and 1 ≤ "+
			"successes ≤ %d",
			n.Failures, n.Window, n.Successes, maxLooks, maxLooks)
	}
	return nil
}

// Damper smooths checks by N-of-M. It starts Unknown. An unknown check takes its
// place in the window but counts neither way: it is no failure, and it neither
// lengthens nor breaks a row of successes. A window full of unknown checks makes
// the state Unknown.
type Damper struct {
	rule      NofM
	state     State
	window    []State // the last checks, oldest first, at most rule.Window
	successes int     // since the last failure
}

// NewDamper returns a Damper; zero numbers take their defaults.
func NewDamper(rule NofM) *Damper { return &Damper{rule: rule.withDefaults()} }

// State returns the damped state as of the last check.
func (d *Damper) State() State { return d.state }

// Add takes one check and returns the damped state that follows.
func (d *Damper) Add(look State) State {
	if len(d.window) == d.rule.Window {
		d.window = append(d.window[:0], d.window[1:]...)
	}
	d.window = append(d.window, look)
	switch look {
	case OK:
		d.successes++
		if d.state != OK && d.successes >= d.rule.Successes {
			d.state = OK
			// Failures from before the recovery must not count again after it.
			d.window = append(d.window[:0], look)
		}
	case Bad:
		d.successes = 0
		if d.count(Bad) >= d.rule.Failures {
			d.state = Bad
		}
	default:
		if d.count(Unknown) == d.rule.Window {
			d.state, d.successes = Unknown, 0
		}
	}
	return d.state
}

func (d *Damper) count(state State) int {
	n := 0
	for _, look := range d.window {
		if look == state {
			n++
		}
	}
	return n
}
