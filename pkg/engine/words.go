package engine

import (
	"context"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// heard takes over what people say in the ledger, and wakes the incidents that it
// is news for.
func (e *Engine) heard(l incident.Ledger) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.responderInput = incident.Ledger{Hold: l.Hold, Acked: l.Acked, Graded: l.Graded, Notes: l.Notes, Public: l.Public, Approved: l.Approved}
	for name, en := range e.open() {
		waits := en.inc.Asked != nil && len(l.Approved[en.inc.Asked.Op]) > 0
		if e.queue != nil && (waits || en.inc.News(l.Words(en.inc.ID))) {
			e.queue.Add(name)
		}
	}
	for id, en := range e.closed {
		// A hold of the status page may outlast its incident.
		if e.queue != nil && l.Public[id].At.After(en.inc.Public.At) {
			e.queue.Add(closedKey + id)
		}
	}
}

// Hold returns the kill switch as it was last read, if it is set.
func (e *Engine) Hold() *incident.Attribution {
	now := e.o.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.responderInput.Held(now)
}

// words returns what people have said of the incident. When a deadline or the end of a
// phase has come the ledger is asked first: nobody is told that no one answered while the answer
// stands there.
func (e *Engine) words(ctx context.Context, inc incident.Incident) incident.Words {
	due := func(at time.Time) bool { return !at.IsZero() && !e.o.Now().Before(at) }
	if due(inc.AckBy) || due(inc.PhaseBy) {
		if ledger, _, err := e.o.Store.Ledger(ctx); err == nil {
			e.heard(ledger)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.responderInput.Words(inc.ID)
}
