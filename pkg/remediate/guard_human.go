package remediate

import (
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// noHumanChange: who changes the workload while the incident is open is working
// on it (INV-26). A change before that is how deploys arrive.
func noHumanChange(f Facts, _ incident.Plan) incident.Answer {
	window, n := f.Settings.HumanChange, 0
	// managedFields count in whole seconds.
	opened := f.Incident.OpenedAt.Truncate(time.Second)
	for _, m := range f.Workload.Managers {
		if machine(m.Name) || !m.Replicas && !m.Template {
			continue
		}
		n++
		if m.At.Before(opened) || window > 0 && f.Now.Sub(m.At) >= window {
			continue
		}
		return hold(incident.HandOver, "%s changed %s %s ago, after the incident opened; hands off for %s", m.Name, fieldsOf(m), f.Now.Sub(m.At).Round(time.Second), window)
	}
	return pass("0 of %d managers changed replicas or template since the incident opened, within %s", n, window)
}

// machine reports whether the field manager is Kubernetes' own controller or watchdog.
func machine(manager string) bool {
	return manager == "kube-controller-manager" || manager == "watchdog"
}

func fieldsOf(m Manager) string {
	var fields []string
	if m.Replicas {
		fields = append(fields, "spec.replicas")
	}
	if m.Template {
		fields = append(fields, "spec.template")
	}
	return strings.Join(fields, " and ")
}
