package outbox

import (
	"slices"
)

// Yield forgets what waits, but for the incidents that the caller says are this
// replica's own: another replica leads and tells all of it. What is left here would be
// told one day in the state that it once had, as a page that nobody ever resolves.
func (x *Outbox) Yield(own func(id string) bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, l := range x.lanes {
		l.yield(own)
	}
}

func (l *lane) yield(own func(id string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range slices.Clone(l.order) {
		if own(id) {
			continue
		}
		l.order = slices.DeleteFunc(l.order, func(o string) bool { return o == id })
		l.forget(id)
		l.out.metrics.sent.WithLabelValues(l.name, "yielded").Inc()
	}
	l.out.metrics.queue.WithLabelValues(l.name).Set(float64(len(l.order) - len(l.own)))
	l.poke() // the disk forgets it, too
}
