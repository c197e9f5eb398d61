package incident

import (
	"fmt"
	"time"
)

// Response is by when a person must say that the incident is theirs.
type Response interface {
	// Due returns the deadline for an incident of the severity that a person was
	// asked about at the given time. Zero: there is none.
	Due(s Severity, from time.Time) time.Time
}

// Awaited reports whether a person was asked and none has said yet that the
// incident is theirs. A remedy under way puts the human step off, but for P0.
func (i Incident) Awaited() bool {
	return (i.Paged || i.Severity == P0) && i.Acked.At.IsZero() && i.Phase != Resolved && !i.Shared && i.Silenced() == ""
}

// respond keeps the clock of the acknowledgement. A deadline is set once and
// stored, so that restarts and changes of leader neither lose nor repeat it; only
// a graver severity moves it, and only to an earlier time. One that passes is
// told, and the next begins.
func (s *step) respond() {
	if s.p.Response == nil || !s.i.Awaited() {
		s.i.AckBy, s.i.AckFor = time.Time{}, ""
		return
	}
	if s.i.AckFor != s.i.Severity {
		due := s.p.Response.Due(s.i.Severity, s.at)
		if s.i.AckBy.IsZero() || !due.IsZero() && due.Before(s.i.AckBy) {
			s.i.AckBy = due
		}
		s.i.AckFor = s.i.Severity
	}
	if s.i.AckBy.IsZero() || s.at.Before(s.i.AckBy) {
		return
	}
	s.i.Unanswered++
	due := s.i.AckBy
	s.i.AckBy = s.p.Response.Due(s.i.Severity, s.at)
	s.note("unanswered", fmt.Sprintf("nobody acknowledged this %s by %s, deadline %d; the next is %s", s.i.Severity, due.UTC().Format("2006-01-02 15:04:05"), s.i.Unanswered, s.i.AckBy.UTC().Format("2006-01-02 15:04:05")))
}
