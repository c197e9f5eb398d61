package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
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
	e.wakeForWords()
}

// wakeForWords wakes the incidents that what people have said is news for; e.mu is held.
func (e *Engine) wakeForWords() {
	if e.queue == nil {
		return
	}
	now := e.o.Now()
	for name, en := range e.open() {
		w := e.responderInput[en.inc.ID]
		waits := en.inc.Asked != nil && len(w.Approved[en.inc.Asked.Op]) > 0
		if waits || en.inc.News(w, now) {
			e.queue.Add(name)
		}
	}
	for id, en := range e.closed {
		// A hold of the status page may outlast its incident, and a word may have come just before its end.
		if en.inc.News(e.responderInput[id], now) {
			e.queue.Add(closedKey + id)
		}
	}
}

// poll takes over the words that were read with the incidents: the watch may not tell of them.
func (e *Engine) poll(stored []incident.Stored) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range stored {
		t := e.targets[s.Incident.Target.Name]
		if e.closed[s.Incident.ID] != nil || t != nil && t.open != nil && t.open.inc.ID == s.Incident.ID {
			e.remember(s)
		}
	}
	e.wakeForWords()
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

// said is what people have said of an incident, as far as it is known here.
func (e *Engine) said(id string) incident.Words {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.responderInput[id]
}

// saidBy returns the record of a person's word that the leader takes over. A replica that
// heard it has recorded that, too; who writes on the incident themselves may claim any
// source, so that is no reason to leave it out. False: the entry is no such word.
func (e *Engine) saidBy(inc incident.Incident, t incident.Entry) (audit.Record, bool) {
	by, ok := inc.SaidBy(t, e.said(inc.ID))
	if !ok {
		return audit.Record{}, false
	}
	return takenOver(inc, t.At, string(t.Kind), t.Text, by), true
}

func takenOver(inc incident.Incident, at time.Time, action, text string, by incident.Attribution) audit.Record {
	data, err := json.Marshal(map[string]string{
		"source": cmp.Or(by.Source, "cli"), "action": action, "result": "taken over", "reason": by.Reason,
	})
	if err != nil {
		data = nil
	}
	return audit.Record{
		At: at, Kind: "responder", Incident: inc.ID, Target: inc.Target.String(), Actor: by.By, Text: text, Data: data,
	}
}

// answers reads what people have answered to the request of an op. Each answer is on record before anything
// follows from it; a new leader records again those that stand there.
func (e *Engine) answers(ctx context.Context, c *claim, inc incident.Incident, op string) (incident.Words, error) {
	w, err := e.o.Store.Words(ctx, inc.ID)
	if err != nil {
		return w, fmt.Errorf("read the approvals of incident %s: %w", inc.ID, err)
	}
	for _, who := range slices.Sorted(maps.Keys(w.Approved[op])) {
		a := w.Approved[op][who]
		id := fmt.Sprintf("%s/%s/%s/%v/%d", op, who, a.Plan, a.Denied, a.At.UnixNano())
		if c.entry.answers[id] {
			continue
		}
		a.Attribution = a.Bounded()
		a.By = incident.Name(who)
		action := map[bool]string{true: "deny", false: "approve"}[a.Denied]
		r := takenOver(inc, e.o.Now(), action, a.String(), a.Attribution)
		if r.Op = op; len(a.Plan) <= incident.MaxKey {
			r.Plan = a.Plan
		}
		if err := e.o.Audit(r); err != nil {
			return w, fmt.Errorf("record the answer of %s to incident %s: %w", a.By, inc.ID, err)
		}
		if c.entry.answers == nil {
			c.entry.answers = map[string]bool{}
		}
		c.entry.answers[id] = true
	}
	return w, nil
}
