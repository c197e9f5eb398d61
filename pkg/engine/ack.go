package engine

import (
	"context"

	"watchdog.io/watchdog/pkg/incident"
)

// heard takes over who took which incident on, and wakes the incidents that wait
// for that word.
func (e *Engine) heard(l incident.Ledger) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.acks = l.Acked
	e.published(l.Public)
	for name, en := range e.live {
		if m, ok := l.Acked[en.inc.ID]; ok && !m.At.IsZero() && en.inc.Acked.At.IsZero() {
			e.queue.Add(name)
		}
	}
}

// acked returns the word of the person who took the incident on. When a deadline
// has come the ledger is asked first: nobody is told that no one answered while
// the answer stands there.
func (e *Engine) acked(ctx context.Context, inc incident.Incident) incident.Mark {
	if !inc.AckBy.IsZero() && !e.o.Now().Before(inc.AckBy) {
		if ledger, _, err := e.o.Store.Ledger(ctx); err == nil {
			e.heard(ledger)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.acks[inc.ID]
}
