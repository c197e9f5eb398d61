// Package pagerduty pages the on-call by PagerDuty's Events API v2.
//
// It owns the events of an incident, their keys and their limits, and change events. It
// leaves what people answer in PagerDuty to pkg/responder/inbound.
//
// Its one rule: the dedup key is the incident's id and severity, so that an event that
// arrives twice is one page, and a graver severity rings.
package pagerduty

import (
	"context"
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
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/strutil"
)

// PagerDuty keeps one incident at PagerDuty per incident of ours, by the Events
// API v2. The dedup key is our incident's id and severity, so that an event that
// arrives twice is one incident there (INV-42), and a graver severity rings (INV-60).
type PagerDuty struct {
	name      string
	summary   *notify.Template            // nil: ours
	details   map[string]*notify.Template // further ones
	url       string
	key       notify.Secret
	takes     []incident.Severity
	reference notify.QuickReference
	changes   bool // it is told of rollouts
}

var _ notify.Notifier = (*PagerDuty)(nil)

// New returns the receiver of a configured PagerDuty service, or what is wrong with its secrets or addresses.
func New(name string, c *config.PagerDuty, about notify.QuickReference) (*PagerDuty, error) {
	key, err := notify.NewSecret(c.RoutingKeyFile)
	if err != nil {
		return nil, err
	}
	p := &PagerDuty{name: name, url: c.URL, key: key, takes: c.Severities, reference: about, changes: c.ChangeEvents,
		details: map[string]*notify.Template{}}
	if c.Description != "" {
		if p.summary, err = notify.ParseTemplate(c.Description, about.Shared...); err != nil {
			return nil, fmt.Errorf("description: %w", err)
		}
	}
	for name, text := range c.Details {
		if p.details[name], err = notify.ParseTemplate(text, about.Shared...); err != nil {
			return nil, fmt.Errorf("details: %s: %w", name, err)
		}
	}
	return p, nil
}

// heeded is a client that remembers why it was refused, and for how long the other
// side asked to be left alone: the library passes on neither.
type heeded struct {
	*http.Client
	key   string // is shown in no error
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
	b, err := io.ReadAll(io.LimitReader(resp.Body, notify.MaxAnswer))
	resp.Body.Close()
	text := strings.TrimSpace(notify.Redact(string(b), h.key))
	h.said, resp.Body = strutil.Shorten(strutil.Visible(text), 200), io.NopCloser(strings.NewReader(text))
	return resp, err
}

// client returns the vendor's client for one request.
func (p *PagerDuty) client(key string) (*pagerduty.Client, *heeded) {
	c := pagerduty.NewClient("", pagerduty.WithV2EventsAPIEndpoint(p.url))
	h := &heeded{Client: notify.HTTPClient(), key: key}
	c.HTTPClient = h
	return c, h
}

// Name is the name of the receiver in the configuration.
func (p *PagerDuty) Name() string { return p.name }

// Pages marks it as a receiver by which a person is woken.
func (*PagerDuty) Pages() {}

// Limits of the Events API: a summary of 1,024 characters, an event of 512 KB.
const (
	maxSummary = 1024
	maxDetail  = 4096
	maxEvent   = 512 << 10
)

// Notify sends the events that bring PagerDuty from prev to the state of the incident.
func (p *PagerDuty) Notify(ctx context.Context, i incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	events, next := Events(i, prev, p.takes, notify.InDoubt(ctx))
	if len(events) == 0 {
		return next, nil
	}
	key, err := p.key.Reveal()
	if err != nil {
		return prev, err
	}
	for _, x := range events {
		e := p.event(ctx, i, prev, x, key)
		if err := p.send(ctx, i, e); err != nil {
			return prev, err
		}
	}
	return next, nil
}

// send sends an event. One that is too large, or is refused as if it were, is sent
// with the minimum that identifies the incident (F-92).
func (p *PagerDuty) send(ctx context.Context, i incident.Incident, e *pagerduty.V2Event) error {
	fit(i, e)
	client, h := p.client(e.RoutingKey)
	_, err := client.ManageEventWithContext(ctx, e)
	if err == nil {
		return nil
	}
	f := pagerDutyError("of incident "+i.ID, err, h)
	if !f.size || !shorten(i, e, "PagerDuty rejected the full event") {
		return f.Failure
	}
	client, h = p.client(e.RoutingKey)
	if _, err = client.ManageEventWithContext(ctx, e); err != nil {
		return pagerDutyError("of incident "+i.ID, err, h).Failure
	}
	return nil
}

// failed is a Failure of PagerDuty's, and whether the size may be the reason.
type failed struct {
	*notify.Failure
	size bool
}

// pagerDutyError distinguishes permanent rejections from temporary ones. The library
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
	final := status >= 400 && status < 500 && status != http.StatusTooManyRequests &&
		status != http.StatusRequestTimeout
	if h.said != "" {
		err = fmt.Errorf("%w: %s", err, h.said)
	}
	f := &notify.Failure{Err: fmt.Errorf("notify PagerDuty %s: %w", what, err), Final: final}
	if !final {
		f.After = h.after
	}
	return failed{f, status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge}
}
