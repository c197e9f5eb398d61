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

const (
	revisionLook = 2 * time.Second
	// revisionJudge is how often it is judged anew whether a revision is healthy, if nothing has
	// happened to its target: to judge a thousand each time took a quarter of the CPU.
	revisionJudge = 15 * time.Second
)

// revisionState is what decides whether a revision's record may have to change.
type revisionState struct {
	uid     string
	number  int64
	healthy bool
	due     time.Time // when the present healthy stretch has lasted long enough; zero: nothing is due
}

// sighting is a revision of a target as the watches and the rules have it now.
type sighting struct {
	target  TargetSetup
	now     revisionState
	looked  time.Time // when it was judged: reading may take long, and proves nothing of the time that it takes
	release bool      // it is new since the last look
	agreed  bool      // its records are up to date
	live    *remediate.Workload
}

// revisions keeps the record of which revisions were good, so that a rollback
// has somewhere to go (INV-31). The cluster is read and written only when a
// revision appeared, became healthy or unhealthy, or has been healthy long enough;
// after a start, when the records of its namespace do not have it so.
func (e *Engine) revisions(ctx context.Context) (time.Duration, error) {
	setup := e.currentSetup()
	if setup == nil {
		return revisionLook, nil
	}
	news := map[string][]*sighting{} // by namespace
	woken := e.takeWoken()
	maps.DeleteFunc(e.judged, func(name string, _ time.Time) bool { _, watched := setup.Targets[name]; return !watched })
	for _, name := range slices.Sorted(maps.Keys(setup.Targets)) {
		ts := setup.Targets[name]
		if ts.Target.Kind != "deployment" || !woken[name] && e.unchanged(setup, name) {
			continue
		}
		e.judged[name] = e.o.Now()
		snapshot := setup.Snapshot(name)
		if !snapshot.Rollout.Known || snapshot.Revision == "" {
			continue
		}
		s := &sighting{target: ts, looked: e.o.Now()}
		s.now = revisionState{uid: snapshot.Revision, number: snapshot.RevisionNumber,
			healthy: healthy(snapshot, s.looked, setup.Settings.StaleAfter)}
		last := e.known(name).revision
		due := last != nil && !last.due.IsZero() && !s.looked.Before(last.due)
		if last != nil && !due && last.uid == s.now.uid && last.number == s.now.number && last.healthy == s.now.healthy {
			continue
		}
		news[ts.Target.Namespace] = append(news[ts.Target.Namespace], s)
	}
	ctx = e.o.Background(ctx)
	var errs []error
	for _, namespace := range slices.Sorted(maps.Keys(news)) {
		if err := e.observe(ctx, setup, namespace, news[namespace]); err != nil {
			errs = append(errs, fmt.Errorf("namespace %s: %w", namespace, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		e.o.Logger.Warn("could not update revision records; will retry", "err", err)
	}
	return revisionLook, nil
}

// takeWoken returns the targets that were woken since the last call: those whose alerts
// changed, among others.
func (e *Engine) takeWoken() map[string]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	woken := e.woken
	e.woken = map[string]bool{}
	return woken
}

// unchanged reports whether a target's newest revision is the one that was judged a moment
// ago, and nothing is due.
func (e *Engine) unchanged(setup *Setup, name string) bool {
	last, now := e.known(name).revision, e.o.Now()
	if setup.Newest == nil || last == nil || !last.due.IsZero() && !now.Before(last.due) {
		return false
	}
	if ago := now.Sub(e.judged[name]); ago < 0 || ago >= revisionJudge {
		return false
	}
	uid, number := setup.Newest(name)
	return uid == last.uid && number == last.number
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

// observe brings the revision records of a namespace up to date with what was seen there: one
// read and, if something changes, one write for all of its targets. What did not agree is read
// again at the next look.
func (e *Engine) observe(ctx context.Context, setup *Setup, namespace string, seen []*sighting) error {
	unread := error(nil)
	for n := range swapAttempts {
		all, version, err := e.o.Store.Records(ctx, namespace)
		if err != nil {
			return fmt.Errorf("read revision records: %w", err)
		}
		if all == nil {
			all = map[string][]remediate.Record{}
		}
		if n == 0 {
			unread = e.readRollouts(ctx, setup, namespace, seen, all)
		}
		if !observed(seen, all, setup.Settings) {
			e.settle(seen, all, setup.Settings)
			return unread
		}
		if err = e.swapRecords(ctx, namespace, all, version); err == nil {
			e.settle(seen, all, setup.Settings)
			return unread
		}
		if !errors.Is(err, incident.ErrConflict) {
			return errors.Join(fmt.Errorf("write revision records: %w", err), unread)
		}
	}
	return errors.Join(fmt.Errorf("write revision records: %d conflicts in a row with other writers", swapAttempts),
		unread)
}

// readRollouts reads the workloads whose records may have to change, and notes which
// revisions are new. The error is of those that could not be read.
func (e *Engine) readRollouts(ctx context.Context, setup *Setup, namespace string, seen []*sighting,
	all map[string][]remediate.Record) error {
	var unsettled []*sighting
	var targets []incident.Target
	for _, s := range seen {
		records := all[s.target.Target.String()]
		s.release = e.rollout(s.target.Target.Name, records, s.now.uid)
		s.agreed = !s.release && remediate.Settled(records, s.now.uid, s.now.number, s.now.healthy, s.looked, setup.Settings)
		if !s.agreed {
			unsettled, targets = append(unsettled, s), append(targets, s.target.Target)
		}
	}
	if len(targets) == 0 {
		return nil
	}
	live, err := e.o.Cluster.Rollouts(ctx, namespace, targets)
	for _, s := range unsettled {
		if w, ok := live[s.target.Target.String()]; ok {
			s.live = &w
		}
	}
	return err
}

// observed puts into all records of a namespace what was seen of those workloads that were
// read, and reports whether that changes any. It leaves a workload alone unless what was
// judged and what was read are the same revision: a release must not inherit the good name
// of another.
func observed(seen []*sighting, all map[string][]remediate.Record, s remediate.Settings) (changed bool) {
	for _, x := range seen {
		if x.live == nil {
			x.agreed = x.agreed && remediate.Settled(all[x.target.Target.String()], x.now.uid, x.now.number, x.now.healthy,
				x.looked, s)
			continue
		}
		newest, ok := x.live.Newest()
		if x.agreed = ok && newest.UID == x.now.uid; !x.agreed {
			continue
		}
		target := x.target.Target.String()
		next, news := remediate.Observe(all[target], *x.live, x.now.healthy, x.looked, s)
		if news {
			all[target], changed = next, true
		}
	}
	return changed
}

// settle takes note of what agreed with the records as they are now, and tells of releases.
func (e *Engine) settle(seen []*sighting, all map[string][]remediate.Record, s remediate.Settings) {
	for _, x := range seen {
		if !x.agreed {
			continue
		}
		if x.now.healthy {
			x.now.due = remediate.GoodFrom(all[x.target.Target.String()], x.now.uid, x.looked, s)
		}
		e.change(x.target.Target.Name, func(t *targetState) { t.revision = &x.now })
		if x.release && e.o.Released != nil {
			newest, _ := x.live.Newest()
			e.o.Released(Release{Target: x.target.Target, Revision: newest, At: x.looked})
		}
	}
}

// fewest are how many records of a workload stay when those of a namespace are too large for
// one object.
var fewest = []int{10, 5, 3, 2, 1}

// swapRecords writes the records of a namespace. If they are too large for one object, older
// revisions are left out, and no rollback goes to them.
func (e *Engine) swapRecords(ctx context.Context, namespace string, all map[string][]remediate.Record,
	version string) error {
	_, err := e.o.Store.SwapRecords(ctx, namespace, all, version)
	for _, n := range fewest {
		if !errors.Is(err, incident.ErrTooLarge) {
			return err
		}
		e.o.Logger.Warn("the revision records of a namespace are too large for one object: those of older revisions are "+
			"left out, and watchdog does not roll back to them; lower revisionHistoryLimit of the deployments, or watch fewer",
			"namespace", namespace, "workloads", len(all), "kept", n, "err", err)
		_, err = e.o.Store.SwapRecords(ctx, namespace, remediate.Fewer(all, n), version)
	}
	return err
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
