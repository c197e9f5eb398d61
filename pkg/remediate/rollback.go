package remediate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// planRollback gives the workload the template of the newest revision that watchdog
// itself observed healthy for long enough (INV-31). Its inverse restores the broken release
// and so has no lease: it is for a rollback that itself removed pods or endpoints,
// and is not a second rollback (INV-33, INV-56).
func planRollback(f Facts) (incident.Plan, *incident.Answer) {
	if a := unfit(f, incident.ActionRollback); a != nil {
		return incident.Plan{}, a
	}
	w := f.Workload
	if reason, forbidden := w.Annotations[NoRollbackAnnotation]; forbidden {
		return refuse(incident.Skip, "the annotation %s=%q forbids rollback", NoRollbackAnnotation, clip(reason))
	}
	current, ok := currentRevision(w)
	if !ok {
		return refuse(incident.Wait, "none of the %d ReplicaSets has the template of generation %d (observed %d): "+
			"the controller has not caught up", len(w.Revisions), w.Generation, w.Observed)
	}
	for _, check := range []func(Facts, Revision) *incident.Answer{onceOnly, notRestored, suspect} {
		if a := check(f, current); a != nil {
			return incident.Plan{}, a
		}
	}
	if a := capacity(f, incident.ActionRollback); a != nil {
		return incident.Plan{}, a
	}
	if a := dependencyDown(f, incident.ActionRollback); a != nil {
		return incident.Plan{}, a
	}
	to, rec, refusal := lastGood(f, current)
	if refusal != nil {
		return incident.Plan{}, refusal
	}
	_, err := templatePatch(w.Template, to.Template)
	if err == nil {
		_, err = templatePatch(to.Template, w.Template)
	}
	if err != nil {
		return refuse(incident.HandOver, "plan rollback of %s to revision %s: %v", w.Target, describe(to), err)
	}
	return incident.Plan{
		Summary: fmt.Sprintf("roll back %s from revision %s to revision %s, known good since %s", w.Target,
			describe(current), describe(to), rec.GoodAt.UTC().Format(time.RFC3339)),
		Object: deployment(w), Revision: templateOf(to), Back: templateOf(current),
		Changes: changes(w.Template, to.Template),
		Field:   "revision", Before: describe(current), After: describe(to),
		Was: fingerprint(w.Template), Is: fingerprint(to.Template),
		Price: w.Desired + w.MaxSurge,
	}, nil
}

// onceOnly: at most one rollback per incident (INV-33).
func onceOnly(f Facts, _ Revision) *incident.Answer {
	n := 0
	for _, a := range f.Incident.Attempts {
		if a.Action == incident.ActionRollback && a.Verdict != incident.Aborted {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	a := hold(incident.HandOver, "%d of 1 rollbacks made in this incident", n)
	return &a
}

// notRestored: never roll back a rollback (INV-33). A restart in between does not
// make it another release. If others deployed a revision again, it may be a rollback
// or just another run of a pipeline, so a person decides. A release that has been
// current for long is not a suspect, whatever its origin.
func notRestored(f Facts, current Revision) *incident.Answer {
	if f.Alert.ActiveAt.Sub(releasedAt(f, current)) > f.Settings.SuspectWindow {
		return nil
	}
	for _, r := range f.Workload.Revisions {
		rec, ok := record(f.Records, r.UID)
		if !ok || rec.RestoredBy == "" || !sameRelease(r, current) {
			continue
		}
		a := hold(incident.HandOver, "the older revision %s was made current again by %s, which may be a rollback: "+
			"watchdog never rolls back a rollback", describe(current), clip(rec.RestoredBy))
		switch {
		case strings.HasPrefix(rec.RestoredBy, "op "):
			a = hold(incident.HandOver, "revision %s was itself restored by a rollback (%s): watchdog never rolls "+
				"back a rollback", describe(current), clip(rec.RestoredBy))
			a.Code = incident.CodeRestored
		case !rec.RolledBackAt.IsZero():
			a = hold(incident.HandOver, "watchdog rolled back revision %s at %s, and %s deployed it again: "+
				"watchdog does not roll it back twice", describe(current), rec.RolledBackAt.UTC().Format(time.RFC3339),
				clip(rec.RestoredBy))
		}
		return &a
	}
	return nil
}

// destination is the revision that a rollback would restore, and the current one.
func destination(f Facts) (to, current Revision, refusal *incident.Answer) {
	current, ok := currentRevision(f.Workload)
	if !ok {
		a := hold(incident.Wait, "the current revision is unknown")
		return Revision{}, Revision{}, &a
	}
	to, _, refusal = lastGood(f, current)
	return to, current, refusal
}

// lastGood returns the newest revision that is known to be good, or why there is none.
func lastGood(f Facts, current Revision) (Revision, Record, *incident.Answer) {
	revisions := slices.SortedFunc(slices.Values(f.Workload.Revisions),
		func(a, b Revision) int { return int(b.Number - a.Number) })
	var known []string
	for _, r := range revisions {
		if r.UID == current.UID {
			continue
		}
		rec, why := goodness(f, r, current)
		if why == "" {
			return r, rec, nil
		}
		known = append(known, fmt.Sprintf("%s %s", describe(r), why))
	}
	a := hold(incident.HandOver, "there is no revision to roll back to from %s: no other revision exists",
		describe(current))
	if len(known) > 0 {
		a = hold(incident.HandOver, "none of %d other revisions is known to be good: %s", len(known), list(known))
	}
	return Revision{}, Record{}, &a
}

// goodness returns the record of a revision that is known to be good, or why it is not.
func goodness(f Facts, r, current Revision) (Record, string) {
	if sameRelease(r, current) {
		return Record{}, "differs from the current one only by restarts"
	}
	if startsTheSame(r, current) {
		return Record{}, "differs from the current one only in annotations and dates: it would start the same " +
			"images"
	}
	for _, other := range f.Workload.Revisions {
		if rec, ok := record(f.Records, other.UID); ok && !rec.RolledBackAt.IsZero() && sameRelease(other, r) {
			return Record{}, "was itself rolled back at " + rec.RolledBackAt.UTC().Format(time.RFC3339)
		}
	}
	for _, other := range f.Workload.Revisions {
		if newer, ok := record(f.Records, other.UID); other.Number > r.Number && !sameRelease(other, r) &&
			startsTheSame(other, r) && (!ok || newer.GoodAt.IsZero() || !newer.RolledBackAt.IsZero()) {
			return Record{}, fmt.Sprintf("would start the same pods as revision %s, which is not known to be good",
				describe(other))
		}
	}
	rec, ok := record(f.Records, r.UID)
	switch {
	case !ok:
		return Record{}, "was never observed running"
	case rec.GoodAt.IsZero():
		return Record{}, fmt.Sprintf("was never healthy for %s", f.Settings.GoodAfter)
	}
	return rec, ""
}

// clip bounds text that came from an annotation.
func clip(s string) string {
	const limit = 200
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}
