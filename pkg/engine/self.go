package engine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// Self is the name under which watchdog's own incident is worked.
const Self = incident.Self

const (
	selfLook = 2 * time.Second
	// stormCalm is how long things must be calm before a storm is over.
	stormCalm = 5 * time.Minute
)

// globalState is what concerns all targets at once.
type globalState struct {
	storm      string    // what the storm is; empty: none
	stormSince time.Time // first seen
	calmSince  time.Time // since when it would be over
	blindness
	// unfit says why watchdog does not trust itself any more; it ends with the process.
	unfit string
	// canaryFailed says why watchdog does not trust itself until it is tried out again, and
	// cannotPage why it reaches nobody. Both are told from outside: see CanaryFailed and CannotPage.
	canaryFailed      string
	canaryFailedSince time.Time
	cannotPage        string
	cannotPageSince   time.Time
	// drift is where the public page does not say what is measured.
	drift      string
	driftSince time.Time
}

// Distrust makes this engine only watch from now on: what it would decide may be
// wrong (INV-49, INV-52).
func (e *Engine) Distrust(why string) {
	e.mu.Lock()
	fresh := e.global.unfit == ""
	e.global.unfit = cmp.Or(e.global.unfit, why)
	e.mu.Unlock()
	if fresh {
		e.o.Logger.Error("watchdog only watches from now on", "reason", why)
		e.Wake(Self)
	}
}

// refresh brings what concerns all targets up to date. A storm begins when more targets are
// in breach than are believed, and ends only after a calm (PEERS W3).
func (e *Engine) refresh(setup *Setup) globalState {
	fleet, now := setup.FleetHealth(), e.o.Now()
	limit := remediate.Believed(setup.Settings, fleet.Watched)
	began := false
	defer func() {
		if began {
			e.Wake(Self)
		}
	}()
	e.mu.Lock()
	defer e.mu.Unlock()
	w := &e.global
	switch {
	case float64(fleet.Unhealthy) > limit:
		if began = w.storm == ""; began {
			w.stormSince = now
		}
		w.calmSince = time.Time{}
		w.storm = w.stormText(fleet, limit)
	case w.storm == "":
	case w.calmSince.IsZero() || now.Before(w.calmSince):
		w.calmSince = now
		w.storm = w.stormText(fleet, limit)
	case now.Sub(w.calmSince) >= stormCalm:
		w.storm = ""
	default:
		w.storm = w.stormText(fleet, limit)
	}
	w.see(fleet.Blind, setup.Settings.OutageTolerance, now)
	return *w
}

// frozen says why nothing may be done anywhere, for the guards.
func (w globalState) frozen() string { return cmp.Or(w.unfit, w.canaryFailed, w.blind) }

// shared says what is wrong with more than the target, once it is told as an
// incident of its own.
func (e *Engine) shared(w globalState) string {
	what := ""
	switch {
	case w.storm != "":
		what = "storm: " + w.storm
	case w.blind != "" && w.toldBlind:
		what = "blind: " + w.blind
	default:
		return ""
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if en := e.live[Self]; en != nil {
		return what + "; told with incident " + en.inc.ID
	}
	return what
}

// self works watchdog's own incident.
func (e *Engine) self(ctx context.Context) (time.Duration, error) {
	setup, en := e.held(Self)
	if setup == nil {
		return selfLook, nil
	}
	snapshot := e.selfSnapshot(setup)
	if en == nil && !slices.ContainsFunc(snapshot.Alerts, func(a incident.Alert) bool { return a.Firing }) {
		return selfLook, nil
	}
	own := *setup
	own.Snapshot = func(string) Snapshot { return snapshot }
	own.Targets = map[string]TargetSetup{Self: {Target: incident.Target{Name: Self, Namespace: setup.Installation}}}
	_, err := e.reconcile(ctx, Self, &own, en, "")
	return selfLook, err
}

// selfSnapshot puts what concerns all targets into the shape of a target's rules.
func (e *Engine) selfSnapshot(setup *Setup) Snapshot {
	w, now := e.refresh(setup), e.o.Now()
	rule := func(name, text string, firing bool, since time.Time) incident.Alert {
		a := incident.Alert{Rule: name, Severity: incident.P1, Firing: firing, Verdict: incident.OK, Reason: "no more", Source: "watchdog", ActiveAt: since, EvaluatedAt: now,
			Ladder: []incident.Rung{{Action: incident.ActionPage, Class: incident.C1}}}
		if text != "" {
			a.Verdict, a.Reason = incident.Breach, text
		}
		return a
	}
	snapshot := Snapshot{Alerts: []incident.Alert{
		rule("storm", w.storm, w.storm != "", w.stormSince),
		rule("blind", w.blindText(), w.toldBlind, w.blindSince),
		rule("unfit", w.unfit, w.unfit != "", now),
		rule("canary", w.canaryFailed, w.canaryFailed != "", w.canaryFailedSince),
		rule("cannot_page", w.cannotPage, w.cannotPage != "", w.cannotPageSince),
		rule("drift", w.drift, w.drift != "", w.driftSince),
	}}
	if setup.Own != nil {
		snapshot.Alerts = append(snapshot.Alerts, setup.Own()...)
	}
	return snapshot
}

// resumeGlobal lets a storm that an earlier leader saw go on until it is calm.
func (e *Engine) resumeGlobal(live map[string]*entry) {
	en := live[Self]
	if en == nil {
		return
	}
	if a, ok := en.inc.Alert("storm"); ok && a.Firing {
		e.global.storm, e.global.stormSince = a.Reason, a.ActiveAt
	}
	if a, ok := en.inc.Alert("blind"); ok && a.Firing {
		e.global.resumeBlind(a.Reason, a.ActiveAt)
	}
	if a, ok := en.inc.Alert("drift"); ok && a.Firing {
		e.global.drift, e.global.driftSince = a.Reason, a.ActiveAt // until the page is read again
	}
}

// withoutNewerVersion takes out the incidents that a newer watchdog stored: their targets are
// left alone (INV-49).
func (e *Engine) withoutNewerVersion(all []incident.Stored) (own []incident.Stored) {
	newer := map[string]bool{}
	for _, s := range all {
		if s.Newer {
			newer[s.Incident.Target.Name] = true
		}
	}
	own = slices.DeleteFunc(all, func(s incident.Stored) bool { return s.Newer })
	e.mu.Lock()
	e.newer = newer
	e.mu.Unlock()
	if len(newer) > 0 {
		e.Distrust(fmt.Sprintf("a newer watchdog stored incidents (on %s): its state is not guessed at; run that version, or delete what it stored", oneOf(slices.Sorted(maps.Keys(newer)))))
	}
	return own
}

func oneOf(names []string) string {
	if len(names) > 1 {
		return fmt.Sprintf("%s and %d more", names[0], len(names)-1)
	}
	return names[0]
}
