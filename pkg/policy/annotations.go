package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/ingest"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
	"watchdog.io/watchdog/pkg/strutil"
)

// Bounds of what an incident keeps of an alert's labels and annotations: it has to
// fit into an object of the API server, whatever a sender writes.
const (
	maxKeptLabels, maxKeptLabel, maxKeptLabelBytes          = 30, 200, 2 << 10
	maxKeptAnnotations, maxKeptAnnotation, maxKeptNoteBytes = 12, 600, 3 << 10
	maxKeptURL                                              = 1 << 10
)

var (
	labelsFirst = []string{"alertname",
		"severity", "namespace", "target", "deployment", "statefulset", "daemonset", "pod", "container", "service",
		"node", "persistentvolumeclaim", "job", "instance", "cluster"}
	annotationsFirst = []string{"summary",
		"description", "message", "runbook_url", "dashboard", "dashboard_url", "dashboardURL", "panelURL"}
)

// fitting keeps the entries of a map that fit, the most informative first, then by name. A
// link that would have to be cut is left out, because half a link is useless.
func fitting(m map[string]string, first []string, most, each, bytes int) map[string]string {
	if len(m) == 0 {
		return nil
	}
	if fits(m, most, each, bytes) {
		return maps.Clone(m)
	}
	out := map[string]string{}
	for _, n := range ingest.Ordered(m, first) {
		v, limit := m[n], each
		if link := strings.HasPrefix(v, "https://") || strings.HasPrefix(v, "http://"); link {
			if limit = maxKeptURL; len(v) > limit {
				continue
			}
		}
		v = strutil.Cut(v, limit)
		if bytes -= len(n) + len(v); bytes < 0 || len(out) == most || len(n) > each {
			continue
		}
		out[n] = v
	}
	return out
}

// fits reports whether all of it fits, whole.
func fits(m map[string]string, most, each, bytes int) bool {
	for n, v := range m {
		limit := each
		if strings.HasPrefix(v, "https://") || strings.HasPrefix(v, "http://") {
			limit = maxKeptURL
		}
		if bytes -= len(n) + len(v); bytes < 0 || len(n) > each || len(v) > limit {
			return false
		}
	}
	return len(m) <= most
}

// described adds the alert's labels, annotations and link to an alert of an incident.
func described(a incident.Alert, x rules.Alert) incident.Alert {
	a.Labels = fitting(x.Labels, labelsFirst, maxKeptLabels, maxKeptLabel, maxKeptLabelBytes)
	a.Annotations = fitting(x.Annotations, annotationsFirst, maxKeptAnnotations, maxKeptAnnotation, maxKeptNoteBytes)
	if len(x.Link) <= maxKeptURL {
		a.Link = x.Link
	}
	a.Keys = x.Keys
	return a
}

// told is the ladder of an alert that matches no target: the only action is to page a
// person, immediately and with the reason.
func told(ladder []incident.Rung, x rules.Alert) []incident.Rung {
	if _, unwatched := ingest.Unwatched(x.Target); !unwatched ||
		!slices.ContainsFunc(ladder, func(r incident.Rung) bool {
			return r.Action != incident.ActionPage && r.Action != incident.ActionCapture
		}) {
		return ladder
	}
	var said []string
	for _, n := range rules.TargetLabels {
		if v := x.Labels[n]; v != "" {
			said = append(said, fmt.Sprintf("%s=%q", n, strutil.Cut(v, 80)))
		}
	}
	by := "its labels"
	if len(said) > 0 {
		by = strings.Join(said, ", ")
	}
	acts := make([]string, 0, len(ladder))
	for _, r := range ladder {
		if r.Action != incident.ActionPage {
			acts = append(acts, string(r.Action))
		}
	}
	return []incident.Rung{{Action: incident.ActionPage, Class: remediate.ClassOf("page"),
		Why: fmt.Sprintf("no target matches %s: cannot run %s", by, strings.Join(acts, ", "))}}
}
