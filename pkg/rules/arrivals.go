package rules

import (
	"slices"
	"sync"
)

// arrivals are the targets with new samples that are to be judged before the next round.
// They have a lock of their own: who appends a sample does not wait for who judges.
type arrivals struct {
	mu      sync.Mutex
	targets map[string]struct{}
	// metrics are those that the thresholds ask for; any: one of them asks for no fixed name.
	metrics map[string]struct{}
	any     bool
	// active is how many alerts of a target are pending or fire.
	active map[string]int
}

// add takes a target with new samples; changed are the metrics whose value is another one
// than before. It reports whether the target is to be judged before the next round: while
// all its alerts are inactive, the values that were judged already say nothing new.
func (a *arrivals) add(target string, changed []string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	wanted := a.any && len(changed) > 0 || a.active[target] > 0 || slices.ContainsFunc(changed, func(name string) bool {
		_, asked := a.metrics[name]
		return asked
	})
	if wanted {
		a.targets[target] = struct{}{}
	}
	return wanted
}

// take empties the list.
func (a *arrivals) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	targets := news(a.targets).list()
	clear(a.targets)
	return targets
}

// watch replaces what the thresholds ask for; no alert is active.
func (a *arrivals) watch(thresholds []*compiled) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.metrics, a.any, a.active = map[string]struct{}{}, false, map[string]int{}
	for _, c := range thresholds {
		if c.Source == Local {
			for _, name := range c.metrics {
				a.metrics[name] = struct{}{}
			}
			a.any = a.any || c.anyMetric
		}
	}
}

// moved counts an alert of a target that becomes active, or is so no more.
func (a *arrivals) moved(target string, active bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if active {
		a.active[target]++
	} else if a.active[target]--; a.active[target] == 0 {
		delete(a.active, target)
	}
}
