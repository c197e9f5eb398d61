package sim

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/rules"
)

// Past is where a policy's samples come from when they are not the simulated
// applications': what was measured once, or what a test says. The applications of
// such a world are well and stand still; what watchdog does to them is done, and
// changes nothing of what is measured.
type Past struct {
	Begin time.Time
	// Local and Remote answer the rules of the two sources, as of the moment asked for.
	Local, Remote promql.QueryFunc
	// Pages, if set, knows answers of both ahead.
	Pages rules.PageFunc
	// Append takes what recording rules write.
	Append func([]*model.Sample)
	// Groups are those of rule files and objectives, with their options' Target and Severity.
	Groups   []rules.Group
	Target   rules.TargetFunc
	Severity func(labels map[string]string) string
	// Lockstep evaluates every group at each interval of the policy, as promtool
	// does, and not at turns of its own.
	Lockstep bool
	// EveryPass leaves out no pass of the engine that would find nothing to do, for tests.
	EveryPass bool
	// Looks says what probes saw of a target, for the guards. Nil: nothing is known.
	Looks func(target string, at time.Time) []probes.Status
	// Judged is told of the targets with news after each evaluation, Notified of what the
	// receivers hear, Did of each write that took effect. All may be nil.
	Judged   func(at time.Time, targets []string, m *rules.Manager)
	Notified func(at time.Time, i incident.Incident)
	Did      func(at time.Time, opID string, p incident.Plan)
}

// past is where the world's samples come from; nil: from its applications.
func (w *World) past() *Past {
	if own := w.scenario.Policy.Own; own != nil {
		return own.Past
	}
	return nil
}

// hindsight are the eyes of a policy on what was measured.
type hindsight struct {
	rules *rules.Manager
	w     *World
	r     *replica
	own   *Own
	// next is when the thresholds are judged again.
	next   time.Time
	turned time.Time // when they were judged last
	// whole is what world said at wholeAt.
	whole     engine.FleetHealth
	wholeAt   time.Time
	unhealthy int                        // targets, as of the last news
	views     map[string]engine.Snapshot // of targets without news since thresholds were judged

	// What rests and revised know; see there.
	calm     map[string]bool            // no alert of the target fires: since its last news
	steady   map[string]engine.Snapshot // of calm targets, whose thresholds alone have alerts
	idle     map[string]time.Duration   // by name of a pass: when it was due again after one with nothing to do
	revising bool                       // the pass under way is that of the revisions
}

func newHindsight(w *World, r *replica) *hindsight {
	own, p := w.scenario.Policy.Own, w.scenario.Policy.Own.Past
	h := &hindsight{w: w, r: r, own: own, next: p.Begin}
	h.forget()
	h.rules = newRules(
		rules.Options{Local: p.Local, Remote: p.Remote, Pages: p.Pages, Append: p.Append, Target: p.Target,
			Severity: p.Severity, Interval: own.Interval, Now: r.now},
		rules.Config{Thresholds: own.Rules, Groups: p.Groups},
	)
	if own.Seeing != nil {
		own.Seeing(h.rules)
	}
	return h
}

func (h *hindsight) first() time.Duration { return 0 }

func (h *hindsight) local() promql.QueryFunc { return h.own.Past.Local }

func (h *hindsight) every() time.Duration {
	d := h.next.Sub(h.r.now())
	if !h.own.Past.Lockstep {
		d = min(d, h.rules.UntilDue())
	}
	return max(d, time.Millisecond)
}

func (h *hindsight) round() []string {
	ctx, now, p := context.Background(), h.r.now(), h.own.Past
	var changed []string
	h.wholeAt = time.Time{}
	turn := !now.Before(h.next)
	if turn {
		h.turned = now
		h.next = now.Truncate(h.own.Interval).Add(h.own.Interval)
		if p.Lockstep {
			changed = h.rules.EvalGroups(ctx, now)
		}
		changed = append(changed, h.rules.EvalThresholds(ctx)...)
	}
	if !p.Lockstep {
		changed = append(changed, h.rules.EvalDue(ctx)...)
	}
	changed = unique(changed)
	if turn {
		clear(h.views)
	}
	for _, t := range changed {
		delete(h.views, t)
		delete(h.calm, t)
		delete(h.steady, t)
	}
	if len(changed) > 0 {
		h.countUnhealthy()
	}
	if p.Judged != nil {
		p.Judged(now, changed, h.rules)
	}
	return changed
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

func (h *hindsight) looks(target string) []probes.Status {
	if h.own.Past.Looks == nil {
		return nil
	}
	return h.own.Past.Looks(target, h.r.now())
}

func (h *hindsight) rolled(target string, v engine.Snapshot) engine.Snapshot {
	if a := h.w.byName[target]; a != nil {
		v = a.rolled(v)
	}
	return v
}

func (h *hindsight) view(target string) engine.Snapshot {
	if h.revising {
		return h.revised(target)
	}
	return h.rolled(target, h.seen(target))
}

// seen is what the rules and the probes say of a target.
func (h *hindsight) seen(target string) engine.Snapshot {
	v, known := h.views[target]
	if !known {
		v = h.own.View(h.rules.AlertsOf(target), h.looks(target))
		h.views[target] = v
		if slices.ContainsFunc(v.Alerts, func(a incident.Alert) bool { return a.Firing }) {
			delete(h.calm, target)
		} else {
			h.calm[target] = true
		}
	}
	return v
}

func (h *hindsight) fresh(target string) engine.Snapshot {
	ctx := context.Background()
	alerts, _ := h.rules.EvalNow(ctx, target) // its only error is a target of which no rule says anything
	v := h.rolled(target, h.own.View(alerts, h.looks(target)))
	h.w.oracle.looked(h.r, target, v, h.world().Blind)
	return v
}

func (h *hindsight) world() engine.FleetHealth {
	if now := h.r.now(); now.Equal(h.wholeAt) {
		return h.whole
	}
	h.whole, h.wholeAt = h.count(), h.r.now()
	return h.whole
}

func (h *hindsight) count() engine.FleetHealth {
	w := engine.FleetHealth{Watched: len(h.w.apps), Unhealthy: h.unhealthy}
	if blind, why := h.rules.Blind(); blind {
		w.Blind = why
	}
	return w
}

// countUnhealthy counts anew after news: without any, nothing of it changes.
func (h *hindsight) countUnhealthy() {
	h.unhealthy = 0
	for _, t := range h.rules.Unhealthy() {
		if h.w.byName[t] != nil {
			h.unhealthy++
		}
	}
}

// forget drops everything that is kept until there is news.
func (h *hindsight) forget() {
	h.views, h.steady = map[string]engine.Snapshot{}, map[string]engine.Snapshot{}
	h.calm, h.idle = map[string]bool{}, map[string]time.Duration{}
}

func (h *hindsight) restore(open []incident.Incident) {
	h.rules.Restore(h.own.Firing(open))
	h.forget()
	h.countUnhealthy()
}

// Life is a world of the past while it is lived through again.
type Life struct{ w *World }

// Relive begins a world of the past. Its policy must have an Own with a Past.
func Relive(s *Scenario) *Life {
	c := *s
	c.Begin, c.Replicas, c.Alone = s.Policy.Own.Past.Begin, 1, true
	return &Life{newWorld(&c, nil)}
}

// Until lets everything happen up to the given moment, and what is due at it.
func (l *Life) Until(at time.Time) { l.w.clock.run(at) }

// Incidents returns all that are stored, in the order of their ids.
func (l *Life) Incidents() []incident.Incident {
	var all []incident.Incident
	for _, id := range sorted(l.w.incidents) {
		all = append(all, l.w.incidents[id].value.(incident.Incident))
	}
	return all
}

// Violations are promises that watchdog broke; there should be none.
func (l *Life) Violations() []Violation { return l.w.oracle.violations }
