package engine

import (
	"cmp"
	"fmt"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

const (
	// stormCalm is how long things must be calm before a storm is over.
	stormCalm = 5 * time.Minute
	// blindFor is how long blindness lasts before a person is notified, by default.
	blindFor = 30 * time.Second
	// blindCalm is how long monitoring must see again before blindness is over: a source
	// that comes and goes is one incident (X10).
	blindCalm = 5 * time.Minute
)

// globalState is what concerns all targets at once.
type globalState struct {
	storm      string    // what the storm is; empty: none
	stormSince time.Time // first seen
	calmSince  time.Time // since when it would be over
	extent     incident.Extent
	blindness
	// unfit says why watchdog does not trust itself any more; it ends with the process.
	unfit string
	// canaryFailed is why the canary was not delivered, and cannotPage why nobody can be paged.
	// Both are set from outside: see CanaryFailed and CannotPage.
	canaryFailed      string
	canaryFailedSince time.Time
	cannotPage        string
	cannotPageSince   time.Time
	// drift is where the status page differs from what is measured.
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
		e.o.Logger.Error("watchdog takes no further actions", "reason", why)
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
	g := &e.global
	switch {
	case float64(fleet.Unhealthy) > limit:
		if began = g.storm == ""; began {
			g.stormSince = now
		}
		g.calmSince = time.Time{}
		g.storm = g.stormText(fleet, limit)
	case g.storm == "":
	case g.calmSince.IsZero() || now.Before(g.calmSince):
		g.calmSince = now
		g.storm = g.stormText(fleet, limit)
	case now.Sub(g.calmSince) >= stormCalm:
		g.storm = ""
	default:
		g.storm = g.stormText(fleet, limit)
	}
	if g.extent = (incident.Extent{}); g.storm != "" {
		g.extent = incident.Extent{Unhealthy: fleet.Unhealthy, Watched: fleet.Watched, Believed: limit,
			CalmSince: g.calmSince}
	}
	g.see(fleet.Blind, setup.Settings.OutageTolerance, now)
	return *g
}

// frozen is why no action may be taken anywhere, for the guards.
func (g globalState) frozen() string { return cmp.Or(g.unfit, g.canaryFailed, g.blind) }

// shared describes a problem of more than the target, once it has an incident of its own.
func (e *Engine) shared(g globalState) string {
	what := ""
	switch {
	case g.storm != "":
		what = "storm: " + g.storm
	case g.blind != "" && g.toldBlind:
		what = "blind: " + g.blind
	default:
		return ""
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if self := e.targets[Self]; self != nil && self.open != nil {
		return what + "; see incident " + self.open.inc.ID
	}
	return what
}

// resumeGlobal lets a storm that an earlier leader saw go on until it is calm. en is
// watchdog's own incident; nil: there is none.
func (e *Engine) resumeGlobal(en *entry) {
	if en == nil {
		return
	}
	if a, ok := en.inc.Alert("storm"); ok && a.Firing {
		e.global.storm, e.global.stormSince = a.Reason, a.ActiveAt
	}
	if a, ok := en.inc.Alert("blind"); ok && a.Firing {
		why := a.Reason
		if !a.Extent.CalmSince.IsZero() {
			why = a.Was // the reason also says that data comes again
		}
		e.global.resumeBlind(why, a.ActiveAt)
	}
	if a, ok := en.inc.Alert("drift"); ok && a.Firing {
		e.global.drift, e.global.driftSince = a.Reason, a.ActiveAt // until the page is read again
	}
}

// blindness is since when monitoring gives nothing, on and off.
type blindness struct {
	blind      string    // why it gives nothing at this moment; empty: it sees
	blindWhy   string    // why it gave nothing last
	blindSince time.Time // when that began; zero: it is over
	blindLast  time.Time // when it last gave nothing without a break until now; zero: it sees
	blindSum   time.Duration
	seesSince  time.Time
	toldBlind  bool // people are notified until it is over
}

// see takes what monitoring says at this moment. What is told is how long it gave nothing
// in all, and not how long without a break: the server restarts, and now and then twice.
func (b *blindness) see(why string, tolerance time.Duration, now time.Time) {
	b.blind = why
	switch {
	case why != "":
		if b.blindSince.IsZero() || now.Before(b.blindSince) {
			b.blindSince, b.blindSum, b.blindLast = now, 0, now
		}
		if !b.blindLast.IsZero() {
			b.blindSum += max(0, now.Sub(b.blindLast))
		}
		b.blindWhy, b.blindLast, b.seesSince = why, now, time.Time{}
		b.toldBlind = b.toldBlind || b.blindSum >= cmp.Or(tolerance, blindFor)
	case b.blindSince.IsZero():
	case b.seesSince.IsZero() || now.Before(b.seesSince):
		b.seesSince, b.blindLast = now, time.Time{}
	case now.Sub(b.seesSince) >= blindCalm:
		*b = blindness{}
	}
}

// resumeBlind goes on with what an earlier leader told.
func (b *blindness) resumeBlind(why string, since time.Time) {
	b.blindWhy, b.blindSince, b.toldBlind = why, since, true
}

func (b *blindness) blindText() string {
	if b.blind != "" || b.blindSince.IsZero() {
		return b.blind
	}
	if b.seesSince.IsZero() {
		return b.blindWhy
	}
	return fmt.Sprintf("%s; data is back since %s, the incident resolves at %s UTC if that lasts", b.blindWhy,
		clock(b.seesSince), clock(b.seesSince.Add(blindCalm)))
}

// blindExtent is what blindText says, as data.
func (b *blindness) blindExtent() incident.Extent {
	if b.blind != "" || b.blindSince.IsZero() {
		return incident.Extent{}
	}
	return incident.Extent{CalmSince: b.seesSince}
}

// stormText says what the storm is by the present numbers, since when it lasts, and when it
// ends. Moments are told, not spans: each change
// of what it says is stored and told again.
func (g *globalState) stormText(fleet FleetHealth, limit float64) string {
	text := fmt.Sprintf("%d of %d watched targets are in breach, limit %.4g", fleet.Unhealthy,
		fleet.Watched, limit)
	if g.calmSince.IsZero() {
		return fmt.Sprintf("%s: they share a cause, or monitoring is broken (since %s UTC; storm limit: "+
			"budget.max_unhealthy, budget.storm_from)", text, clock(g.stormSince))
	}
	return fmt.Sprintf("%s (storm since %s, calm since %s, ends at %s UTC if it stays calm; storm limit: "+
		"budget.max_unhealthy, budget.storm_from)", text, clock(g.stormSince), clock(g.calmSince),
		clock(g.calmSince.Add(stormCalm)))
}

func clock(at time.Time) string { return at.UTC().Format("15:04:05") }
