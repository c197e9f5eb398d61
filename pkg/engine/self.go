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

// weather is what concerns all targets at once.
type weather struct {
	storm      string    // what the storm is; empty: none
	stormSince time.Time // first seen
	calmSince  time.Time // since when it would be over
	blindness
	// unfit says why watchdog does not trust itself any more; it ends with the process.
	unfit string
	// doubt says why watchdog does not trust itself until it is tried out again, and
	// mute why it reaches nobody. Both are told from outside: see Doubt and Mute.
	doubt      string
	doubtSince time.Time
	mute       string
	muteSince  time.Time
	// drift is where the public page does not say what is measured.
	drift      string
	driftSince time.Time
}

// Distrust makes this engine only watch from now on: what it would decide may be
// wrong (INV-49, INV-52).
func (e *Engine) Distrust(why string) {
	e.mu.Lock()
	fresh := e.sky.unfit == ""
	e.sky.unfit = cmp.Or(e.sky.unfit, why)
	e.mu.Unlock()
	if fresh {
		e.o.Logger.Error("watchdog only watches from now on", "reason", why)
		e.Wake(Self)
	}
}

// forecast brings the weather up to date. A storm begins when more targets are
// in breach than are believed, and ends only after a calm (PEERS W3).
func (e *Engine) forecast(setup *Setup) weather {
	world, now := setup.World(), e.o.Now()
	limit := remediate.Believed(setup.Settings, world.Watched)
	began := false
	defer func() {
		if began {
			e.Wake(Self)
		}
	}()
	e.mu.Lock()
	defer e.mu.Unlock()
	w := &e.sky
	switch {
	case float64(world.Unhealthy) > limit:
		if began = w.storm == ""; began {
			w.stormSince = now
		}
		w.calmSince = time.Time{}
		w.storm = w.stormText(world, limit)
	case w.storm == "":
	case w.calmSince.IsZero() || now.Before(w.calmSince):
		w.calmSince = now
		w.storm = w.stormText(world, limit)
	case now.Sub(w.calmSince) >= stormCalm:
		w.storm = ""
	default:
		w.storm = w.stormText(world, limit)
	}
	w.see(world.Blind, setup.Settings.OutageTolerance, now)
	return *w
}

// frozen says why nothing may be done anywhere, for the guards.
func (w weather) frozen() string { return cmp.Or(w.unfit, w.doubt, w.blind) }

// shared says what is wrong with more than the target, once it is told as an
// incident of its own.
func (e *Engine) shared(w weather) string {
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
	view := e.selfView(setup)
	if en == nil && !slices.ContainsFunc(view.Alerts, func(a incident.Alert) bool { return a.Firing }) {
		return selfLook, nil
	}
	own := *setup
	own.View = func(string) View { return view }
	own.Targets = map[string]TargetSetup{Self: {Target: incident.Target{Name: Self, Namespace: setup.Installation}}}
	_, err := e.work1(ctx, Self, &own, en, "")
	return selfLook, err
}

// selfView puts the weather into the shape of a target's rules.
func (e *Engine) selfView(setup *Setup) View {
	w, now := e.forecast(setup), e.o.Now()
	rule := func(name, text string, firing bool, since time.Time) incident.Alert {
		a := incident.Alert{Rule: name, Severity: incident.P1, Firing: firing, Verdict: incident.OK, Reason: "no more", Source: "watchdog", ActiveAt: since, EvaluatedAt: now,
			Ladder: []incident.Rung{{Action: incident.ActionPage, Class: incident.C1}}}
		if text != "" {
			a.Verdict, a.Reason = incident.Breach, text
		}
		return a
	}
	view := View{Alerts: []incident.Alert{
		rule("storm", w.storm, w.storm != "", w.stormSince),
		rule("blind", w.blindText(), w.toldBlind, w.blindSince),
		rule("unfit", w.unfit, w.unfit != "", now),
		rule("canary", w.doubt, w.doubt != "", w.doubtSince),
		rule("cannot_page", w.mute, w.mute != "", w.muteSince),
		rule("drift", w.drift, w.drift != "", w.driftSince),
	}}
	if setup.Own != nil {
		view.Alerts = append(view.Alerts, setup.Own()...)
	}
	return view
}

// resumeWeather lets a storm that an earlier leader saw go on until it is calm.
func (e *Engine) resumeWeather(live map[string]*entry) {
	en := live[Self]
	if en == nil {
		return
	}
	if a, ok := en.inc.Alert("storm"); ok && a.Firing {
		e.sky.storm, e.sky.stormSince = a.Reason, a.ActiveAt
	}
	if a, ok := en.inc.Alert("blind"); ok && a.Firing {
		e.sky.resumeBlind(a.Reason, a.ActiveAt)
	}
	if a, ok := en.inc.Alert("drift"); ok && a.Firing {
		e.sky.drift, e.sky.driftSince = a.Reason, a.ActiveAt // until the page is read again
	}
}

// foreigners are the targets of incidents that a newer watchdog stored: they are
// left alone (INV-49).
func (e *Engine) foreigners(all []Stored) (own []Stored) {
	foreign := map[string]bool{}
	for _, s := range all {
		if s.Newer {
			foreign[s.Incident.Target.Name] = true
		}
	}
	own = slices.DeleteFunc(all, func(s Stored) bool { return s.Newer })
	e.mu.Lock()
	e.foreign = foreign
	e.mu.Unlock()
	if len(foreign) > 0 {
		e.Distrust(fmt.Sprintf("a newer watchdog stored incidents (on %s): its state is not guessed at; run that version, or delete what it stored", oneOf(slices.Sorted(maps.Keys(foreign)))))
	}
	return own
}

func oneOf(names []string) string {
	if len(names) > 1 {
		return fmt.Sprintf("%s and %d more", names[0], len(names)-1)
	}
	return names[0]
}
