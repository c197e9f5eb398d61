package remediate

import (
	"slices"

	"watchdog.io/watchdog/pkg/incident"
)

// autoscalers is the resource of HorizontalPodAutoscalers.
const autoscalers = "horizontalpodautoscalers"

// Action is one row of Actions: one kind of remedy, and all that the rest of watchdog
// must know of it.
type Action struct {
	// Name is the word in a ladder, in the chart's value `actions` and in metrics.
	Name incident.Action
	// Help says in one line what it does.
	Help string
	// Class is how much it can hurt. What is of class C2 or above writes, and needs the
	// value `actions` of the chart.
	Class incident.Class
	// Options are the keys that its rung takes in a file (config.RungOptions).
	Options []string
	// Rights are what the chart grants for it beyond looking.
	Rights []Right
	// Beside says that it writes nothing of the workload itself.
	Beside bool
	// Verb and Past say in reports what would be done, and what was: "roll back", "rolled back".
	Verb, Past string
	// NotSimulated says why the simulator does not play it; empty: it does (internal/sim/plays.go).
	NotSimulated string

	// plan says what would be written, or answers why the action cannot help here; it decides
	// nothing about whether now is the moment, which is the guards' business.
	plan func(Facts) (incident.Plan, *incident.Answer)
}

// Right is what RBAC must allow.
type Right struct {
	Group, Resource string
	Verbs           []string
}

// tried are the options of every rung whose effect is judged and that may be tried again.
var tried = []string{"settle", "verify", "attempts", "mode", "approvals", "cool_off"}

// Actions returns every kind of remedy: the one table that ladders, metrics, reports, the
// simulator, the chart's rights and the documents follow. internal/house walks it and says
// what is missing where. `revert` is not among them: it takes back what one of them did.
func Actions() []Action {
	patch := Right{"apps", "deployments", []string{"patch"}}
	return []Action{
		{Name: incident.ActionCapture, Class: incident.C0, plan: planCapture, Verb: "capture", Past: "captured",
			Help: "captures evidence: objects, events and the last log lines"},
		{Name: incident.ActionScale, Class: incident.C2, plan: planScale, Verb: "scale", Past: "scaled",
			Help:    "adds replicas for the duration of a lease",
			Options: slices.Concat([]string{"by", "at_least", "max", "lease"}, tried),
			Rights:  []Right{patch, {"autoscaling", autoscalers, []string{"get", "patch"}}}},
		{Name: incident.ActionRestart, Class: incident.C3, plan: planRestart, Verb: "restart", Past: "restarted",
			Help:    "replaces all pods through the rollout strategy",
			Options: tried, Rights: []Right{patch}},
		{Name: incident.ActionRollback, Class: incident.C4, plan: planRollback, Verb: "roll back", Past: "rolled back",
			Help:    "rolls back to the newest revision that was healthy for long enough",
			Options: []string{"only_if", "settle", "verify", "mode", "approvals", "cool_off"}, Rights: []Right{patch}},
		{Name: incident.ActionJob, Class: incident.C2, plan: planJob, Verb: "run a job", Past: "ran a job",
			Help:    "runs a vetted Job from job_templates in the target's namespace",
			Options: slices.Concat([]string{"template"}, tried), Beside: true,
			Rights: []Right{{"batch", "jobs", []string{"get", "create"}}}},
		{Name: incident.ActionPage, Class: incident.C1, plan: planPage, Verb: "page", Past: "paged",
			Help: "hands the incident over to a person; the last rung"},
	}
}

// ActionOf returns the row of an action; false: there is none.
func ActionOf(name incident.Action) (Action, bool) {
	all := Actions()
	if k := slices.IndexFunc(all, func(a Action) bool { return a.Name == name }); k >= 0 {
		return all[k], true
	}
	return Action{}, false
}

// Writes reports whether the action changes the cluster.
func (a Action) Writes() bool { return a.Class >= incident.C2 }

// Did says what a plan of the action did: scaled 3→4.
func (a Action) Did(p incident.Plan) string {
	if p.Lease > 0 {
		return a.Past + " " + p.Before + "→" + p.After
	}
	return a.Past
}

// ActionNames are the words that a ladder may have.
func ActionNames() []string {
	var names []string
	for _, a := range Actions() {
		names = append(names, string(a.Name))
	}
	return names
}

// ClassOf returns how much the action can hurt. An action that is not known
// gets the class that the guards are strictest with.
func ClassOf(action incident.Action) incident.Class {
	if a, ok := ActionOf(action); ok {
		return a.Class
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
		a := hold(incident.Skip, "%s is a %q; %s supports Deployments only", w.Target, w.Target.Kind, action)
		return &a
	case w.Desired == 0:
		a := hold(incident.Skip, "%s is scaled to 0 replicas, which means it was turned off; %s does not turn it on",
			w.Target, action)
		return &a
	case w.Paused:
		a := hold(incident.Skip, "%s is paused (spec.paused): %s would have no effect until it is resumed",
			w.Target, action)
		return &a
	}
	return nil
}

// deployment is the address of the workload itself.
func deployment(w Workload) incident.Object {
	return incident.Object{Group: "apps", Version: "v1", Resource: "deployments", Namespace: w.Target.Namespace,
		Name: w.Target.Workload,
		UID:  w.Target.UID, ResourceVersion: w.ResourceVersion}
}
