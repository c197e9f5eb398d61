package remediate

import (
	"slices"

	"watchdog.io/watchdog/pkg/incident"
)

// autoscalers is the resource of HorizontalPodAutoscalers.
const autoscalers = "horizontalpodautoscalers"

// Action is one row of Actions: one kind of action, and everything that the rest of watchdog
// must know about it.
type Action struct {
	// Name identifies it in a ladder, in the chart's value `actions` and in metrics.
	Name incident.Action
	// Help describes it in one line.
	Help string
	// Class is how disruptive it is. Actions of class C2 and above write, and need the
	// value `actions` of the chart.
	Class incident.Class
	// Options are the keys that its rung takes in a file (config.RungOptions).
	Options []string
	// Rights are what the chart grants for it beyond reading.
	Rights []Right
	// Beside is true if it does not write the workload itself.
	Beside bool
	// Verb and Past name it in reports, before and after: "roll back", "rolled back".
	Verb, Past string
	// NotSimulated says why the simulator does not play it; empty: it does (internal/sim/plays.go).
	NotSimulated string

	// plan returns what would be written, or an answer that explains why the action cannot help here.
	// Whether now is the right moment is up to the guards.
	plan func(Facts) (incident.Plan, *incident.Answer)
}

// Right is what RBAC must allow.
type Right struct {
	Group, Resource string
	Verbs           []string
}

// tried are the options of every rung whose effect is judged and that may be tried again.
var tried = []string{"settle", "verify", "attempts", "mode", "approvals", "cool_off"}

// Actions returns every kind of action: the one table behind ladders, metrics, reports, the
// simulator, the chart's rights and the documents. internal/house checks each row in all of
// them. `revert` is not among them: it reverts what one of them did.
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

// Did describes what a plan of the action did: scaled 3→4.
func (a Action) Did(p incident.Plan) string {
	if p.Lease > 0 {
		return a.Past + " " + p.Before + "→" + p.After
	}
	return a.Past
}

// ActionNames are the names that a ladder may contain.
func ActionNames() []string {
	var names []string
	for _, a := range Actions() {
		names = append(names, string(a.Name))
	}
	return names
}

// ClassOf returns the class of an action. An unknown action gets the class that the guards
// treat most strictly.
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

// unfit answers for every action that writes the workload: watchdog writes Deployments only,
// and a workload that is scaled to zero was turned off on purpose.
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
