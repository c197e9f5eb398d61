package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Response has the deadlines of the response.
type Response interface {
	// Due returns the deadline for an acknowledgement of an incident of the severity:
	// of the first asking (step 0) or a later one, that began at the given time. Zero:
	// there is none.
	Due(s Severity, step int, from time.Time) time.Time
	// Phases returns what the response to such an incident must have brought by when,
	// in the order of their times.
	Phases(s Severity) []Stage
}

// Stage is a phase of a response (runbook 4.2): what must be there that long after
// a person was first needed.
type Stage struct {
	Name   string
	Within time.Duration
	Needs  []Need
}

// Need is something that a phase must have brought.
type Need string

// The needs, and what meets them.
const (
	NeedsAnswer     Need = "acknowledged" // a responder acknowledged the incident
	NeedsEvidence   Need = "evidence"     // evidence captured, an action applied, or acknowledged
	NeedsHypothesis Need = "hypothesis"   // a responder noted one
	NeedsDecision   Need = "decision"     // a responder noted one, or an action helped
)

// Needs are all of them.
func Needs() []Need { return []Need{NeedsAnswer, NeedsEvidence, NeedsHypothesis, NeedsDecision} }

// met reports whether the incident has what is needed.
func (n Need) met(i Incident) bool {
	switch n {
	case NeedsAnswer:
		return !i.Acked.At.IsZero()
	case NeedsEvidence:
		return i.Evidence != "" || len(i.Attempts) > 0 || !i.Acked.At.IsZero()
	case NeedsHypothesis:
		return slices.Contains(i.Found, Hypothesis)
	case NeedsDecision:
		return slices.Contains(i.Found, Decision) || slices.ContainsFunc(i.Attempts,
			func(a Attempt) bool { return a.Verdict == Helped || a.Verdict == ByItself })
	}
	return false
}

// Awaited reports whether an acknowledgement is due. An action in progress postpones it,
// except for P0.
func (i Incident) Awaited() bool { return i.needed() && i.Acked.At.IsZero() }

// needed reports whether the incident needs a person who is notified of it.
func (i Incident) needed() bool {
	return (i.Paged || i.Severity == P0) && i.Phase != Resolved && !i.Shared && i.Silenced() == ""
}

// respond keeps the clocks of the response. A deadline is set once and stored, so
// that restarts and changes of leader neither lose nor repeat it; only a higher
// severity moves it, and only to an earlier time. When one passes, the next begins and the
// next people are notified.
func (s *step) respond() {
	if s.p.Response == nil {
		s.i.AckBy, s.i.AckFor, s.i.PhaseBy = time.Time{}, "", time.Time{}
		return
	}
	missed := s.answer()
	if s.phase() || missed {
		s.i.Step++
	}
}

// answer keeps the clock of the acknowledgement, and reports whether a deadline
// has passed.
func (s *step) answer() bool {
	if !s.i.Awaited() {
		s.i.AckBy, s.i.AckFor = time.Time{}, ""
		return false
	}
	if s.i.AckFor != s.i.Severity {
		if s.i.AckFor != "" && s.i.Severity.Worse(s.i.AckFor) {
			s.i.AckFrom = s.i.Unanswered
		}
		due := s.p.Response.Due(s.i.Severity, s.i.Unanswered-s.i.AckFrom, s.at)
		if s.i.AckBy.IsZero() || !due.IsZero() && due.Before(s.i.AckBy) {
			s.i.AckBy = due
		}
		s.i.AckFor = s.i.Severity
	}
	if s.i.AckBy.IsZero() || s.at.Before(s.i.AckBy) {
		return false
	}
	s.i.Unanswered++
	due := s.i.AckBy
	s.i.AckBy = s.p.Response.Due(s.i.Severity, s.i.Unanswered-s.i.AckFrom, s.at)
	text := fmt.Sprintf("no acknowledgement of this %s by %s (deadline %d); ", s.i.Severity,
		due.UTC().Format("2006-01-02 15:04:05 UTC"), s.i.Unanswered)
	if s.i.AckBy.IsZero() {
		text += "no further deadline"
	} else {
		text += "next deadline " + s.i.AckBy.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	s.note(KindUnanswered, text)
	return true
}

// AnsweredBy reports whether an acknowledgement counts for the incident as it is now:
// one of a lesser severity does not, nor does one that stopped to count before.
func (i Incident) AnsweredBy(m Attribution) bool {
	before := i.AckedBefore
	switch {
	case m.At.IsZero(), known(m.Severity) && i.Severity.Worse(m.Severity):
		return false
	case !before.At.IsZero() && m.At.Equal(before.At) && m.By == before.By &&
		(!known(m.Severity) || m.Severity == before.Severity):
		return false // the same one
	}
	return true
}

func known(s Severity) bool { return s == P0 || s == P1 || s == P2 || s == P3 }

// graver follows a change of the severity. Who acknowledged a lesser one has not
// answered to this (INV-60): people are asked again, and the clocks of the response
// begin anew.
func (s *step) graver(was Severity) {
	if !s.i.Severity.Worse(was) || was == "" || s.i.Phase == Resolved && s.i.Op == nil {
		return
	}
	had := s.i.Acked
	if !known(had.Severity) {
		had.Severity = was // stored by an older version
	}
	void := !had.At.IsZero() && s.i.Severity.Worse(had.Severity)
	if void {
		s.i.AckedBefore, s.i.Acked = had, Attribution{}
		s.i.AckBy, s.i.AckFor, s.i.AckFrom = time.Time{}, "", s.i.Unanswered
		s.note(KindUnacknowledged, fmt.Sprintf("%s acknowledged this as %s; severity is now %s, "+
			"acknowledge again", or(had.By, "somebody"), had.Severity, s.i.Severity))
	}
	if void || s.i.Stage > 0 {
		s.i.Stage = 0
		if !s.i.NeededAt.IsZero() {
			s.i.NeededAt = s.at
		}
	}
}

// phase keeps the clock of the phases, and reports whether one has ended without
// what it must bring.
func (s *step) phase() bool {
	s.i.PhaseBy = time.Time{}
	if !s.i.needed() {
		return false
	}
	if s.i.NeededAt.IsZero() {
		s.i.NeededAt = s.at
	}
	overdue := false
	all := s.p.Response.Phases(s.i.Severity)
	for s.i.Stage < len(all) {
		p := all[s.i.Stage]
		if end := s.i.NeededAt.Add(p.Within); s.at.Before(end) {
			s.i.PhaseBy = end
			break
		}
		s.i.Stage++
		var open []string
		for _, n := range p.Needs {
			if !n.met(s.i) {
				open = append(open, string(n))
			}
		}
		if len(open) > 0 {
			overdue = true
			s.i.Overdue++
			s.note(KindOverdue, fmt.Sprintf("phase %s ended after %s without: %s; %s", p.Name, p.Within,
				strings.Join(open, ", "), how(Need(open[0]), s.i.ID)))
		}
	}
	return overdue
}

// how says what a person does to meet a need.
func how(n Need, id string) string {
	switch n {
	case NeedsHypothesis:
		return fmt.Sprintf("record a possible cause with `watchdog note %s --as hypothesis TEXT`", id)
	case NeedsDecision:
		return fmt.Sprintf("record a hotfix or rollback decision with `watchdog note %s --as decision TEXT`", id)
	}
	return fmt.Sprintf("acknowledge with `watchdog ack %s`", id)
}
