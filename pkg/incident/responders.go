package incident

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// ResponderActions are the actions of responders on one incident. They are its spec, which
// responders write and watchdog only reads; the incident applies each once.
type ResponderActions struct {
	// Acked is who acknowledged the incident; zero: nobody did.
	Acked Attribution
	// Graded is the severity that a responder set; zero: nobody did.
	Graded Grade
	// Notes are the notes of responders, by id.
	Notes map[string]Note
	// Public is the last action on the status page; zero: there is none.
	Public PublicAction
	// Approved are the approvals and denials of plans, by the id of the op that requires them
	// and by responder, so that nobody counts twice. The approval guard reads them, Step
	// does not.
	Approved map[string]map[string]Approval `json:",omitempty"`
}

// Grade is a responder's change of the severity: only a person lowers one.
type Grade struct {
	Attribution
	To Severity `json:"to"`
}

// Note is a responder's note; Reason is its text.
type Note struct {
	Attribution
	As string `json:"as,omitempty"`
}

// What a note can be; "" is a plain one.
const (
	Hypothesis = "hypothesis" // what may be the cause
	Decision   = "decision"   // what is to be done: a hotfix, a rollback
)

// MaxNotes bounds the notes that one incident applies.
const MaxNotes = 50

// MaxKey is the longest id of a note and the longest name of an approver, in bytes. Whoever
// may patch incidents can write any; watchdog never writes a longer one.
const MaxKey = 400

// Name is a responder's name as it is displayed.
func Name(who string) string { return clip(who, maxBy) }

// maxWordAhead is how far ahead of watchdog's clock the time of an action may lie. The next
// action needs a later time, so one in the far future would be the last for ever.
const maxWordAhead = 24 * time.Hour

// Ahead reports whether an action's time is too far in the future.
func Ahead(word, now time.Time) bool { return word.After(now.Add(maxWordAhead)) }

// follows reports whether an action is later than the one that was applied.
func follows(word, before, now time.Time) bool {
	return !word.IsZero() && !Ahead(word, now) && (word.After(before) || Ahead(before, now))
}

// With merges more into the actions: a newer acknowledgement, severity and status page action
// replaces the old one; notes and approvals are added.
func (w ResponderActions) With(more ResponderActions) ResponderActions {
	if !more.Acked.At.IsZero() {
		w.Acked = more.Acked
	}
	if !more.Graded.At.IsZero() {
		w.Graded = more.Graded
	}
	if !more.Public.At.IsZero() {
		w.Public = more.Public
	}
	if len(more.Notes) > 0 {
		notes := maps.Clone(w.Notes)
		if notes == nil {
			notes = map[string]Note{}
		}
		maps.Copy(notes, more.Notes)
		w.Notes = notes
	}
	for op, answers := range more.Approved {
		all := maps.Clone(w.Approved)
		if all == nil {
			all = map[string]map[string]Approval{}
		}
		of := maps.Clone(all[op])
		if of == nil {
			of = map[string]Approval{}
		}
		maps.Copy(of, answers)
		all[op], w.Approved = of, all
	}
	return w
}

// HasUpdates reports whether there are actions that i has not applied.
func (i Incident) HasUpdates(w ResponderActions, now time.Time) bool {
	if i.Acked.At.IsZero() && i.AnsweredBy(w.Acked) || i.regraded(w.Graded, now) ||
		follows(w.Public.At, i.Public.At, now) {
		return true
	}
	return slices.ContainsFunc(slices.Collect(maps.Keys(w.Notes)), i.newNote)
}

func (i Incident) newNote(id string) bool {
	return len(i.Noted) < MaxNotes && len(id) <= MaxKey && !slices.Contains(i.Noted, id)
}

func (i Incident) regraded(g Grade, now time.Time) bool {
	return known(g.To) && follows(g.At, i.Graded.At, now)
}

// WithLateActions applies actions on a resolved incident: from a moment before it resolved, or
// on the status page since. They are recorded and have no other effect.
func (i Incident) WithLateActions(w ResponderActions, at time.Time) (Incident, bool) {
	if !i.HasUpdates(w, at) {
		return i, false
	}
	s := &step{i: i.clone(), at: at}
	s.applyResponders(w)
	s.i, _ = s.i.WithPublicAction(w.Public, at)
	return s.i, true
}

// applyResponders applies the actions of responders.
func (s *step) applyResponders(w ResponderActions) {
	// In their order in time: an acknowledgement applies to the severity at that time.
	first := !w.Graded.At.IsZero() && !w.Acked.At.Before(w.Graded.At)
	if first {
		s.regrade(w.Graded)
	}
	if s.i.Acked.At.IsZero() && s.i.AnsweredBy(w.Acked) {
		s.i.Acked, s.i.AckBy, s.i.AckFor = w.Acked.Bounded(), time.Time{}, ""
		if !known(s.i.Acked.Severity) {
			s.i.Acked.Severity = s.i.Severity
		}
		s.noteBy(KindAcknowledged, s.i.Acked.text(), s.i.Acked)
	}
	if !first {
		s.regrade(w.Graded)
	}
	ids := slices.SortedFunc(maps.Keys(w.Notes), func(a, b string) int {
		return cmp.Or(w.Notes[a].At.Compare(w.Notes[b].At), strings.Compare(a, b))
	})
	for _, id := range ids {
		if n := w.Notes[id]; s.i.newNote(id) {
			s.i.Noted = append(slices.Clone(s.i.Noted), id)
			if n.Attribution = n.Bounded(); n.As != Hypothesis && n.As != Decision {
				n.As = "" // other kinds of entries are watchdog's own
			}
			if n.As != "" && !slices.Contains(s.i.Found, n.As) {
				s.i.Found = append(slices.Clone(s.i.Found), n.As)
			}
			s.noteBy(cmp.Or(Kind(n.As), KindNote), n.text(), n.Attribution)
		}
	}
}

// regrade applies a responder's change of the severity.
func (s *step) regrade(g Grade) {
	if !s.i.regraded(g, s.at) {
		return
	}
	was := s.i.Severity
	g.Attribution = g.Bounded()
	s.i.Graded, s.i.Severity = g, g.To
	s.noteBy(KindSeverity, fmt.Sprintf("set from %s to %s %s", was, g.To, g.text()), g.Attribution)
	s.graver(was)
}

// SeverityBy is the severity of the incident once the change is applied.
func (i Incident) SeverityBy(g Grade, now time.Time) Severity {
	if i.regraded(g, now) {
		return g.To
	}
	return i.Severity
}

// Limits of an action's texts, in bytes. Any client may have written them, and an incident
// that is too large cannot be stored.
const (
	maxBy     = 253
	maxReason = 1024
)

// Bounded truncates texts that are too long.
func (m Attribution) Bounded() Attribution {
	m.By, m.Reason, m.Source = clip(m.By, maxBy), clip(m.Reason, maxReason), clip(m.Source, maxBy)
	return m
}

// clip cuts text to n bytes, at the end of a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// text names the responder, the source and the reason.
func (m Attribution) text() string {
	text := "by " + cmp.Or(m.By, "somebody")
	if m.Source != "" {
		text += " (" + m.Source + ")"
	}
	if m.Reason != "" {
		text += ": " + m.Reason
	}
	return text
}
