package sim

import (
	"fmt"
	"math"
	"time"

	"watchdog.io/watchdog/pkg/probes"
)

// feeling is what users felt at a moment.
type feeling struct {
	at      time.Time
	errors  float64
	latency time.Duration
}

// remember keeps what users felt for as long as the application's own numbers look back.
func (a *app) remember(errors float64, latency time.Duration) {
	now := a.w.clock.now
	if n := len(a.past); n == 0 || a.past[n-1].at.Before(now) {
		a.past = append(a.past, feeling{now, errors, latency})
	}
	k := 0
	for k < len(a.past) && now.Sub(a.past[k].at) > window {
		k++
	}
	a.past = a.past[k:]
}

// pastMinute is what the application says of its users: the mean of the errors over
// its window, and of the latency what one request in twenty felt.
func (a *app) pastMinute() feeling {
	var f feeling
	for _, x := range a.past {
		f.errors += x.errors / float64(len(a.past))
		f.latency = max(f.latency, x.latency)
	}
	return f
}

// usage is what the containers use: a leak may be in one pod alone.
func (a *app) usage() []probes.Usage {
	var all []probes.Usage
	cpu, memory := a.value("cpu"), a.value("memory")
	for k := range max(1, a.replicas) {
		u := probes.Usage{Pod: fmt.Sprintf("%s-%d", a.name, k), Container: "app", CPU: cpu, Memory: memory}
		if k > 0 && a.onePod && a.on(Leak) {
			u.Memory = math.Min(memory, 0.31)
		}
		all = append(all, u)
	}
	return all
}
