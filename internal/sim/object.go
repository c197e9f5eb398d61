package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// A write goes to an application's deployment or to its autoscaler.

const autoscalers = "horizontalpodautoscalers"

// written is the application whose object a plan writes; nil: there is none.
func (w *World) written(o incident.Object) *app {
	if o.Resource != autoscalers {
		return w.byName[o.Name]
	}
	if a := w.byName[strings.TrimSuffix(o.Name, "-hpa")]; a != nil && a.scaler != nil {
		return a
	}
	return nil
}

// identity is what a precondition is held against.
func (a *app) identity(o incident.Object) (uid, version string) {
	if o.Resource == autoscalers {
		return a.scaler.uid, label(a.scaler.version)
	}
	return a.uid, label(a.version)
}

// carries is the id of the last op that wrote the object.
func (a *app) carries(o incident.Object) string {
	if o.Resource == autoscalers {
		return a.scaler.op
	}
	return a.op
}

// lever is the number in the object that decides how many replicas run.
func (a *app) lever(o incident.Object) int {
	if o.Resource == autoscalers {
		return a.scaler.min
	}
	return a.replicas
}

// write does what an accepted plan says.
func (a *app) write(op string, p incident.Plan) error {
	if p.Object.Resource != autoscalers {
		if err := a.apply("watchdog", p.Patch); err != nil {
			return err
		}
		a.op, a.annotations[remediate.ClaimAnnotation] = op, installation
		return nil
	}
	var patch struct{ Spec struct{ MinReplicas int } }
	if err := json.Unmarshal(p.Patch, &patch); err != nil {
		return err
	}
	a.scaler.min, a.scaler.op = patch.Spec.MinReplicas, op
	a.scaler.version++
	a.scaler.scale()
	return nil
}

func label(version int) string { return fmt.Sprint(version) }

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
