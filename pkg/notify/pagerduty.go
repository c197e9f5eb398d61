package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/PagerDuty/go-pagerduty"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

// pagerDuty keeps one incident at PagerDuty per incident of ours, by the Events
// API v2. The dedup key is our incident's id, so that an event that arrives
// twice is one incident there (INV-42).
type pagerDuty struct {
	client *pagerduty.Client
	key    Secret
	takes  []incident.Severity
	about  about
}

var _ Notifier = (*pagerDuty)(nil)

func newPagerDuty(c *config.PagerDuty, about about) (*pagerDuty, error) {
	key, err := NewSecret(c.RoutingKeyFile)
	if err != nil {
		return nil, err
	}
	client := pagerduty.NewClient("", pagerduty.WithV2EventsAPIEndpoint(c.URL))
	client.HTTPClient = httpClient()
	return &pagerDuty{client: client, key: key, takes: c.Severities, about: about}, nil
}

func (*pagerDuty) Name() string { return "pagerduty" }

// Limits of the Events API: a summary of 1,024 characters, an event of 512 KB.
const (
	maxSummary = 1024
	maxDetail  = 4096
)

func (p *pagerDuty) Notify(ctx context.Context, i incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	state := "triggered"
	switch {
	case i.Phase == incident.Resolved:
		state = "resolved"
	case !i.Acked.At.IsZero() && prev.State != "":
		state = "acknowledged"
	}
	told := prev.State == "triggered" || prev.State == "acknowledged"
	if !told && (state == "resolved" || i.Shared || !wanted(i, p.takes) && !i.Paged) {
		return prev, nil
	}
	// The page is sent again when something changes that a person would act on.
	d := digest([]any{state, i.Severity, i.Lead, i.PageReason, i.Unanswered, asked(i)})
	if prev.Digest == d {
		return prev, nil
	}
	if state == "acknowledged" && i.Acked.Via == "pagerduty" {
		// It is from there: told back, it would be an event again.
		return incident.Receipt{Ref: i.ID, State: state, Digest: d}, nil
	}
	key, err := p.key.read()
	if err != nil {
		return prev, err
	}
	e := &pagerduty.V2Event{RoutingKey: key, DedupKey: i.ID, Action: "trigger", Client: "watchdog"}
	switch state {
	case "resolved":
		e.Action = "resolve"
	case "acknowledged":
		e.Action = "acknowledge"
	default:
		quick := p.about.of(i)
		e.Payload = payload(i, quick)
		for _, l := range quick.links {
			e.Links = append(e.Links, map[string]string{"href": l.URL, "text": l.Name})
		}
	}
	if _, err := p.client.ManageEventWithContext(ctx, e); err != nil {
		return prev, pagerDutyError(i, err)
	}
	return incident.Receipt{Ref: i.ID, State: state, Digest: d}, nil
}

func payload(i incident.Incident, quick about) *pagerduty.V2Payload {
	level := map[incident.Severity]string{incident.P0: "critical", incident.P1: "error", incident.P2: "warning", incident.P3: "info"}[i.Severity]
	details := map[string]any{"incident": i.ID, "phase": i.Phase, "target": i.Target.String(), "next": next(i), "why": "watchdog why " + i.ID}
	if a := answered(i); a != "" {
		details["answer"] = a
	}
	if r := reason(i); r != "" {
		details["reason"] = cut(r, maxDetail)
	}
	if len(quick.contacts) > 0 {
		details["contacts"] = quick.contacts
	}
	if a := actions(i); len(a) > 0 {
		details["done"] = a
	}
	return &pagerduty.V2Payload{Summary: cut(oneLine(string(i.Severity)+" "+i.Title()), maxSummary), Source: i.Target.String(), Severity: level, Timestamp: i.OpenedAt.UTC().Format("2006-01-02T15:04:05.000Z"),
		Component: i.Target.Workload, Group: i.Target.Namespace, Class: i.Lead, Details: details}
}

// pagerDutyError tells a refusal that stays from one that passes. The library
// answers with one of two types, whatever the body said.
func pagerDutyError(i incident.Incident, err error) error {
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
	return &Failure{Err: fmt.Errorf("tell PagerDuty of incident %s: %w", i.ID, err), Final: final}
}
