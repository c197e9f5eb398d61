package incident

import (
	"slices"
	"time"
)

// Entry is one line of an incident's timeline. What programs ask about is in its fields;
// Text is for people.
type Entry struct {
	At   time.Time `json:"at"`
	Kind Kind      `json:"what"`
	// Rule is whose alert began, ended or was judged, of entries about one.
	Rule string `json:"rule,omitempty"`
	// Verdict is what came of an op, of a KindVerdict about one.
	Verdict OpVerdict `json:"verdict,omitempty"`
	Text    string    `json:"text"`
	// By is the responder whose action the entry records; zero: watchdog itself acted.
	By Attribution `json:"by,omitzero"`
}

// Kind is what an entry of the timeline is about.
type Kind string

// Kinds of entries: of rules and silences,
const (
	KindFiring   Kind = "firing"
	KindCleared  Kind = "cleared"
	KindRemoved  Kind = "removed" // the rule is not configured any more
	KindVerdict  Kind = "verdict" // a rule began or ceased to be blind; or what came of an op
	KindSilenced Kind = "silenced"
	KindUnmuted  Kind = "unmuted" // no longer silenced, or no longer in maintenance
	KindSeverity Kind = "severity"
)

// of the way to an action and what came of it,
const (
	KindHeld      Kind = "held"
	KindFrozen    Kind = "frozen"
	KindSkipped   Kind = "skipped"
	KindAsked     Kind = "asked"
	KindApproved  Kind = "approved"
	KindDenied    Kind = "not approved"
	KindPlanned   Kind = "planned"
	KindCaptured  Kind = "captured"
	KindActed     Kind = "acted"
	KindConflict  Kind = "conflict"
	KindInDoubt   Kind = "in doubt"
	KindRolling   Kind = "rolling out"
	KindRolledOut Kind = "rolled out"
	KindComplete  Kind = "job complete"
	KindAdopted   Kind = "adopted"
	KindReverted  Kind = "reverted" // a lease expired, and its change was reverted
	KindYielded   Kind = "yielded"  // a lease expired, and its change was not reverted
)

// of people,
const (
	KindPaged          Kind = "paged"
	KindHandedOver     Kind = "handed over"
	KindAcknowledged   Kind = "acknowledged"
	KindUnacknowledged Kind = "unacknowledged"
	KindUnanswered     Kind = "unanswered"
	KindOverdue        Kind = "overdue"
	KindNote           Kind = "note" // or Hypothesis, or Decision
	KindPublic         Kind = "status page"
	KindUpdateDue      Kind = "update due"
	KindMaintenance    Kind = "maintenance"
)

// and of the incident itself.
const (
	KindRelapse    Kind = "relapse"
	KindFlapping   Kind = "flapping"
	KindRecovery   Kind = "recovery"
	KindSuperseded Kind = "superseded"
	KindResolved   Kind = "resolved"
)

// TimelineLimit bounds the timeline kept on the incident; the audit record has all.
const TimelineLimit = 120

func (s *step) note(kind Kind, text string) { s.add(Entry{Kind: kind, Text: text}) }

// noteBy is an entry about a responder's action.
func (s *step) noteBy(kind Kind, text string, by Attribution) {
	s.add(Entry{Kind: kind, Text: text, By: by})
}

// noteRule is an entry about a rule's alert.
func (s *step) noteRule(kind Kind, rule, text string) {
	s.add(Entry{Kind: kind, Rule: rule, Text: text})
}

// noteOnce keeps a repeated hold to one line of the timeline: the numbers in it
// change with every look, the kind of hold does not.
func (s *step) noteOnce(kind Kind, text string) {
	if n := len(s.i.Timeline); n > 0 && s.i.Timeline[n-1].Kind == kind {
		return
	}
	s.note(kind, text)
}

func (s *step) add(e Entry) {
	e.At = s.at
	s.i.Timeline = append(s.i.Timeline, e)
	if n := len(s.i.Timeline) - TimelineLimit; n > 0 {
		// The first entries say how it began; they stay.
		s.i.Timeline = slices.Delete(s.i.Timeline, 10, 10+n)
		s.i.Dropped += n
	}
	s.i.UpdatedAt = s.at
}
