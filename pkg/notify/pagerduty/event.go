package pagerduty

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/PagerDuty/go-pagerduty"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/strutil"
)

// applyTemplates fills in the user's templates. One that fails leaves ours, and says so.
func (p *PagerDuty) applyTemplates(ctx context.Context, i incident.Incident, quick notify.QuickReference,
	to *pagerduty.V2Payload) {
	if p.summary == nil && len(p.details) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, notify.TemplateTime) // for all of them: the page has to leave in time
	defer cancel()
	data, details := notify.TemplateData(p.name, i, quick, notify.Firing(i),
		notify.MaxText), to.Details.(map[string]any)
	if p.summary != nil {
		switch text, err := p.summary.Execute(ctx, data); {
		case err != nil:
			details["template"] = strutil.Shorten(fmt.Sprintf("the description of receiver %s failed: %v", p.name, err),
				maxDetail)
		case strings.TrimSpace(text) != "":
			to.Summary = strutil.Shorten(strutil.Visible(strings.TrimSpace(text)), maxSummary)
		}
	}
	for name, t := range p.details {
		text, err := t.Execute(ctx, data)
		if err != nil {
			text = fmt.Sprintf("the template failed: %v", err)
		}
		details[name] = strutil.Shorten(text, maxDetail)
	}
}

// event is the request for one event: of a page also its text, its details and its links.
func (p *PagerDuty) event(ctx context.Context, i incident.Incident, prev incident.Receipt, x Event,
	key string) *pagerduty.V2Event {
	e := &pagerduty.V2Event{RoutingKey: key, DedupKey: x.Key, Action: x.Action, Client: "watchdog"}
	if x.Action != "trigger" {
		return e
	}
	quick := p.reference.Of(i)
	e.Payload = payload(i, quick)
	if x.Key != prev.Ref && prev.Ref != "" {
		e.Payload.Details.(map[string]any)["page_before"] = prev.Ref
	}
	p.applyTemplates(ctx, i, quick, e.Payload)
	for _, l := range quick.Links {
		e.Links = append(e.Links, map[string]string{"href": l.URL, "text": l.Name})
	}
	return e
}

func payload(i incident.Incident, quick notify.QuickReference) *pagerduty.V2Payload {
	level := map[incident.Severity]string{incident.P0: "critical", incident.P1: "error", incident.P2: "warning",
		incident.P3: "info"}[i.Severity]
	details := map[string]any{"incident": i.ID, "phase": notify.Status(i), "target": i.Target.String(),
		"next": notify.Next(i), "why": "watchdog why " + i.ID}
	if m := notify.Maintained(i); m != "" {
		details["maintenance"] = strutil.Shorten(strutil.Visible(m), maxDetail)
	}
	if a := notify.Answered(i); a != "" {
		details["answer"] = strutil.Shorten(a, maxDetail)
	}
	if r := notify.Reason(i); r != "" {
		details["reason"] = strutil.Shorten(r, maxDetail)
	}
	if len(quick.Contacts) > 0 {
		details["contacts"] = quick.Contacts
	}
	if all := notify.AlertDetails(i); len(all) > 0 {
		details["alerts"] = all
	}
	if a := notify.Actions(i); len(a) > 0 {
		for n := range a {
			a[n] = strutil.Shorten(a[n], maxDetail)
		}
		details["done"] = a
	}
	return &pagerduty.V2Payload{Summary: strutil.Shorten(strutil.Visible(string(i.Severity)+" "+i.Title()), maxSummary),
		Source: i.Target.String(), Severity: level, Timestamp: i.OpenedAt.UTC().Format("2006-01-02T15:04:05.000Z"),
		Component: i.Target.Workload, Group: i.Target.Namespace, Class: i.Lead, Details: details}
}

// fit keeps an event within PagerDuty's limit: one that is larger is reduced to what identifies the incident.
func fit(i incident.Incident, e *pagerduty.V2Event) {
	if b, err := json.Marshal(e); err != nil || len(b) > maxEvent {
		shorten(i, e, fmt.Sprintf("the full event is larger than %d KiB, the most that PagerDuty takes", maxEvent>>10))
	}
}

// shorten leaves out of an event what may be long, for the reason that the event then
// gives, and reports whether that changed it.
func shorten(i incident.Incident, e *pagerduty.V2Event, why string) bool {
	if e.Payload == nil {
		return false
	}
	p := *e.Payload
	for _, s := range []*string{&p.Summary, &p.Source, &p.Component, &p.Group, &p.Class} {
		*s = strutil.Shorten(*s, notify.MaxTextShort)
	}
	details := map[string]any{"incident": strutil.Shorten(i.ID, notify.MaxTextShort),
		"next": strutil.Shorten(notify.Next(i), notify.MaxTextShort), "why": "watchdog why " +
			strutil.Shorten(i.ID, notify.MaxTextShort), "shortened": why}
	if d, ok := e.Payload.Details.(map[string]any); ok && d["shortened"] != nil {
		return false
	}
	p.Details, e.Payload, e.Links = details, &p, nil
	return true
}

// Texts are the user's templates.
func Texts(c *config.PagerDuty) []notify.Text {
	all := []notify.Text{{Option: "description", Text: c.Description}}
	for _, key := range slices.Sorted(maps.Keys(c.Details)) {
		all = append(all, notify.Text{Option: "details: " + key, Text: c.Details[key]})
	}
	return notify.Texts(all...)
}
