package incident

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// PublicAction is a responder's action on the status page of an incident.
type PublicAction struct {
	Attribution
	// Publish: the incident may be published.
	Publish bool `json:"publish,omitempty"`
	// HoldUntil: nothing changes on the page until then, whatever is measured.
	HoldUntil time.Time `json:"holdUntil,omitzero"`
}

// Held reports whether updates of the page are on hold.
func (w PublicAction) Held(now time.Time) bool { return now.Before(w.HoldUntil) }

// String is the action in one line.
func (w PublicAction) String() string {
	what := "hold lifted"
	switch {
	case !w.HoldUntil.IsZero():
		what = "no updates until " + w.HoldUntil.UTC().Format("15:04:05 UTC, 2 Jan")
	case w.Publish:
		what = "publication approved"
	}
	what += ", by " + cmp.Or(w.By, "somebody")
	if w.Reason != "" {
		what += ": " + w.Reason
	}
	return what
}

// PublicReceiver is the receiver of the status page.
const PublicReceiver = "statuspage"

// UpdateEvery is how often the status page of a P0 is due for an update.
const UpdateEvery = 30 * time.Minute

// WithPublicAction applies a newer action. The end of a hold must reach the page even after
// the incident is resolved.
func (i Incident) WithPublicAction(w PublicAction, at time.Time) (Incident, bool) {
	if !follows(w.At, i.Public.At, at) {
		return i, false
	}
	s := &step{i: i.clone(), at: at}
	w.Attribution = w.Bounded()
	s.i.Public = w
	s.noteBy(KindPublic, w.String(), w.Attribution)
	return s.i, true
}

// publish applies the action, and reminds of the next update of the status page.
func (s *step) publish(w PublicAction) {
	s.i, _ = s.i.WithPublicAction(w, s.at)
	told := s.i.Receipts[PublicReceiver]
	if s.i.Severity != P0 || s.i.Phase == Resolved || told.Ref == "" || told.At.IsZero() {
		return
	}
	last := told.At
	for _, e := range slices.Backward(s.i.Timeline) {
		if e.Kind == KindUpdateDue {
			last = later(last, e.At)
			break
		}
	}
	if s.at.Sub(last) >= UpdateEvery {
		s.note(KindUpdateDue, fmt.Sprintf("last status page update was %s ago: post an update",
			s.at.Sub(told.At).Round(time.Minute)))
	}
}

// PublicLine is the state of the status page for the team, and what is required of
// it; empty: nothing is posted there.
func (i Incident) PublicLine(now time.Time) string {
	r := i.Receipts[PublicReceiver]
	switch {
	case i.Public.Held(now) && (r.Proposed || r.Ref != "" || i.Phase != Resolved):
		return "Status page: " + i.Public.String()
	case r.Proposed && i.Phase != Resolved && !i.Public.Publish:
		return fmt.Sprintf("Status page: not posted; proposed: %q. Post it with `watchdog publish %s`", r.State, i.ID)
	case r.Ref != "":
		return "Status page: " + r.State
	}
	return ""
}
