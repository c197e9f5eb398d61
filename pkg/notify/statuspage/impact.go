package statuspage

import (
	"slices"

	"watchdog.io/watchdog/pkg/incident"
)

// measured is what the incident means for the public. Only confirmed trouble
// counts: an incident whose rules cannot see says nothing.
func measured(i incident.Incident) publicState {
	switch {
	case i.Phase == incident.Resolved && unseen(i):
		return publicState{}
	case i.Phase == incident.Resolved:
		return publicState{resolved, operational}
	case i.Phase == incident.Frozen, !slices.ContainsFunc(i.Alerts,
		func(a incident.Alert) bool { return a.Firing && !a.Verdict.Unknown() }):
		return publicState{}
	case i.Phase == incident.Verifying && slices.ContainsFunc(i.Attempts,
		func(a incident.Attempt) bool { return a.Verdict == incident.Helped }):
		return publicState{"monitoring", impactOf(i)}
	case i.Op != nil && !i.Op.AppliedAt.IsZero():
		return publicState{"identified", impactOf(i)}
	}
	return publicState{"investigating", impactOf(i)}
}

// confirmed are the alerts of sources of watchdog's own that fired in the incident. Whoever
// may post alerts must not be able to tell the public (INV-44, S06): without any of these, the
// first post waits for a person.
func confirmed(i incident.Incident) []incident.Alert {
	return slices.DeleteFunc(slices.Clone(i.Alerts), func(a incident.Alert) bool {
		return a.Source == incident.SourceAlertmanager || !a.Firing && a.Was == ""
	})
}

// ownSeverity is the incident's severity without what others said of it, unless a person
// has graded it.
func ownSeverity(i incident.Incident) incident.Severity {
	own := confirmed(i)
	if len(own) == 0 || len(own) == len(i.Alerts) || !i.Graded.At.IsZero() {
		return i.Severity
	}
	worst := own[0].Severity
	for _, a := range own[1:] {
		if a.Severity.Worse(worst) {
			worst = a.Severity
		}
	}
	return worst
}

// unseen reports whether the incident ended without a recovery that was seen: its
// rule was taken away, or another incident took its place.
func unseen(i incident.Incident) bool {
	return slices.ContainsFunc(i.Timeline, func(e incident.Entry) bool {
		return (e.Kind == incident.KindRemoved || e.Kind == incident.KindSuperseded) && !e.At.Before(i.ResolvedAt)
	})
}

func impactOf(i incident.Incident) string {
	switch i.Severity {
	case incident.P0:
		return "major_outage"
	case incident.P1:
		return "partial_outage"
	}
	return "degraded_performance"
}
