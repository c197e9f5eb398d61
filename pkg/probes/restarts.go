package probes

import (
	"maps"
	"sync"
)

// restartCounter counts the restarts of a workload's containers. The sum over the
// pods that exist falls when pods are replaced, and `increase` takes a fall for a
// counter that began anew: a deploy would read as dozens of restarts.
type restartCounter struct {
	mu    sync.Mutex
	pods  map[string]int // the last count of each pod, of some that are gone too
	total int
}

// keepGone is how many more pods than exist are remembered: one that is missing in
// one check and back in the next did not restart.
const keepGone = 200

func (c *restartCounter) count(w Workload) float64 {
	now := w.PodRestarts
	if now == nil {
		now = map[string]int{"": w.Restarts}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pods == nil {
		c.pods = maps.Clone(now)
		for _, n := range now {
			c.total += n
		}
		return float64(c.total)
	}
	for pod, n := range now {
		c.total += max(0, n-c.pods[pod])
		c.pods[pod] = n
	}
	if len(c.pods) > len(now)+keepGone {
		c.pods = maps.Clone(now)
	}
	return float64(c.total)
}
