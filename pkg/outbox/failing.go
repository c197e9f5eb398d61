package outbox

import (
	"time"
)

// stuckAfter is how long a message that may be sent can lie until its receiver
// counts as failing although no attempt has ended.
const stuckAfter = time.Minute

// Failing returns the receivers that do not take what they are told, each with since
// when. One that has nothing to be told is not among them.
func (x *Outbox) Failing() map[string]time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := map[string]time.Time{}
	for name, l := range x.lanes {
		if since := l.failing(time.Now()); !since.IsZero() {
			all[name] = since
		}
	}
	return all
}

// failing is since when the oldest of what could not be told waits, or since when
// what was told is refused; zero: the receiver takes what it is told.
func (l *lane) failing(now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	var since, took time.Time
	earlier := func(t time.Time) {
		if since.IsZero() || t.Before(since) {
			since = t
		}
	}
	for _, id := range l.order {
		at := l.since[id]
		if l.fails[id] > 0 || !l.notFor[id].After(now) && now.Sub(at) > stuckAfter {
			earlier(at)
		}
	}
	for _, r := range l.receipts {
		if r.Error == "" && r.At.After(took) {
			took = r.At
		}
	}
	for id := range l.refused {
		if r := l.receipts[id]; r.At.After(took) {
			earlier(r.At)
		}
	}
	return since
}
