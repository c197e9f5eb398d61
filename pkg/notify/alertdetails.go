package notify

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/strutil"
)

const (
	maxObject      = 400 // runes of the labels of one alert
	maxDescription = 600 // runes of what an alert says about itself
	maxAlertLinks  = 6
)

// saidElsewhere are labels that every message has in other words.
var saidElsewhere = []string{"alertname", "severity", "target", "prometheus", "endpoint"}

// AlertsShown are the alerts whose details are worth telling: the lead first.
func AlertsShown(i incident.Incident) []incident.Alert {
	var all []incident.Alert
	for _, a := range i.Alerts {
		switch {
		case a.Rule == i.Lead:
			all = slices.Insert(all, 0, a)
		case a.Firing:
			all = append(all, a)
		}
	}
	return all
}

// Object is what an alert is about, by its labels: which volume, which pod.
func Object(a incident.Alert) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(a.Labels)) {
		if v := a.Labels[name]; v != "" && !slices.Contains(saidElsewhere, name) {
			all = append(all, strutil.Visible(name+"="+v))
		}
	}
	return strutil.Shorten(strings.Join(all, ", "), maxObject)
}

// Description is what the alert says about itself beyond its summary.
func Description(a incident.Alert) string {
	text := strings.TrimSpace(cmp.Or(a.Annotations["description"], a.Annotations["message"]))
	if text == "" || a.Was != "" && strings.HasPrefix(a.Was, text) {
		return ""
	}
	return strutil.Shorten(text, maxDescription)
}

// detail is one alert as a receiver with fields shows it.
func detail(a incident.Alert) map[string]string {
	d := map[string]string{"alert": a.Rule}
	if o := Object(a); o != "" {
		d["labels"] = o
	}
	if text := Description(a); text != "" {
		d["description"] = text
	}
	if len(d) == 1 {
		return nil
	}
	return d
}

// AlertDetails are those of the first alerts that have any.
func AlertDetails(i incident.Incident) []map[string]string {
	var all []map[string]string
	for _, a := range AlertsShown(i) {
		if d := detail(a); d != nil && len(all) < maxAlertLinks {
			all = append(all, d)
		}
	}
	return all
}
