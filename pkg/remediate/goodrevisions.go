package remediate

import (
	"cmp"
	"slices"
	"time"
)

// maxRecords bounds what is remembered of one workload's revisions.
const maxRecords = 50

// Observe updates the revision records from a workload read. healthy means that
// no rule is in breach and the rollout is complete. changed reports whether next
// must be written. Records of revisions that no longer exist are dropped; a
// read without any revision changes nothing, because it proves nothing.
//
// A known revision that becomes current again under a higher number was restored by a
// rollback, of watchdog or a person: the record names it, and a revision that watchdog rolled
// back is marked as such. Being healthy for GoodAfter again clears that mark.
func Observe(records []Record, w Workload, healthy bool, now time.Time, s Settings) (next []Record, changed bool) {
	current, ok := currentRevision(w)
	if !ok || w.Observed < w.Generation {
		return records, false
	}
	next = restored(slices.Clone(records), current, w, now)
	next = followed(next, current, w, now)
	for i := range next {
		if next[i].UID == current.UID && next[i].Startup == 0 && !w.RolloutInProgress() {
			next[i].Startup = observedStartup(podsOf(w, current))
		}
		judgeRecord(&next[i], next[i].UID == current.UID && healthy && !w.RolloutInProgress(), now, s.GoodAfter)
	}
	slices.SortFunc(next, func(a, b Record) int { return cmp.Compare(b.Number, a.Number) })
	next = next[:min(len(next), maxRecords)]
	if slices.EqualFunc(next, records, sameRecord) {
		return records, false
	}
	return next, true
}

// Settled reports whether Observe would leave the records of a workload as they are, for all
// that the watches say: the revision that they saw is the newest on record, under its number,
// with its health. Whoever asks need not read the workload. Number 0 is not known.
func Settled(records []Record, uid string, number int64, healthy bool, now time.Time, s Settings) bool {
	var newest Record
	for _, r := range records {
		if r.Number > newest.Number {
			newest = r
		}
	}
	if uid == "" || number == 0 || newest.UID != uid || newest.Number != number {
		return false
	}
	if healthy && newest.Startup == 0 {
		return false // its pods may tell by now
	}
	next := newest
	judgeRecord(&next, healthy, now, s.GoodAfter)
	return sameRecord(next, newest)
}

// GoodFrom is when a revision that stays healthy from now on will have been so for long
// enough; zero: it needs no further look for that.
func GoodFrom(records []Record, uid string, now time.Time, s Settings) time.Time {
	r, _ := record(records, uid)
	switch {
	case r.HealthySince.IsZero():
		return now.Add(s.GoodAfter)
	case r.GoodAt.IsZero(), !r.RolledBackAt.IsZero() && r.HealthySince.After(r.RolledBackAt):
		return r.HealthySince.Add(s.GoodAfter)
	}
	return time.Time{}
}

// Fewer leaves of each workload the n records of the newest revisions, and that of the newest
// good one: one that is left out is no revision to roll back to.
func Fewer(all map[string][]Record, n int) map[string][]Record {
	kept := make(map[string][]Record, len(all))
	for target, records := range all {
		newestFirst := slices.SortedFunc(slices.Values(records),
			func(a, b Record) int { return cmp.Compare(b.Number, a.Number) })
		few := slices.Clone(newestFirst[:min(n, len(newestFirst))])
		good := func(r Record) bool { return !r.GoodAt.IsZero() && r.RolledBackAt.IsZero() }
		// The current one does not count: a rollback goes to another.
		if !slices.ContainsFunc(few[min(1, len(few)):], good) {
			if k := slices.IndexFunc(newestFirst[len(few):], good); k >= 0 {
				few = append(few, newestFirst[len(few)+k])
			}
		}
		kept[target] = few
	}
	return kept
}

// restored records a rollback since the last read.
func restored(records []Record, current Revision, w Workload, now time.Time) []Record {
	newest := -1
	for i, r := range records {
		if newest < 0 || r.Number > records[newest].Number {
			newest = i
		}
	}
	for i, r := range records {
		if r.UID != current.UID || current.Number <= records[newest].Number {
			continue
		}
		by, ours := restorer(w)
		records[i].RestoredBy, records[i].CurrentAt = by, now
		if at := templateWritten(w, records[newest].CurrentAt, now); !at.IsZero() {
			records[i].CurrentAt = at
		}
		// Its number rose, so it was restored, even if what came between was never seen.
		if ours && i != newest {
			records[newest].RolledBackAt = now
		}
	}
	return records
}

// restorer names what wrote the template last: our op, or another field manager.
func restorer(w Workload) (by string, ours bool) {
	var last Manager
	for _, m := range w.Managers {
		if m.Template && (last.Name == "" || m.At.After(last.At)) {
			last = m
		}
	}
	if op := w.Annotations[OpAnnotation]; op != "" && (last.Name == "watchdog" || last.Name == "") {
		return "op " + clip(op), true
	}
	return clip(cmp.Or(last.Name, "somebody")), false
}

// templateWritten is when the template was last written, according to the object's field
// managers; zero if that is not after the given time, or in the future.
func templateWritten(w Workload, after, now time.Time) time.Time {
	var last time.Time
	for _, m := range w.Managers {
		if m.Template && m.At.After(last) {
			last = m.At
		}
	}
	if !last.After(after) || last.After(now) {
		return time.Time{}
	}
	return last
}

// followed returns one record per ReplicaSet, with its current number.
func followed(records []Record, current Revision, w Workload, now time.Time) []Record {
	var next []Record
	for _, r := range w.Revisions {
		if r.UID == "" {
			continue
		}
		rec, ok := record(records, r.UID)
		if !ok {
			rec = Record{UID: r.UID, SeenAt: now}
			if r.UID == current.UID {
				// Its ReplicaSet may be older than the deploy that made it current.
				rec.CurrentAt = templateWritten(w, r.CreatedAt, now)
			}
		}
		rec.Number = r.Number
		next = append(next, rec)
	}
	return next
}

// judgeRecord follows how long a revision has been healthy while it was current.
func judgeRecord(r *Record, healthy bool, now time.Time, goodAfter time.Duration) {
	switch {
	case !healthy:
		r.HealthySince = time.Time{}
		return
	case r.HealthySince.IsZero() || r.HealthySince.After(now):
		r.HealthySince = now
	}
	if now.Sub(r.HealthySince) < goodAfter {
		return
	}
	if r.GoodAt.IsZero() || r.HealthySince.After(r.RolledBackAt) && !r.RolledBackAt.IsZero() {
		r.GoodAt, r.RolledBackAt = now, time.Time{}
	}
}

func sameRecord(a, b Record) bool {
	return a.UID == b.UID && a.Number == b.Number && a.RestoredBy == b.RestoredBy && a.Startup == b.Startup &&
		a.CurrentAt.Equal(b.CurrentAt) && a.SeenAt.Equal(b.SeenAt) &&
		a.HealthySince.Equal(b.HealthySince) && a.GoodAt.Equal(b.GoodAt) && a.RolledBackAt.Equal(b.RolledBackAt)
}
