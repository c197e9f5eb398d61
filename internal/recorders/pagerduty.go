package recorders

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

func pagerDutyStates() map[string]string {
	return map[string]string{"trigger": "triggered", "acknowledge": "acknowledged", "resolve": "resolved"}
}

// pagerDutyEvent is what the Events API v2 looks at.
type pagerDutyEvent struct {
	RoutingKey string `json:"routing_key"`
	Action     string `json:"event_action"`
	DedupKey   string `json:"dedup_key"`
	Payload    *struct {
		Summary  string `json:"summary"`
		Source   string `json:"source"`
		Severity string `json:"severity"`
	} `json:"payload"`
}

// Limits of the Events API.
const (
	maxPagerDutySummary = 1024
	maxPagerDutyKey     = 255
	maxPagerDutyEvent   = 512 << 10
)

// pagerDuty is POST /v2/enqueue.
func (r *Recorder) pagerDuty(w http.ResponseWriter, req *http.Request) {
	b, err := body(req)
	var e pagerDutyEvent
	if err == nil {
		err = json.Unmarshal(b, &e)
	}
	if err == nil && len(b) > maxPagerDutyEvent {
		r.mu.Lock()
		r.attempts[PagerDuty]++
		r.mu.Unlock()
		answer(w, http.StatusRequestEntityTooLarge, map[string]any{"status": "payload too large",
			"message": "the event is larger than 512 KB"})
		return
	}
	if errs := errors.Join(err, e.check()); errs != nil {
		answer(w, http.StatusBadRequest, map[string]any{"status": "invalid event", "message": "Event object is invalid",
			"errors": []string{errs.Error()}})
		return
	}
	q := &Request{Receiver: PagerDuty, Action: e.Action, Key: e.DedupKey, Body: b}
	if e.Payload != nil {
		q.Summary = e.Payload.Summary
	}
	if r.take(w, req, q, r.giveDedupKey) {
		answer(w, http.StatusAccepted, map[string]any{"status": "success", "message": "Event processed",
			"dedup_key": q.Key})
	}
}

// pagerDutyChange is POST /v2/change/enqueue.
func (r *Recorder) pagerDutyChange(w http.ResponseWriter, req *http.Request) {
	b, err := body(req)
	var e pagerDutyEvent
	if err == nil {
		err = json.Unmarshal(b, &e)
	}
	switch p := e.Payload; {
	case err != nil:
	case len(e.RoutingKey) != 32:
		err = errors.New("'routing_key' is missing or has not 32 characters")
	case p == nil || p.Summary == "" || len([]rune(p.Summary)) > maxPagerDutySummary:
		err = errors.New("'payload.summary' is missing or longer than 1024 characters")
	}
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]any{"status": "invalid event",
			"message": "Change event object is invalid", "errors": []string{err.Error()}})
		return
	}
	q := &Request{Receiver: PagerDuty, Action: "change", Summary: e.Payload.Summary, Body: b}
	if r.take(w, req, q, func(*Request) *refusal { return nil }) {
		answer(w, http.StatusAccepted, map[string]any{"status": "success", "message": "Change event processed"})
	}
}

// giveDedupKey makes up the key of a trigger that has none, as PagerDuty does.
func (r *Recorder) giveDedupKey(q *Request) *refusal {
	if r.modes[PagerDuty] == TooLarge && len(q.Body) > smallBody {
		return &refusal{http.StatusBadRequest, map[string]any{"status": "invalid event",
			"message": "Event object is invalid", "errors": []string{"the event is larger than it may be"}}}
	}
	if q.Key == "" {
		q.Key = r.id("pd-")
	}
	return nil
}

func (e pagerDutyEvent) check() error {
	switch {
	case len(e.RoutingKey) != 32:
		return errors.New("'routing_key' is missing or has not 32 characters")
	case pagerDutyStates()[e.Action] == "":
		return fmt.Errorf("'event_action' is %q, want trigger, acknowledge or resolve", e.Action)
	case e.Action != "trigger" && e.DedupKey == "":
		return fmt.Errorf("'dedup_key' is missing for %s", e.Action)
	case len(e.DedupKey) > maxPagerDutyKey:
		return errors.New("'dedup_key' is longer than 255 characters")
	case e.Action == "trigger":
		return e.checkPayload()
	}
	return nil
}

func (e pagerDutyEvent) checkPayload() error {
	p := e.Payload
	switch {
	case p == nil:
		return errors.New("'payload' is missing")
	case p.Summary == "" || len([]rune(p.Summary)) > maxPagerDutySummary:
		return errors.New("'payload.summary' is missing or longer than 1024 characters")
	case p.Source == "":
		return errors.New("'payload.source' is missing or blank")
	case !slices.Contains([]string{"critical", "error", "warning", "info"}, p.Severity):
		return fmt.Errorf("'payload.severity' is %q, want critical, error, warning or info", p.Severity)
	}
	return nil
}
