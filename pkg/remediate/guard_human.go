package remediate

import (
	"fmt"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// noHumanChange: a person who changes the workload while the incident is open is working
// on it (INV-26). An earlier change is an ordinary deploy.
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
		return hold(incident.HandOver, "%s changed %s %s; no actions for %s", m.Name, fieldsOf(m), sinceOpened(f, m.At),
			window)
	}
	return pass("0 of %d field managers changed replicas or template since the incident opened, within %s", n, window)
}

// sinceOpened describes a time relative to the opening of the incident. The API server's clock
// may differ from this one, and its times are whole seconds: the time may lie in the future,
// or just before the incident.
func sinceOpened(f Facts, at time.Time) string {
	if before := f.Incident.OpenedAt.Sub(at).Round(time.Second); before > 0 {
		return fmt.Sprintf("%s before the incident opened", before)
	}
	after := at.Sub(f.Incident.OpenedAt).Round(time.Second)
	if ago := f.Now.Sub(at).Round(time.Second); ago > 0 {
		return fmt.Sprintf("%s ago, %s after the incident opened", ago, after)
	}
	return fmt.Sprintf("just now, %s after the incident opened", after)
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
