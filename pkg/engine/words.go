package engine

import (
	"context"
	"encoding/json"
	"time"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/incident"
)

// listen takes over what people have said of incidents since, as far as the store has
// heard of it, and wakes the incidents that it is news for.
func (e *Engine) listen(ctx context.Context, ledger incident.Ledger) {
	news := e.o.Store.ChangedWords(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.killSwitch = ledger.Hold
	for id, w := range news {
		e.responderInput[id] = w
	}
	for name, en := range e.open() {
		w := e.responderInput[en.inc.ID]
		waits := en.inc.Asked != nil && len(w.Approved[en.inc.Asked.Op]) > 0
		if e.queue != nil && (waits || en.inc.News(w)) {
			e.queue.Add(name)
		}
	}
	for id, en := range e.closed {
		// A hold of the status page may outlast its incident.
		if e.queue != nil && e.responderInput[id].Public.At.After(en.inc.Public.At) {
			e.queue.Add(closedKey + id)
		}
	}
}

// Hold returns the kill switch as it was last read, if it is set.
func (e *Engine) Hold() *incident.Attribution {
	now := e.o.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	return incident.Ledger{Hold: e.killSwitch}.Held(now)
}

// WordsChanged wakes what takes over people's words. It never blocks.
func (e *Engine) WordsChanged() { e.Wake(leasesKey) }

// words returns what people have said of the incident, for a Step: answers to plans are
// for a guard, which reads them itself. When a deadline or the end of a phase has come
// the store is asked first: nobody is told that no one answered while the answer stands
// there.
func (e *Engine) words(ctx context.Context, inc incident.Incident) incident.Words {
	due := func(at time.Time) bool { return !at.IsZero() && !e.o.Now().Before(at) }
	if inc.ID != "" && (due(inc.AckBy) || due(inc.PhaseBy)) {
		if w, err := e.o.Store.Words(ctx, inc.ID); err == nil {
			e.mu.Lock()
			e.responderInput[inc.ID] = w
			e.mu.Unlock()
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	w := e.responderInput[inc.ID]
	w.Approved = nil
	return w
}

// remember keeps what was read with the incidents; e.mu is held.
func (e *Engine) remember(s incident.Stored) { e.responderInput[s.Incident.ID] = s.Words }

// saidBy returns the record of what a person said by command line: no replica heard it,
// so it is recorded when the leader takes it over. False: the entry is no such word.
func (e *Engine) saidBy(inc incident.Incident, t incident.Entry) (audit.Record, bool) {
	e.mu.Lock()
	w := e.responderInput[inc.ID]
	e.mu.Unlock()
	by, ok := inc.SaidBy(t, w)
	if !ok || by.Source != "" {
		return audit.Record{}, false
	}
	data, err := json.Marshal(map[string]string{"source": "cli", "action": string(t.Kind), "result": "applied",
		"reason": by.Reason})
	if err != nil {
		data = nil
	}
	return audit.Record{At: t.At, Kind: "responder", Incident: inc.ID, Target: inc.Target.String(), Actor: by.By,
		Text: t.Text, Data: data}, true
}
