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

// pollResponders reads the responder actions that the store's watch has received, and wakes
// the incidents with new ones.
func (e *Engine) pollResponders(ctx context.Context, ledger incident.Ledger) {
	news := e.o.Store.ChangedResponderActions(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.killSwitch = ledger.Hold
	for id, w := range news {
		e.responders[id] = w
	}
	e.wakeForResponders()
}

// wakeForResponders wakes the incidents with new responder actions; e.mu is held.
func (e *Engine) wakeForResponders() {
	if e.queue == nil {
		return
	}
	now := e.o.Now()
	for name, en := range e.open() {
		w := e.responders[en.inc.ID]
		waits := en.inc.Asked != nil && len(w.Approved[en.inc.Asked.Op]) > 0
		if waits || en.inc.HasUpdates(w, now) {
			e.queue.Add(name)
		}
	}
	for id, en := range e.closed {
		// A hold of the status page may outlast its incident, and an action may have come just before its end.
		if en.inc.HasUpdates(e.responders[id], now) {
			e.queue.Add(closedKey + id)
		}
	}
}

// readResponders keeps the responder actions that were read with the incidents: the watch may lack them.
func (e *Engine) readResponders(stored []incident.Stored) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range stored {
		t := e.targets[s.Incident.Target.Name]
		if e.closed[s.Incident.ID] != nil || t != nil && t.open != nil && t.open.inc.ID == s.Incident.ID {
			e.remember(s)
		}
	}
	e.wakeForResponders()
}

// Hold returns the kill switch as it was last read, if it is set.
func (e *Engine) Hold() *incident.Attribution {
	now := e.o.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	return incident.Ledger{Hold: e.killSwitch}.Held(now)
}

// RespondersChanged wakes what reads responder actions. It never blocks.
func (e *Engine) RespondersChanged() { e.Wake(leasesKey) }

// responderActions returns the responder actions on the incident for a Step, without approvals:
// their guard reads those itself. At a deadline or the end of a phase the store is read
// first: no acknowledgement that is stored is reported as missing.
func (e *Engine) responderActions(ctx context.Context, inc incident.Incident) incident.ResponderActions {
	due := func(at time.Time) bool { return !at.IsZero() && !e.o.Now().Before(at) }
	if inc.ID != "" && (due(inc.AckBy) || due(inc.PhaseBy)) {
		if w, err := e.o.Store.ResponderActions(ctx, inc.ID); err == nil {
			e.mu.Lock()
			e.responders[inc.ID] = w
			e.mu.Unlock()
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	w := e.responders[inc.ID]
	w.Approved = nil
	return w
}

// remember keeps what was read with the incidents; e.mu is held.
func (e *Engine) remember(s incident.Stored) { e.responders[s.Incident.ID] = s.Responders }

// knownActions are the responder actions on an incident, as last read.
func (e *Engine) knownActions(id string) incident.ResponderActions {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.responders[id]
}

// responderRecord returns the audit record of a responder action that the leader applies. The
// replica that received the action has recorded it, too; but whoever writes to the incident
// directly may claim any source. False: the entry records no responder action.
func responderRecord(inc incident.Incident, t incident.Entry) (audit.Record, bool) {
	if t.By.At.IsZero() {
		return audit.Record{}, false
	}
	return actionRecord(inc, t.At, string(t.Kind), t.Text, t.By), true
}

func actionRecord(inc incident.Incident, at time.Time, action, text string, by incident.Attribution) audit.Record {
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

// approvals reads the approvals and denials of an op. Each is in the audit log before it has an effect; a new
// leader records those that are stored again.
func (e *Engine) approvals(ctx context.Context, c *claim, inc incident.Incident, op string) (incident.ResponderActions, error) {
	w, err := e.o.Store.ResponderActions(ctx, inc.ID)
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
		r := actionRecord(inc, e.o.Now(), action, a.String(), a.Attribution)
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
