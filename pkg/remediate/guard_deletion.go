package remediate

import (
	"fmt"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// notDeleted: an object that is being deleted is not written (INV-67). It stays readable while
// a finalizer keeps it, and a write would be lost with it or, worse, start new pods.
func notDeleted(f Facts, p incident.Plan) incident.Answer {
	w := f.Workload
	if !w.Deleting.IsZero() {
		why := ""
		if len(w.Finalizers) > 0 {
			why = fmt.Sprintf(" (finalizers %s)", quote(strings.Join(w.Finalizers, ", ")))
		}
		return hold(incident.HandOver, "%s has been terminating since %s%s; watchdog does not write to it", w.Target,
			w.Deleting.UTC().Format(time.RFC3339), why)
	}
	if h := w.HPA; h != nil && !h.Deleting.IsZero() && p.Object.Resource == autoscalers {
		return hold(incident.Skip, "HPA %s has been terminating since %s; watchdog does not write to it", h.Name,
			h.Deleting.UTC().Format(time.RFC3339))
	}
	return pass("%s is not being deleted", w.Target)
}
