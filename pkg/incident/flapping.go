package incident

import (
	"fmt"
	"slices"
	"time"
)

// FlapCalm is how long a flapping incident stays open after its last alert ended. It is
// shorter than package ingest remembers the end of an alert, so that one which comes back
// in that time is known by the name that the incident has for it.
const FlapCalm = 10 * time.Minute

// Flapping reports whether an incident resolves only after a calm: it is not the first
// on its target within an hour, has external alerts only, and no action was taken.
func (i Incident) Flapping() bool {
	return i.RelapseOf != "" && len(i.Attempts) == 0 && !slices.ContainsFunc(i.Alerts, Alert.own)
}

// own reports whether watchdog itself evaluates the alert.
func (a Alert) own() bool { return a.Source != SourceAlertmanager }

// over resolves an incident in which nothing fires any more: at once, or when a
// flapping one has been calm. One without notifications resolves at once.
func (s *step) over(told bool) {
	switch {
	case !s.i.Flapping() || s.i.CalmSince.IsZero() && !told:
		s.resolve()
	case s.i.CalmSince.IsZero():
		s.i.CalmSince, s.i.UpdatedAt = s.at, s.at
		if !slices.ContainsFunc(s.i.Timeline, func(e Entry) bool { return e.Kind == KindFlapping }) {
			s.note(KindFlapping, fmt.Sprintf("no alert is firing, but the target relapsed after incident %s: this "+
				"incident stays open until no alert has fired for %s", s.i.RelapseOf, FlapCalm))
		}
	case s.at.Sub(s.i.CalmSince) >= FlapCalm:
		s.resolve()
	}
}

// displaced resolves an incident that waits for a calm once watchdog itself sees
// something wrong: that is a new incident, with its own pages and actions.
func (s *step) displaced(now []Alert) bool {
	if s.i.CalmSince.IsZero() || s.i.Op != nil || !slices.ContainsFunc(now,
		func(a Alert) bool { return a.Firing && a.own() }) {
		return false
	}
	s.resolve()
	return true
}
