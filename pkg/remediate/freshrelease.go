package remediate

import (
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// busyCPU is the share of their CPU above which pods are short of capacity. Lower use
// proves nothing: threads, connections and disks run short, too.
const busyCPU = 0.9

// capacity answers if the pods are busy and the action does not help against that: neither new
// pods nor those of an older release add capacity. It has no answer if CPU use is unknown, or
// for a restart that no rollback follows.
func capacity(f Facts, action incident.Action) *incident.Answer {
	if f.CPU == nil {
		return nil
	}
	if *f.CPU < busyCPU || risen(f) {
		return nil
	}
	if action == incident.ActionRollback || action == incident.ActionRestart && rollbackFollows(f) {
		a := hold(incident.Skip, "the pods use %.0f%% of their CPU, and the breach did not begin during the rollout "+
			"of the release: capacity is short, and a %s adds none", 100**f.CPU, action)
		return &a
	}
	return nil
}

// risen reports whether the breach began while the present release was coming up.
func risen(f Facts) bool {
	current, ok := currentRevision(f.Workload)
	if !ok {
		return false
	}
	released := releasedAt(f, current)
	after := f.Alert.ActiveAt.Sub(released)
	return !released.IsZero() && after >= 0 && after <= startup(f)
}

// freshRelease answers if the breach began while a new release was coming up: new or more
// pods of the same release only repeat the fault. The ladder's rollback is the remedy then.
//
// Where CPU use is known, it decides whether more pods help.
func freshRelease(f Facts, action incident.Action) *incident.Answer {
	current, ok := currentRevision(f.Workload)
	if !ok || suspect(f, current) != nil || notRestored(f, current) != nil || onceOnly(f, current) != nil {
		return nil
	}
	after := f.Alert.ActiveAt.Sub(releasedAt(f, current))
	if after > startup(f) {
		return nil
	}
	// A rule that looks back leaves a release a suspect for longer. That is reason enough to roll
	// back, but not to withhold pods from a release that was healthy.
	if rec, good := knownGood(f, current); good && rec.GoodAt.Before(f.Alert.ActiveAt) {
		return nil
	}
	idle := action == incident.ActionScale && f.CPU != nil
	if idle && *f.CPU >= busyCPU || !idle && !rollbackFollows(f) {
		return nil
	}
	a := hold(incident.Skip, "the breach began %s after revision %s was deployed, which was never healthy for %s: "+
		"a %s only starts more pods of the same release", after.Round(time.Second), describe(current), f.Settings.GoodAfter,
		action)
	return &a
}

// rollbackFollows reports whether the ladder has a rollback above the present rung, to
// a revision that is known to be good.
func rollbackFollows(f Facts) bool {
	later := f.Alert.Ladder[min(len(f.Alert.Ladder), f.Alert.Next+1):]
	if !slices.ContainsFunc(later, func(r incident.Rung) bool { return r.Action == incident.ActionRollback }) {
		return false
	}
	current, _ := currentRevision(f.Workload)
	_, _, refusal := lastGood(f, current)
	return refusal == nil
}
