package recorders

import (
	"fmt"
	"slices"
	"strings"
)

// Snapshot is everything that arrived so far, in order.
type Snapshot struct{ Requests []Request }

// Incident is one incident, message or component as the other side shows it.
type Incident struct {
	Key     string
	State   string // PagerDuty: triggered, acknowledged, resolved; Slack: posted, edited; Statuspage: the status
	Summary string // the latest text
	Updates int    // requests about it
}

// Snapshot returns what arrived so far.
func (r *Recorder) Snapshot() Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Snapshot{Requests: slices.Clone(r.all)}
}

// Requests returns what one receiver was told, in order.
func (r *Recorder) Requests(receiver string) []Request { return r.Snapshot().Of(receiver) }

// PagerDutyIncidents returns the incidents there, one per dedup key.
func (r *Recorder) PagerDutyIncidents() map[string]Incident { return r.Snapshot().PagerDutyIncidents() }

// OpenPagerDuty returns the incidents there that are not resolved, oldest first.
func (r *Recorder) OpenPagerDuty() []Incident { return r.Snapshot().OpenPagerDuty() }

// SlackMessages returns the messages in the channels, one per timestamp, as last
// edited. Replies in threads are not among them.
func (r *Recorder) SlackMessages() map[string]Incident { return r.Snapshot().SlackMessages() }

// StatuspageIncidents returns the incidents on the page, with the last status.
func (r *Recorder) StatuspageIncidents() map[string]Incident {
	return r.Snapshot().StatuspageIncidents()
}

// StatuspageComponents returns the status of each component that was set.
func (r *Recorder) StatuspageComponents() map[string]string {
	return r.Snapshot().StatuspageComponents()
}

// Of returns what one receiver was told, in order.
func (s Snapshot) Of(receiver string) []Request {
	var of []Request
	for _, q := range s.Requests {
		if q.Receiver == receiver {
			of = append(of, q)
		}
	}
	return of
}

// PagerDutyIncidents is as the Recorder's.
func (s Snapshot) PagerDutyIncidents() map[string]Incident {
	all := map[string]Incident{}
	for _, q := range s.Of(PagerDuty) {
		// PagerDuty accepts the end of an incident that it never heard of, and shows nothing.
		if i, known := all[q.Key]; known || q.Action == "trigger" {
			all[q.Key] = i.updated(q, pagerDutyStates()[q.Action])
		}
	}
	return all
}

// OpenPagerDuty is as the Recorder's.
func (s Snapshot) OpenPagerDuty() []Incident {
	incidents := s.PagerDutyIncidents()
	var open []Incident
	for _, q := range s.Of(PagerDuty) {
		if i, ok := incidents[q.Key]; ok {
			delete(incidents, q.Key)
			if i.State != "resolved" {
				open = append(open, i)
			}
		}
	}
	return open
}

// SlackMessages is as the Recorder's.
func (s Snapshot) SlackMessages() map[string]Incident {
	all := map[string]Incident{}
	replies := map[string]bool{}
	for _, q := range s.Of(Slack) {
		switch {
		case q.Action == "ephemeral":
		case q.Action == "reply":
			replies[q.Key] = true
		case q.Action == "post":
			all[q.Key] = all[q.Key].updated(q, "posted")
		case !replies[q.Key]:
			all[q.Key] = all[q.Key].updated(q, "edited")
		}
	}
	return all
}

// StatuspageIncidents is as the Recorder's.
func (s Snapshot) StatuspageIncidents() map[string]Incident {
	all := map[string]Incident{}
	for _, q := range s.Of(Statuspage) {
		if q.Action != componentAction {
			all[q.Key] = all[q.Key].updated(q, q.Action)
		}
	}
	return all
}

// String says how much arrived, and what came last.
func (s Snapshot) String() string {
	const last = 5
	if len(s.Requests) == 0 {
		return "nothing has arrived"
	}
	var lines []string
	for _, q := range s.Requests[max(0, len(s.Requests)-last):] {
		lines = append(lines, q.String())
	}
	return fmt.Sprintf("%d requests have arrived, the last of them: %s", len(s.Requests), strings.Join(lines, " | "))
}

// String is the request on one line.
func (q Request) String() string {
	text, _, _ := strings.Cut(strings.TrimSpace(q.Summary), "\n")
	return strings.TrimSpace(fmt.Sprintf("%-10s %-13s %-18s %s", q.Receiver, q.Action, q.Key, text))
}

// updated is the incident after the request. An end often comes without a text
// and leaves the one that is there.
func (i Incident) updated(q Request, state string) Incident {
	i.Key, i.Updates = q.Key, i.Updates+1
	if state != "" {
		i.State = state
	}
	if q.Summary != "" {
		i.Summary = q.Summary
	}
	return i
}
