package outbox

import "time"

// stuckAfter is how long a message that may be sent can lie until its receiver
// counts as failing although no attempt has ended.
const stuckAfter = time.Minute

// Failing returns the receivers that do not accept notifications, each with since
// when. One to which nothing is to be sent is not among them.
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

// failing is since when the oldest notification waits, or since when notifications
// are rejected; zero: the receiver accepts them.
func (l *lane) failing(now time.Time) time.Time {
	var since, took time.Time
	earlier := func(t time.Time) {
		if since.IsZero() || t.Before(since) {
			since = t
		}
	}
	for _, it := range l.queue {
		if it.since.IsZero() {
			continue // it was told, and only its thread was not
		}
		if it.fails > 0 || !it.notBefore.After(now) && now.Sub(it.since) > stuckAfter {
			earlier(it.since)
		}
	}
	for _, it := range l.items {
		if it.receipt.Error == "" && it.receipt.At.After(took) {
			took = it.receipt.At
		}
	}
	for _, it := range l.items {
		if it.refused && it.receipt.At.After(took) {
			earlier(it.receipt.At)
		}
	}
	return since
}
