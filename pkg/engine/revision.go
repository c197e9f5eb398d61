package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

const revisionLook = 2 * time.Second

// revisionState is what decides whether a revision's record may have to change.
type revisionState struct {
	uid     string
	healthy bool
	due     time.Time // when the present healthy stretch has lasted long enough; zero once written
}

// revisions keeps the record of which revisions were good, so that a rollback
// has somewhere to go (INV-31). The cluster is read and written only when a
// revision appeared, became healthy or unhealthy, or has been healthy long enough.
func (e *Engine) revisions(ctx context.Context) (time.Duration, error) {
	setup := e.currentSetup()
	if setup == nil {
		return revisionLook, nil
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(setup.Targets)) {
		ts := setup.Targets[name]
		snapshot := setup.Snapshot(name)
		if ts.Target.Kind != "deployment" || !snapshot.Rollout.Known || snapshot.Revision == "" {
			continue
		}
		looked := e.o.Now()
		now := revisionState{uid: snapshot.Revision, healthy: healthy(snapshot, looked, setup.Settings.StaleAfter)}
		last := e.known(name).revision
		due := last != nil && !last.due.IsZero() && !e.o.Now().Before(last.due)
		if last != nil && !due && last.uid == now.uid && last.healthy == now.healthy {
			continue
		}
		agreed, err := e.observe(ctx, setup, ts, now, looked)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		if !agreed {
			continue // read again at the next look
		}
		if now.healthy && !due {
			now.due = looked.Add(setup.Settings.GoodAfter)
		}
		e.change(name, func(t *targetState) { t.revision = &now })
	}
	if err := errors.Join(errs...); err != nil {
		e.o.Logger.Warn("could not update revision records; will retry", "err", err)
	}
	return revisionLook, nil
}

// healthy: the rollout is complete and every rule that can see says OK, and said
// so lately: what a process saw before it hung is no proof for the time since.
// Where rules would roll the target back, it takes one of them: that a disk has
// room says nothing of a release. If none of them sees (rules of rule files say
// nothing while all is well), the target's own probes must.
func healthy(v Snapshot, now time.Time, fresh time.Duration) bool {
	if !v.Rollout.Done {
		return false
	}
	seen, judges, sees := false, false, false
	for _, a := range v.Alerts {
		if a.Firing || a.Verdict == incident.Breach {
			return false
		}
		if a.Verdict == incident.OK && now.Sub(a.EvaluatedAt) > fresh {
			return false
		}
		seen = seen || a.Verdict == incident.OK
		if slices.ContainsFunc(a.Ladder, func(r incident.Rung) bool { return r.Action == incident.ActionRollback }) {
			judges, sees = true, sees || a.Verdict == incident.OK
		}
	}
	seen = seen && (sees || !judges)
	for _, s := range v.Signals {
		seen = seen || s.Source == "probe" && s.Known && !s.Bad && now.Sub(s.At) <= fresh
	}
	return seen
}

// observe brings the target's revision records up to date. It does nothing, and
// says so, unless what was judged and what is read now are the same revision: a
// release must not inherit the good name of another.
//
// looked is when it was judged: reading may take long, and proves nothing of the
// time that it takes.
func (e *Engine) observe(ctx context.Context, setup *Setup, ts TargetSetup, seen revisionState,
	looked time.Time) (agreed bool, err error) {
	w, err := e.o.Cluster.Workload(ctx, ts.Target, ts.Service)
	if err != nil {
		return false, err
	}
	newest, ok := w.Newest()
	if !ok || newest.UID != seen.uid {
		return false, nil
	}
	rollout := false
	defer func() {
		if agreed && rollout && e.o.Released != nil {
			e.o.Released(Release{Target: ts.Target, Revision: newest, At: looked})
		}
	}()
	for n := range swapAttempts {
		all, version, err := e.o.Store.Records(ctx, ts.Target.Namespace)
		if err != nil {
			return false, fmt.Errorf("read revision records: %w", err)
		}
		if n == 0 {
			rollout = e.rollout(ts.Target.Name, all[ts.Target.String()], newest.UID)
		}
		next, changed := remediate.Observe(all[ts.Target.String()], w, seen.healthy, looked, setup.Settings)
		if !changed {
			return true, nil
		}
		if all == nil {
			all = map[string][]remediate.Record{}
		}
		all[ts.Target.String()] = next
		if _, err = e.o.Store.SwapRecords(ctx, ts.Target.Namespace, all, version); err == nil ||
			!errors.Is(err, incident.ErrConflict) {
			return err == nil, err
		}
	}
	return false, fmt.Errorf("write revision records: %d conflicts in a row with other writers", swapAttempts)
}

// Release is a new rollout of a target: the revision that became its newest.
type Release struct {
	Target   incident.Target
	Revision remediate.Revision
	At       time.Time
}

// rollout reports whether a revision is new: another than at the last look, or after
// a start, one that the records of others do not hold. The first of all is not.
func (e *Engine) rollout(target string, records []remediate.Record, uid string) bool {
	if last := e.known(target).revision; last != nil {
		return last.uid != uid
	}
	return len(records) > 0 && !slices.ContainsFunc(records, func(r remediate.Record) bool { return r.UID == uid })
}
