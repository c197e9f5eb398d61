package notify

import (
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Fallback is a receiver that is told only of what another one could not be told.
type Fallback interface {
	Notifier
	// FallbackFor names the other receiver; "": it is told of everything.
	FallbackFor() string
}

// fallbackAfter is how long a receiver may fail to take an incident until its
// fallback is told. With an attempt's own time it keeps within a minute (INV-42).
const fallbackAfter = 30 * time.Second

// standsBy says whether a fallback leaves an incident alone: for good, because the
// other receiver took it or does not want it, or for a while, because that one may
// still take it. What the fallback was once told of, it hears to the end.
func (x *Outbox) standsBy(n Notifier, i incident.Incident, prev incident.Receipt) (wait time.Duration, leave bool) {
	f, ok := n.(Fallback)
	if !ok || f.FallbackFor() == "" || prev.Ref != "" || prev.State != "" {
		return 0, false
	}
	x.mu.Lock()
	other := x.lanes[f.FallbackFor()]
	x.mu.Unlock()
	if other == nil {
		return 0, false // nobody to stand by for
	}
	other.mu.Lock()
	defer other.mu.Unlock()
	since, waits := other.since[i.ID]
	if !waits {
		return 0, !other.refused[i.ID]
	}
	return max(0, fallbackAfter-time.Since(since)), false
}

// later puts an incident off.
func (l *lane) later(id string, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notFor[id] = time.Now().Add(d)
}
