package remediate

import (
	"watchdog.io/watchdog/pkg/incident"
)

// Action is one kind of remedy. Plan says what would be written, or answers why
// it cannot help here; it decides nothing about whether now is the moment, which
// is the guards' business.
type Action interface {
	Name() incident.Action
	Class() incident.Class
	Plan(Facts) (incident.Plan, *incident.Answer)
}

func actionFor(name incident.Action) (Action, bool) {
	switch name {
	case incident.ActionCapture:
		return capture{}, true
	case incident.ActionPage:
		return page{}, true
	case incident.ActionScale:
		return scale{}, true
	case incident.ActionRestart:
		return restart{}, true
	case incident.ActionRollback:
		return rollback{}, true
	case incident.ActionJob:
		return job{}, true
	}
	return nil, false
}

// ClassOf returns how much the action can hurt. An action that is not known
// gets the class that the guards are strictest with.
func ClassOf(action incident.Action) incident.Class {
	if a, ok := actionFor(action); ok {
		return a.Class()
	}
	return incident.C5
}

// refuse is a plan that could not be made.
func refuse(h incident.Hold, format string, args ...any) (incident.Plan, *incident.Answer) {
	a := hold(h, format, args...)
	return incident.Plan{}, &a
}

// unfit answers for every action that writes the workload: watchdog knows how to
// write Deployments only, and one that is scaled to zero was switched off by somebody.
func unfit(f Facts, action incident.Action) *incident.Answer {
	w := f.Workload
	switch {
	case w.Target.Kind != "deployment":
		a := hold(incident.Skip, "%s is a %q; %s works on deployments only", w.Target, w.Target.Kind, action)
		return &a
	case w.Desired == 0:
		a := hold(incident.Skip, "%s is scaled to 0 replicas: somebody switched it off, %s does not switch it on", w.Target, action)
		return &a
	case w.Paused:
		a := hold(incident.Skip, "%s is paused (spec.paused): %s would have no effect until somebody resumes it", w.Target, action)
		return &a
	}
	return nil
}

// deployment is the address of the workload itself.
func deployment(w Workload) incident.Object {
	return incident.Object{Group: "apps", Version: "v1", Resource: "deployments", Namespace: w.Target.Namespace, Name: w.Target.Workload,
		UID: w.Target.UID, ResourceVersion: w.ResourceVersion}
}
