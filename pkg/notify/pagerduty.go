package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/PagerDuty/go-pagerduty"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/strutil"
)

// pagerDuty keeps one incident at PagerDuty per incident of ours, by the Events
// API v2. The dedup key is our incident's id and severity, so that an event that
// arrives twice is one incident there (INV-42), and a graver severity rings (INV-60).
type pagerDuty struct {
	name    string
	summary *bounded            // nil: ours
	details map[string]*bounded // further ones
	url     string
	key     Secret
	takes   []incident.Severity
	about   about
	changes bool // it is told of rollouts
}

var _ Notifier = (*pagerDuty)(nil)

func newPagerDuty(name string, c *config.PagerDuty, about about) (*pagerDuty, error) {
	key, err := NewSecret(c.RoutingKeyFile)
	if err != nil {
		return nil, err
	}
	p := &pagerDuty{name: name, url: c.URL, key: key, takes: c.Severities, about: about, changes: c.ChangeEvents, details: map[string]*bounded{}}
	if c.Description != "" {
		if p.summary, err = parseBody(c.Description, about.shared...); err != nil {
			return nil, fmt.Errorf("description: %w", err)
		}
	}
	for name, text := range c.Details {
		if p.details[name], err = parseBody(text, about.shared...); err != nil {
			return nil, fmt.Errorf("details: %s: %w", name, err)
		}
	}
	return p, nil
}

// heeded is a client that remembers why it was refused, and for how long the other
// side asked to be left alone: the library passes on neither.
type heeded struct {
	*http.Client
	said  string
	after time.Duration
}

func (h *heeded) Do(req *http.Request) (*http.Response, error) {
	resp, err := h.Client.Do(req)
	if err != nil || resp.StatusCode/100 == 2 {
		return resp, err
	}
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		h.after = time.Duration(n) * time.Second
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	resp.Body.Close()
	h.said, resp.Body = strutil.Shorten(strutil.Visible(strings.TrimSpace(string(b))), 200), io.NopCloser(bytes.NewReader(b))
	return resp, err
}

// client returns the vendor's client for one request.
func (p *pagerDuty) client() (*pagerduty.Client, *heeded) {
	c, h := pagerduty.NewClient("", pagerduty.WithV2EventsAPIEndpoint(p.url)), &heeded{Client: httpClient()}
	c.HTTPClient = h
	return c, h
}

func (p *pagerDuty) Name() string { return p.name }

// Limits of the Events API: a summary of 1,024 characters, an event of 512 KB.
const (
	maxSummary = 1024
	maxDetail  = 4096
	maxEvent   = 512 << 10
)

func (p *pagerDuty) Notify(ctx context.Context, i incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	events, next := Pager(i, prev, p.takes, inDoubt(ctx))
	if len(events) == 0 {
		return next, nil
	}
	key, err := p.key.read()
	if err != nil {
		return prev, err
	}
	for _, x := range events {
		e := &pagerduty.V2Event{RoutingKey: key, DedupKey: x.Key, Action: x.Action, Client: "watchdog"}
		if x.Action == "trigger" {
			quick := p.about.of(i)
			e.Payload = payload(i, quick)
			if x.Key != prev.Ref && prev.Ref != "" {
				e.Payload.Details.(map[string]any)["page_before"] = prev.Ref
			}
			p.dress(ctx, i, quick, e.Payload)
			for _, l := range quick.links {
				e.Links = append(e.Links, map[string]string{"href": l.URL, "text": l.Name})
			}
		}
		if err := p.send(ctx, i, e); err != nil {
			return prev, err
		}
	}
	return next, nil
}

// dress fills in the user's templates. One that fails leaves ours, and says so.
func (p *pagerDuty) dress(ctx context.Context, i incident.Incident, quick about, to *pagerduty.V2Payload) {
	if p.summary == nil && len(p.details) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, templateTime) // for all of them: the page has to leave in time
	defer cancel()
	data, details := hookData(p.name, i, quick, firing(i), maxText), to.Details.(map[string]any)
	if p.summary != nil {
		switch text, err := p.summary.execute(ctx, data); {
		case err != nil:
			details["template"] = strutil.Shorten(fmt.Sprintf("the description of receiver %s failed: %v", p.name, err), maxDetail)
		case strings.TrimSpace(text) != "":
			to.Summary = strutil.Shorten(strutil.Visible(strings.TrimSpace(text)), maxSummary)
		}
	}
	for name, t := range p.details {
		text, err := t.execute(ctx, data)
		if err != nil {
			text = fmt.Sprintf("the template failed: %v", err)
		}
		details[name] = strutil.Shorten(text, maxDetail)
	}
}

func payload(i incident.Incident, quick about) *pagerduty.V2Payload {
	level := map[incident.Severity]string{incident.P0: "critical", incident.P1: "error", incident.P2: "warning", incident.P3: "info"}[i.Severity]
	details := map[string]any{"incident": i.ID, "phase": status(i), "target": i.Target.String(), "next": next(i), "why": "watchdog why " + i.ID}
	if m := maintained(i); m != "" {
		details["maintenance"] = strutil.Shorten(strutil.Visible(m), maxDetail)
	}
	if a := answered(i); a != "" {
		details["answer"] = a
	}
	if r := reason(i); r != "" {
		details["reason"] = strutil.Shorten(r, maxDetail)
	}
	if len(quick.contacts) > 0 {
		details["contacts"] = quick.contacts
	}
	if all := alertDetails(i); len(all) > 0 {
		details["alerts"] = all
	}
	if a := actions(i); len(a) > 0 {
		details["done"] = a
	}
	return &pagerduty.V2Payload{Summary: strutil.Shorten(strutil.Visible(string(i.Severity)+" "+i.Title()), maxSummary), Source: i.Target.String(), Severity: level, Timestamp: i.OpenedAt.UTC().Format("2006-01-02T15:04:05.000Z"),
		Component: i.Target.Workload, Group: i.Target.Namespace, Class: i.Lead, Details: details}
}

// send sends an event. One that is too large, or is refused as if it were, is sent
// with the least that says what is the matter (F-92).
func (p *pagerDuty) send(ctx context.Context, i incident.Incident, e *pagerduty.V2Event) error {
	if b, err := json.Marshal(e); err != nil || len(b) > maxEvent {
		shorten(i, e)
	}
	client, h := p.client()
	_, err := client.ManageEventWithContext(ctx, e)
	if err == nil {
		return nil
	}
	f := pagerDutyError("of incident "+i.ID, err, h)
	if !f.size || !shorten(i, e) {
		return f.Failure
	}
	client, h = p.client()
	if _, err = client.ManageEventWithContext(ctx, e); err != nil {
		return pagerDutyError("of incident "+i.ID, err, h).Failure
	}
	return nil
}

// shorten leaves out of an event what may be long, and reports whether that changed it.
func shorten(i incident.Incident, e *pagerduty.V2Event) bool {
	if e.Payload == nil {
		return false
	}
	p := *e.Payload
	for _, s := range []*string{&p.Summary, &p.Source, &p.Component, &p.Group, &p.Class} {
		*s = strutil.Shorten(*s, maxTextShort)
	}
	details := map[string]any{"incident": strutil.Shorten(i.ID, maxTextShort), "next": strutil.Shorten(next(i), maxTextShort), "why": "watchdog why " + strutil.Shorten(i.ID, maxTextShort), "shortened": "PagerDuty does not take the whole event"}
	if d, ok := e.Payload.Details.(map[string]any); ok && d["shortened"] != nil {
		return false
	}
	p.Details, e.Payload, e.Links = details, &p, nil
	return true
}

// failed is a Failure of PagerDuty's, and whether the size may be the reason.
type failed struct {
	*Failure
	size bool
}

// pagerDutyError tells a refusal that stays from one that passes. The library
// answers with one of two types, whatever the body said.
func pagerDutyError(what string, err error, h *heeded) failed {
	status := 0
	var events pagerduty.EventsAPIV2Error
	var api pagerduty.APIError
	switch {
	case errors.As(err, &events):
		status = events.StatusCode
	case errors.As(err, &api):
		status = api.StatusCode
	}
	final := status >= 400 && status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout
	if h.said != "" {
		err = fmt.Errorf("%w: %s", err, h.said)
	}
	f := &Failure{Err: fmt.Errorf("tell PagerDuty %s: %w", what, err), Final: final}
	if !final {
		f.After = h.after
	}
	return failed{f, status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge}
}
