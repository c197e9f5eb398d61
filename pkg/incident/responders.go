package incident

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Words are what people have said of one incident. They are its spec, which people
// write and watchdog only reads, and the incident takes each over once.
type Words struct {
	// Acked is who took the incident on; zero: nobody did.
	Acked Attribution
	// Graded is how grave a person says it is; zero: nobody did.
	Graded Grade
	// Notes are what people wrote down, by the note's id.
	Notes map[string]Note
	// Public is what a person says of the status page; zero: nobody did.
	Public PublicWord
	// Approved is what people say of a plan, by the id of the op that asked for it and
	// by who says it, so that nobody counts twice. The guard of approvals reads it, and
	// Step does not.
	Approved map[string]map[string]Approval `json:",omitempty"`
}

// Grade is a person's word on the severity: only a person lowers one.
type Grade struct {
	Attribution
	To Severity `json:"to"`
}

// Note is what a person wrote down; Reason is its text.
type Note struct {
	Attribution
	As string `json:"as,omitempty"`
}

// What a note can be; "" is a plain one.
const (
	Hypothesis = "hypothesis" // what may be the cause
	Decision   = "decision"   // what is to be done: a hotfix, a rollback
)

// MaxNotes bounds the notes that one incident takes over.
const MaxNotes = 50

// MaxKey is, in bytes, the longest id of a note, and the longest name that a yes counts
// of. Whoever may patch incidents can write any, and what is longer is nothing that
// watchdog has written.
const MaxKey = 400

// Name is a person's name as it is told.
func Name(who string) string { return clip(who, maxBy) }

// maxWordAhead is how far ahead of watchdog's clock the time of a word may lie. The next word
// needs a later one, so a word of the far future would be the last for ever.
const maxWordAhead = 24 * time.Hour

// Ahead reports whether a word's time is not believed yet.
func Ahead(word, now time.Time) bool { return word.After(now.Add(maxWordAhead)) }

// follows reports whether a word is later than the one that was taken over.
func follows(word, before, now time.Time) bool {
	return !word.IsZero() && !Ahead(word, now) && (word.After(before) || Ahead(before, now))
}

// With returns the words with those of more that are not empty: of an acknowledgement, a
// severity and a word to the public the new one, of notes and answers all.
func (w Words) With(more Words) Words {
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

// News reports whether there is something in the words that i has not taken over.
func (i Incident) News(w Words, now time.Time) bool {
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

// WithLate takes over what was said of an incident that is over: a moment before it ended,
// or of the public page since. It is told, and nothing follows from it.
func (i Incident) WithLate(w Words, at time.Time) (Incident, bool) {
	if !i.News(w, at) {
		return i, false
	}
	s := &step{i: i.clone(), at: at}
	s.listen(w)
	s.i, _ = s.i.WithWord(w.Public, at)
	return s.i, true
}

// listen takes over what people have said.
func (s *step) listen(w Words) {
	// In the order in which they were said: an acknowledgement is of what it was then.
	first := !w.Graded.At.IsZero() && !w.Acked.At.Before(w.Graded.At)
	if first {
		s.regrade(w.Graded)
	}
	if s.i.Acked.At.IsZero() && s.i.AnsweredBy(w.Acked) {
		s.i.Acked, s.i.AckBy, s.i.AckFor = w.Acked.Bounded(), time.Time{}, ""
		if !known(s.i.Acked.Severity) {
			s.i.Acked.Severity = s.i.Severity
		}
		s.note(KindAcknowledged, s.i.Acked.text())
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
			s.note(cmp.Or(Kind(n.As), KindNote), n.text())
		}
	}
}

// regrade takes over what a person says of the severity.
func (s *step) regrade(g Grade) {
	if !s.i.regraded(g, s.at) {
		return
	}
	was := s.i.Severity
	g.Attribution = g.Bounded()
	s.i.Graded, s.i.Severity = g, g.To
	s.note(KindSeverity, g.from(was))
	s.graver(was)
}

// from is what the timeline says of a severity that was another one.
func (g Grade) from(was Severity) string {
	return fmt.Sprintf("set from %s to %s %s", was, g.To, g.text())
}

// SeverityBy is how grave the incident is once the word of a person is taken over.
func (i Incident) SeverityBy(g Grade, now time.Time) Severity {
	if i.regraded(g, now) {
		return g.To
	}
	return i.Severity
}

// What of a person's word is taken over, in bytes. It may have been written by anything,
// and an incident that is too large cannot be stored.
const (
	maxBy     = 253
	maxReason = 1024
)

// Bounded is the word without what is too long to be one.
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

// SaidBy returns whose word an entry of the timeline tells of, which was taken over from
// w; false: it tells of nobody's.
func (i Incident) SaidBy(e Entry, w Words) (Attribution, bool) {
	var by Attribution
	switch e.Kind {
	case KindAcknowledged:
		by = i.Acked
	case KindSeverity:
		for _, was := range []Severity{P0, P1, P2, P3} {
			if e.Text == i.Graded.from(was) { // else a rule raised it
				by = i.Graded.Attribution
			}
		}
	case KindPublic:
		by = i.Public.Attribution
	case KindNote, Kind(Hypothesis), Kind(Decision):
		for _, n := range w.Notes {
			if n.Bounded().text() == e.Text {
				by = n.Bounded()
			}
		}
	}
	return by, !by.At.IsZero()
}

// text is who said what.
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
