package inbound

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"watchdog.io/watchdog/pkg/responder"
	"watchdog.io/watchdog/pkg/strutil"
)

// PagerDutyPath is where PagerDuty's webhooks (version 3) go.
const PagerDutyPath = "/webhook/pagerduty"

// PagerDutySettings are the configuration of PagerDuty's webhooks.
type PagerDutySettings struct {
	// Secrets are those of the webhook subscription, the old and the new one while it
	// is changed.
	Secrets func() ([]string, error)
	// Users are the people by their PagerDuty ids. Anybody lets also people take an
	// incident on who are not listed: PagerDuty knows them.
	Users   map[string]responder.Person
	Anybody bool
}

// PagerDutyOptions are the edges of PagerDuty's handler.
type PagerDutyOptions struct {
	Logger   *slog.Logger
	Service  Service
	Settings func() *PagerDutySettings // nil: no webhook
	Now      func() time.Time
}

// pagerDuty takes webhooks of version 3.
type pagerDuty struct {
	o      PagerDutyOptions
	events *once

	mu     sync.Mutex
	theirs map[string]string // our incidents by PagerDuty's ids, which a note is under
}

// PagerDuty returns the handler of PagerDutyPath.
func PagerDuty(o PagerDutyOptions) http.Handler {
	return &pagerDuty{o: o, events: newOnce(2*pagerDutyAge, maxSeen), theirs: map[string]string{}}
}

const (
	// pagerDutyAge is how old an event may be: PagerDuty tries again for a while.
	pagerDutyAge = time.Hour
	pagerDutyOff = 5 * time.Minute // by how much its clock may be ahead
	maxTheirs    = 1000
)

// event is the part of a webhook that matters.
type event struct {
	Event struct {
		ID         string    `json:"id"`
		Type       string    `json:"event_type"`
		OccurredAt time.Time `json:"occurred_at"`
		Agent      *agent    `json:"agent"`
		Data       struct {
			ID          string `json:"id"`
			IncidentKey string `json:"incident_key"`
			Content     string `json:"content"`
			Incident    struct {
				ID string `json:"id"`
			} `json:"incident"`
		} `json:"data"`
	} `json:"event"`
}

// agent is who did it. Its summary is a name that they can change.
type agent struct {
	ID      string `json:"id"`
	Summary string `json:"summary"`
	Type    string `json:"type"`
}

// ServeHTTP takes one webhook.
func (p *pagerDuty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	set := p.o.Settings()
	if set == nil {
		failUnread(w, http.StatusNotFound, "receivers.pagerduty.webhook is not set")
		return
	}
	// Headers are checked first: the body of an unauthenticated request is not read. They hold no
	// time; the event itself does.
	signatures := versioned(r.Header.Get("X-PagerDuty-Signature"), "v1=")
	if len(signatures) == 0 {
		failUnread(w, http.StatusUnauthorized, errForged.Error())
		return
	}
	body, ok := signedBody(w, r, p.o.Logger, "pagerduty", set.Secrets, func(secrets []string, body []byte) bool {
		return signed(secrets, signatures, string(body))
	})
	if !ok {
		return
	}
	ev, err := parseEvent(body)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	if ev.Event.Type == "pagey.ping" {
		answer(w, http.StatusOK, map[string]any{"status": "success"})
		return
	}
	now := p.o.Now()
	if age := now.Sub(ev.Event.OccurredAt); age > pagerDutyAge || age < -pagerDutyOff {
		fail(w, http.StatusUnauthorized, errForged.Error())
		return
	}
	switch err := p.events.first(ev.Event.ID, now); {
	case errors.Is(err, errBusy):
		fail(w, http.StatusServiceUnavailable, err.Error())
		return
	case err != nil:
		fail(w, http.StatusUnauthorized, err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), actionTime)
	defer cancel()
	text, err := p.apply(ctx, set, ev)
	no := (*responder.Refused)(nil)
	switch {
	case err == nil, errors.As(err, &no):
		// A refusal is final: PagerDuty has nothing to repeat, and switches off what fails.
		if err != nil {
			text = err.Error()
		}
		answer(w, http.StatusOK, map[string]any{"status": "success", "data": map[string]string{"text": text}})
	default:
		p.events.forget(ev.Event.ID)
		p.o.Logger.Error("PagerDuty webhook not applied; PagerDuty will retry", "event", ev.Event.ID,
			"err", err)
		fail(w, http.StatusServiceUnavailable, "the Kubernetes API did not respond")
	}
}

func parseEvent(body []byte) (event, error) {
	var ev event
	if err := json.Unmarshal(body, &ev); err != nil {
		return ev, fmt.Errorf("not a webhook of version 3: %w", err)
	}
	e := ev.Event
	if e.ID == "" || e.Type == "" || len(e.ID) > maxID || len(e.Data.IncidentKey) > maxKey || len(e.Data.ID) > maxID {
		return ev, errors.New("not a webhook of version 3: event.id and event.event_type are required")
	}
	return ev, nil
}

// maxKey is PagerDuty's own limit for a dedup key.
const maxKey = 255

// apply applies the action that an event stands for. Others are only recorded.
func (p *pagerDuty) apply(ctx context.Context, set *PagerDutySettings, ev event) (string, error) {
	e := ev.Event
	key := p.ours(ev)
	id, _, _ := strings.Cut(key, "/") // the rest is the severity of the page
	w := responder.Request{Incident: id, Key: key, Source: SourcePagerDuty, ID: "pd-" + e.ID}
	switch e.Type {
	case "incident.acknowledged":
		w.Action = responder.Ack
	case "incident.resolved":
		w.Action, w.Reason = responder.Note, "resolved in PagerDuty"
	case "incident.annotated":
		w.Action, w.Reason = responder.Note, shown(e.Data.Content, 1000)
	default:
		return "ignored: event type " + shown(e.Type, maxID), nil
	}
	if key == "" {
		return "ignored: not an incident of watchdog", nil
	}
	if e.Agent == nil || e.Agent.Type != "user_reference" || len(e.Agent.ID) > maxID {
		// An integration: watchdog's own event comes back as one.
		return "ignored: not by a user", nil
	}
	who, known := set.Users[e.Agent.ID]
	switch {
	case known:
	case set.Anybody && w.Action == responder.Ack:
		who = responder.Person{Unverified: true, Name: "pagerduty: " + shown(e.Agent.Summary, 100) + " (" + e.Agent.ID +
			")"}
	default:
		w.By = "pagerduty user " + e.Agent.ID
		return "", p.o.Service.Refuse(w, fmt.Sprintf("PagerDuty user %s is not listed "+
			"(receivers.pagerduty.webhook.users)", e.Agent.ID))
	}
	return p.o.Service.Do(ctx, who, w)
}

// ours returns the incident that an event is about. Only events of an incident name
// it by our key; a note names PagerDuty's id, which earlier events connect with our key.
func (p *pagerDuty) ours(ev event) string {
	d := ev.Event.Data
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.IncidentKey == "" {
		return p.theirs[d.Incident.ID]
	}
	if len(p.theirs) >= maxTheirs {
		clear(p.theirs)
	}
	p.theirs[d.ID] = d.IncidentKey
	return d.IncidentKey
}

// shown is text of others in at most n bytes, without what steers a reader.
func shown(s string, n int) string { return strutil.Cut(strutil.Visible(s), n) }
