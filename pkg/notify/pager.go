package notify

import (
	"cmp"
	"slices"

	"watchdog.io/watchdog/pkg/incident"
)

// PagerEvent is one thing that a pager is told of an incident, in the words of
// PagerDuty's Events API v2: trigger, acknowledge or resolve of a dedup key.
type PagerEvent struct {
	Action string
	Key    string
}

// Pager decides what a pager that takes the given severities is told of an incident
// after what the receipt says it was told before, and the receipt that follows once it
// has taken all of it. doubt: an attempt before may have arrived.
//
// A pager rings when a page begins, and adds a trigger for an open page to that page's
// log, also when somebody has acknowledged it. So each severity has a key of its own: a
// graver one begins a new page, and ends the one before (INV-60, INV-42).
func Pager(i incident.Incident, prev incident.Receipt, takes []incident.Severity, doubt bool) ([]PagerEvent, incident.Receipt) {
	state := "triggered"
	switch {
	case i.Phase == incident.Resolved:
		state = "resolved"
	case !i.Acked.At.IsZero() && prev.State != "":
		state = "acknowledged"
	}
	open := prev.State == "triggered" || prev.State == "acknowledged"
	if !open && (state == "resolved" && !doubt || i.Shared || !wanted(i, takes) && !i.Paged) {
		return nil, prev
	}
	// The page is sent again when something changes that a person would act on.
	d := digest([]any{state, i.Severity, i.Lead, i.PageReason, i.Unanswered, i.Step, asked(i)})
	if prev.Digest == d {
		return nil, prev
	}
	gravest := graver(prev.Severity, i.Severity)
	own := pagerKey(i.ID, gravest)
	next := incident.Receipt{Ref: own, State: state, Digest: d, Severity: gravest}
	switch {
	case !open || state == "triggered" && rings(i, prev):
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
	var events []PagerEvent
	switch {
	case state == "resolved":
		events = append(events, PagerEvent{"resolve", next.Ref})
	case state == "triggered":
		events = append(events, PagerEvent{"trigger", next.Ref})
	case i.Acked.Source != "pagerduty": // else it is from there: told back, it would be an event again
		events = append(events, PagerEvent{"acknowledge", next.Ref})
	}
	for _, key := range others {
		e := PagerEvent{"resolve", key}
		if key != "" && key != next.Ref && !slices.Contains(events, e) {
			events = append(events, e)
		}
	}
	return events, next
}

// pagerKey is the dedup key of the page of one severity.
func pagerKey(id string, s incident.Severity) string { return id + "/" + string(s) }

var severities = []incident.Severity{incident.P0, incident.P1, incident.P2, incident.P3}

// graver is the graver of two severities; one that is not known counts for nothing.
func graver(a, b incident.Severity) incident.Severity {
	if a.Worse(b) {
		return a
	}
	return cmp.Or(b, a)
}

// rings reports whether a receiver that was told before must call people again: the
// incident is graver than whatever it was told, so that what people answered is no
// answer to this. Receipts of older versions do not say how grave it was.
func rings(i incident.Incident, prev incident.Receipt) bool {
	if prev.Severity == "" {
		return prev.State == "acknowledged" && i.Acked.At.IsZero()
	}
	return i.Phase != incident.Resolved && i.Severity.Worse(prev.Severity)
}

// raised reports whether the severity may have changed since the incident began.
func raised(i incident.Incident) bool {
	return i.Dropped > 0 || slices.ContainsFunc(i.Timeline, func(e incident.Entry) bool { return e.Kind == incident.KindSeverity })
}
