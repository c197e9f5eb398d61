package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// PublicWord is a person's word on what the public reads of an incident.
type PublicWord struct {
	Attribution
	// Publish: the incident may be published.
	Publish bool `json:"publish,omitempty"`
	// HoldUntil: nothing changes on the page until then, whatever is measured.
	HoldUntil time.Time `json:"holdUntil,omitzero"`
}

// Held reports whether the person wants the page left as it is.
func (w PublicWord) Held(now time.Time) bool { return now.Before(w.HoldUntil) }

// String is the word in one line.
func (w PublicWord) String() string {
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

// PublicReceiver is the receiver whose receipt says what the public reads.
const PublicReceiver = "statuspage"

// UpdateEvery is how often the public is owed a word about a P0.
const UpdateEvery = 30 * time.Minute

// WithWord takes a person's newer word over. Also the end of a hold that comes
// after the incident is over must reach the page.
func (i Incident) WithWord(w PublicWord, at time.Time) (Incident, bool) {
	if !follows(w.At, i.Public.At, at) {
		return i, false
	}
	s := &step{i: i.clone(), at: at}
	w.Attribution = w.Bounded()
	s.i.Public = w
	s.note(KindPublic, w.String())
	return s.i, true
}

// publish takes the person's word over, and reminds of the next word to the public.
func (s *step) publish(w PublicWord) {
	s.i, _ = s.i.WithWord(w, s.at)
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

// Proposed begins the state of a receipt of PublicReceiver that waits for a person's word.
const Proposed = "proposed: "

// PublicLine says for the team how the status page stands, and what is wanted of
// it; empty: nothing is told there.
func (i Incident) PublicLine(now time.Time) string {
	r := i.Receipts[PublicReceiver]
	what, waits := strings.CutPrefix(r.State, Proposed)
	switch {
	case i.Public.Held(now) && (waits || r.Ref != "" || i.Phase != Resolved):
		return "Status page: " + i.Public.String()
	case waits && i.Phase != Resolved && !i.Public.Publish:
		return fmt.Sprintf("Status page: not posted; proposed: %q. Post it with `watchdog publish %s`", what, i.ID)
	case r.Ref != "":
		return "Status page: " + r.State
	}
	return ""
}
