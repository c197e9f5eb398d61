package remediate

import (
	"encoding/json"
	"fmt"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// planRestart replaces all pods the way `kubectl rollout restart` does: through the
// rollout strategy, new pods first as far as that allows.
func planRestart(f Facts) (incident.Plan, *incident.Answer) {
	if a := unfit(f, incident.ActionRestart); a != nil {
		return incident.Plan{}, a
	}
	w := f.Workload
	if w.Recreate {
		return refuse(incident.Skip, "the strategy of %s is Recreate: a restart stops all %d replicas at once",
			w.Target, w.Desired)
	}
	if a := wouldHang(f); a != nil {
		return incident.Plan{}, a
	}
	if a := dependencyDown(f, incident.ActionRestart); a != nil {
		return incident.Plan{}, a
	}
	if a := failingPods(f, "Kubernetes already restarts them, another restart changes nothing"); a != nil {
		return incident.Plan{}, a
	}
	if a := capacity(f, incident.ActionRestart); a != nil {
		return incident.Plan{}, a
	}
	if a := freshRelease(f, incident.ActionRestart); a != nil {
		return incident.Plan{}, a
	}
	at := f.Now.UTC().Format(time.RFC3339)
	patch, err := restartPatch(at)
	if err != nil {
		return refuse(incident.HandOver, "plan restart of %s: %v", w.Target, err)
	}
	before := templateAnnotation(w.Template, RestartedAtAnnotation)
	if before == "" {
		before = "never"
	}
	return incident.Plan{
		Summary: fmt.Sprintf("restart the %d pods of %s, at most %d unavailable and %d extra at a time", w.Desired,
			w.Target, w.MaxUnavailable, w.MaxSurge),
		Object: deployment(w), Patch: patch,
		// The template's fingerprint makes a deploy between decision and write show.
		Field: "restartedAt", Before: fmt.Sprintf("%s (template %s)", before, fingerprint(w.Template)), After: at,
		Was:   fingerprint(w.Template),
		Price: w.Desired + w.MaxSurge,
	}, nil
}

func restartPatch(at string) ([]byte, error) {
	type object map[string]any
	return json.Marshal(object{"spec": object{"template": object{"metadata": object{"annotations": object{RestartedAtAnnotation: at}}}}})
}
