package remediate

import "watchdog.io/watchdog/pkg/incident"

// noHold: a hold annotation on the workload, its namespace or its autoscaler
// forbids every op (INV-25), also with an empty value.
func noHold(f Facts, _ incident.Plan) incident.Answer {
	w := f.Workload
	if h, ok := HoldOf(w.Annotations, f.Now); ok {
		return hold(incident.Suppress, "%s has the annotation %s=%s%s; remove it to let watchdog act", w.Target,
			HoldAnnotation, quote(h.Reason), h.ends())
	}
	if h, ok := HoldOf(w.NamespaceAnnotations, f.Now); ok {
		return hold(incident.Suppress, "namespace %s has the annotation %s=%s%s; remove it to let watchdog act",
			w.Target.Namespace, HoldAnnotation, quote(h.Reason), h.ends())
	}
	if w.HPA != nil {
		if h, ok := HoldOf(w.HPA.Annotations, f.Now); ok {
			return hold(incident.Suppress, "HPA %s has the annotation %s=%s%s; remove it to let watchdog act",
				w.HPA.Name, HoldAnnotation, quote(h.Reason), h.ends())
		}
	}
	return pass("0 %s annotations on the workload and its namespace", HoldAnnotation)
}
