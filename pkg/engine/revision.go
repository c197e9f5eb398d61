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
	setup, _ := e.held("")
	if setup == nil {
		return revisionLook, nil
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(setup.Targets)) {
		ts := setup.Targets[name]
		view := setup.View(name)
		if ts.Target.Kind != "deployment" || !view.Rollout.Known || view.Revision == "" {
			continue
		}
		looked := e.o.Now()
		now := revisionState{uid: view.Revision, healthy: healthy(view, looked, setup.Settings.StaleAfter)}
		e.mu.Lock()
		last, seen := e.health[name]
		e.mu.Unlock()
		due := seen && !last.due.IsZero() && !e.o.Now().Before(last.due)
		if seen && !due && last.uid == now.uid && last.healthy == now.healthy {
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
		e.mu.Lock()
		e.health[name] = now
		e.mu.Unlock()
	}
	if err := errors.Join(errs...); err != nil {
		e.o.Logger.Warn("revision records not brought up to date; tried again", "err", err)
	}
	return revisionLook, nil
}

// healthy: the rollout is complete and every rule that can see says OK, and said
// so lately: what a process saw before it hung is no proof for the time since.
// Rules of rule files say nothing while all is well; then the target's own probes
// must.
func healthy(v View, now time.Time, fresh time.Duration) bool {
	if !v.Rollout.Done {
		return false
	}
	seen := false
	for _, a := range v.Alerts {
		if a.Firing || a.Verdict == incident.Breach {
			return false
		}
		if a.Verdict == incident.OK && now.Sub(a.EvaluatedAt) > fresh {
			return false
		}
		seen = seen || a.Verdict == incident.OK
	}
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
func (e *Engine) observe(ctx context.Context, setup *Setup, ts TargetSetup, seen revisionState, looked time.Time) (agreed bool, err error) {
	w, err := e.o.Cluster.Workload(ctx, ts.Target, ts.Service)
	if err != nil {
		return false, err
	}
	if newest, ok := w.Newest(); !ok || newest.UID != seen.uid {
		return false, nil
	}
	for range swapAttempts {
		all, version, err := e.o.Store.Records(ctx, ts.Target.Namespace)
		if err != nil {
			return false, fmt.Errorf("read revision records: %w", err)
		}
		next, changed := remediate.Observe(all[ts.Target.String()], w, seen.healthy, looked, setup.Settings)
		if !changed {
			return true, nil
		}
		if all == nil {
			all = map[string][]remediate.Record{}
		}
		all[ts.Target.String()] = next
		if _, err = e.o.Store.SwapRecords(ctx, ts.Target.Namespace, all, version); err == nil || !errors.Is(err, ErrConflict) {
			return err == nil, err
		}
	}
	return false, fmt.Errorf("write revision records: lost %d times in a row to other writers", swapAttempts)
}
