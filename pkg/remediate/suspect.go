package remediate

import (
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// suspect: the breach must have begun soon after the release was deployed (INV-32). If it
// began only after watchdog's own restart, the restart is the suspect, and its revision is
// not a release (INV-63).
func suspect(f Facts, current Revision) *incident.Answer {
	released, began := releasedAt(f, current), f.Alert.ActiveAt
	var a incident.Answer
	if m, own := restartedBy(f); own && began.After(m.At) {
		a = hold(incident.Skip, "the release is not the suspect: the breach began %s after watchdog restarted the "+
			"pods (op %s), which created revision %s", began.Sub(m.At).Round(time.Second), m.Op,
			describe(current))
		return &a
	}
	switch after := began.Sub(released); {
	case released.IsZero() || began.IsZero():
		a = hold(incident.Skip, "the release is not the suspect: unknown when revision %s was deployed or when the "+
			"breach began", describe(current))
	case after < 0:
		a = hold(incident.Skip, "the release is not the suspect: the breach began %s before revision %s was deployed",
			(-after).Round(time.Second), describe(current))
	case after > f.Settings.SuspectWindow:
		a = hold(incident.Skip, "the release is not the suspect: the breach began %s after revision %s was deployed, "+
			"more than %s",
			after.Round(time.Second), describe(current), f.Settings.SuspectWindow)
		a.Code = incident.CodeBreachIsLater
	default:
		// A rule that looks back detects a breach that much later.
		rec, good := knownGood(f, current)
		if !good || !rec.GoodAt.Before(began.Add(-f.Alert.Lookback)) {
			return nil
		}
		a = hold(incident.Skip, "the release is not the suspect: revision %s was healthy for %s, and the breach "+
			"began %s after that", describe(current), f.Settings.GoodAfter, began.Sub(rec.GoodAt).Round(time.Second))
	}
	return &a
}

// knownGood returns the record which shows that the revision's release was healthy for long
// enough and was not rolled back since. A restart does not make it another release.
func knownGood(f Facts, current Revision) (Record, bool) {
	for _, r := range f.Workload.Revisions {
		if rec, ok := record(f.Records, r.UID); ok && !rec.GoodAt.IsZero() && rec.RolledBackAt.IsZero() &&
			sameRelease(r, current) {
			return rec, true
		}
	}
	return Record{}, false
}

// restartedBy returns watchdog's own restart, if the current template is from it.
func restartedBy(f Facts) (incident.Move, bool) {
	at := templateAnnotation(f.Workload.Template, RestartedAtAnnotation)
	for _, m := range f.Ledger.Moves {
		if at != "" && m.Object == f.Workload.Target.UID && m.Field == "restartedAt" && m.To == at {
			return m, true
		}
	}
	return incident.Move{}, false
}
