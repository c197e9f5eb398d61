package outbox

import (
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
)

// fallbackAfter is how long a receiver may fail to take an incident until its
// fallback is told. With an attempt's own time it keeps within a minute (INV-42).
const fallbackAfter = 30 * time.Second

// standsBy says whether a fallback leaves an incident alone: for good, because the
// other receiver took it or does not want it, or for a while, because that one may
// still take it. What the fallback was once told of, it hears to the end.
func (x *Outbox) standsBy(n notify.Notifier, i incident.Incident, prev incident.Receipt) (wait time.Duration, leave bool) {
	other := notify.StandsInFor(n)
	if other == "" || notify.Told(prev) {
		return 0, false
	}
	since, leave := x.waitsSince(other, i)
	if leave || since.IsZero() {
		return 0, leave
	}
	return max(0, fallbackAfter-time.Since(since)), false
}

// waitsSince is from when on a receiver fails to take an incident; zero: it has
// refused it, or is not there. leave: it took it, or does not want it. The time of
// one that is a fallback itself begins when its turn does.
func (x *Outbox) waitsSince(name string, i incident.Incident) (since time.Time, leave bool) {
	x.mu.Lock()
	l := x.lanes[name]
	x.mu.Unlock()
	if l == nil {
		return time.Time{}, false
	}
	l.mu.Lock()
	since, waits := l.since[i.ID]
	refused, n, prev := l.refused[i.ID], l.notifier, l.newest(i)
	l.mu.Unlock()
	if !waits {
		return time.Time{}, !refused
	}
	if _, named := x.turn(name, i, prev); named {
		return since, false // it is to be told itself
	}
	if other := notify.StandsInFor(n); other != "" && !notify.Told(prev) {
		first, leave := x.waitsSince(other, i)
		if leave {
			return time.Time{}, true
		}
		if turn := first.Add(fallbackAfter); !first.IsZero() && turn.After(since) {
			return turn, false
		}
	}
	return since, false
}

// hurry lets the fallbacks of a receiver look at an incident now: it was refused there.
func (x *Outbox) hurry(name, id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, l := range x.lanes {
		l.mu.Lock()
		if notify.StandsInFor(l.notifier) == name && l.fails[id] == 0 {
			delete(l.notFor, id)
			l.poke()
		}
		l.mu.Unlock()
	}
}

// later puts an incident off.
func (l *lane) later(id string, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notFor[id] = time.Now().Add(d)
}
