package pagerduty

import (
	"slices"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
)

// Event is one event of an incident for a pager, as defined by
// PagerDuty's Events API v2: trigger, acknowledge or resolve of a dedup key.
type Event struct {
	Action string
	Key    string
}

// Events decides which events of an incident a pager that takes the given severities gets,
// after those on the receipt, and the receipt that follows once it
// has taken all of it. doubt: an attempt before may have arrived.
//
// A pager rings when a page begins, and adds a trigger for an open page to that page's
// log, also when somebody has acknowledged it. So each severity has a key of its own: a
// graver one begins a new page, and ends the one before (INV-60, INV-42).
func Events(i incident.Incident, prev incident.Receipt, takes []incident.Severity,
	doubt bool) ([]Event, incident.Receipt) {
	state := "triggered"
	switch {
	case i.Phase == incident.Resolved:
		state = "resolved"
	case !i.Acked.At.IsZero() && prev.State != "":
		state = "acknowledged"
	}
	open := prev.State == "triggered" || prev.State == "acknowledged"
	if !open && (state == "resolved" && !doubt || i.Shared || !notify.Wanted(i, takes) && !i.Paged) {
		return nil, prev
	}
	// The page is sent again when something changes that a person would act on.
	d := notify.Digest([]any{state, i.Severity, i.Lead, i.PageReason, i.Unanswered, i.Step, notify.Asked(i)})
	if prev.Digest == d {
		return nil, prev
	}
	gravest := notify.Graver(prev.Severity, i.Severity)
	own := pagerKey(i.ID, gravest)
	next := incident.Receipt{Ref: own, State: state, Digest: d, Severity: gravest}
	switch {
	case !open || state == "triggered" && notify.Rings(i, prev):
	default:
		next.Ref = prev.Ref
	}
	// What else may be open: the page of a lesser severity, and those of attempts
	// whose answer was lost.
	others := []string{prev.Ref}
	if state == "resolved" {
		others = append(others, own)
	}
	if doubt && raised(i) {
		for _, s := range severities {
			others = append(others, pagerKey(i.ID, s))
		}
	}
	var events []Event
	switch {
	case state == "resolved":
		events = append(events, Event{"resolve", next.Ref})
	case state == "triggered":
		events = append(events, Event{"trigger", next.Ref})
	case i.Acked.Source != "pagerduty": // else it is from there: told back, it would be an event again
		events = append(events, Event{"acknowledge", next.Ref})
	}
	for _, key := range others {
		e := Event{"resolve", key}
		if key != "" && key != next.Ref && !slices.Contains(events, e) {
			events = append(events, e)
		}
	}
	return events, next
}

// pagerKey is the dedup key of the page of one severity.
func pagerKey(id string, s incident.Severity) string { return id + "/" + string(s) }

var severities = []incident.Severity{incident.P0, incident.P1, incident.P2, incident.P3}

// raised reports whether the severity may have changed since the incident began.
func raised(i incident.Incident) bool {
	return i.Dropped > 0 || slices.ContainsFunc(i.Timeline,
		func(e incident.Entry) bool { return e.Kind == incident.KindSeverity })
}
