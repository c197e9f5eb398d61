package sim

import (
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/rules"
)

// pass works one name. Almost all the time of a past nothing is wrong: a pass that would find
// nothing to do is left out, and is due again when it was after the last such.
func (h *hindsight) pass(e *engine.Engine, name string) (time.Duration, error) {
	rests := h.rests(e, name)
	if next, known := h.idle[name]; rests && known {
		return next, nil
	}
	h.revising = name == revisionsPass
	next, err := e.Pass(h.r.ctx, name)
	h.revising = false
	if delete(h.idle, name); rests && err == nil {
		h.idle[name] = next
	}
	return next, err
}

// The engine's names for what it does beside the targets.
const (
	revisionsPass = "/revisions"
	orphansPass   = "/orphans"
	leasesPass    = "/leases"
	recoveryPass  = "/recovery"
)

// leavesOut reports whether passes may be left out: where people and releases do something,
// all are made.
func (h *hindsight) leavesOut() bool { return !h.own.Past.EveryPass && len(h.w.scenario.Happens) == 0 }

// rests reports whether a pass has nothing to do: no alert of the target fires, the engine
// works nothing for it, and nothing concerns all targets. What is stored lies still then,
// as nobody but this engine writes it.
func (h *hindsight) rests(e *engine.Engine, name string) bool {
	switch {
	case !h.leavesOut():
		return false
	case h.w.byName[name] != nil:
		return h.calm[name] && e.Idle(name)
	case name == engine.Self:
		return e.Idle(name)
	case name == leasesPass || name == orphansPass:
		l, _ := h.w.readLedger()
		return len(l.Ops) == 0 && len(l.Leases) == 0 && l.Hold == nil && len(h.w.words) == 0 &&
			(name == leasesPass || e.Resting())
	}
	return false
}

// others works, a moment later, the names that are not due now. Nobody waits for an answer in
// a past, so that all of them are one event.
func (h *hindsight) others(e *engine.Engine, pass func(name string)) func() {
	var names []string
	rested := h.allRest(e)
	if !rested {
		names = slices.DeleteFunc(e.Names(), func(n string) bool { return !h.r.waits(n) })
	}
	return func() {
		if rested && !h.allRest(e) {
			names = sorted(h.w.byName)
		}
		for _, n := range names {
			pass(n)
		}
	}
}

// allRest reports whether passes of all targets would find nothing to do.
func (h *hindsight) allRest(e *engine.Engine) bool {
	return len(h.calm) == len(h.w.apps) && h.leavesOut() && e.Resting() && e.Idle(engine.Self) &&
		!slices.ContainsFunc([]string{engine.Self, leasesPass, revisionsPass, recoveryPass}, h.r.waits)
}

// revised is the view of a target by which its revision is judged. While the target has no
// news and no probe says anything, only the time of its thresholds' evaluation changes.
func (h *hindsight) revised(target string) engine.Snapshot {
	if !h.leavesOut() || len(h.looks(target)) > 0 {
		return h.rolled(target, h.seen(target))
	}
	v, known := h.steady[target]
	if !known {
		v = h.seen(target)
		alerts := h.rules.AlertsOf(target)
		if !h.calm[target] || len(alerts) != len(v.Alerts) ||
			slices.ContainsFunc(alerts, func(a rules.Alert) bool { return !a.EvaluatedAt.Equal(h.turned) }) {
			return h.rolled(target, v)
		}
		v.Alerts = slices.Clone(v.Alerts)
		h.steady[target] = v
	}
	for k := range v.Alerts {
		v.Alerts[k].EvaluatedAt = h.turned
	}
	return h.rolled(target, v)
}
