package snapshot

import (
	"maps"

	"watchdog.io/watchdog/pkg/alertmanager"
	"watchdog.io/watchdog/pkg/rules"
)

// silencedBy says by what an alert is silenced. Several of one name on one target
// are silenced if each of them is, and as long as the silence that ends first.
func (r *Reader) silencedBy(x rules.Alert, silenced func(map[string]string) (alertmanager.Silence, bool)) string {
	first, ok := silenced(r.labelsOf(x, x.Labels))
	for _, set := range x.Others {
		if !ok {
			break
		}
		var s alertmanager.Silence
		if s, ok = silenced(r.labelsOf(x, set.Map())); s.EndsAt.Before(first.EndsAt) {
			first = s
		}
	}
	if !ok {
		return ""
	}
	return first.String()
}

// labelsOf are the labels that silences are held against: the alert's own, and
// where it does not have them alertname, severity, and the target with its namespace.
func (r *Reader) labelsOf(x rules.Alert, own map[string]string) map[string]string {
	all := map[string]string{"alertname": x.Rule, "severity": x.Severity}
	if t, watched := r.targets[x.Target]; watched {
		all["target"], all["namespace"] = x.Target, t.Target.Namespace
	}
	maps.Copy(all, own)
	return all
}
