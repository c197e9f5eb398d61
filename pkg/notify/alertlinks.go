package notify

import (
	"net/url"
	"slices"
	"strings"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

// linkNames are annotations that hold a link, and what it leads to.
var linkNames = []struct{ annotation, name string }{
	{"runbook_url", "Runbook"}, {"runbook", "Runbook"}, {"dashboard", "Dashboard"}, {"dashboard_url", "Dashboard"},
	{"dashboardURL", "Dashboard"}, {"panelURL", "Panel"},
}

// alertLinks are the links of what fires. Only whole links to the web are kept: an
// alert's author writes them, and people click on them.
func alertLinks(i incident.Incident) []config.Link {
	var all []config.Link
	add := func(name, text string) {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil ||
			strings.ContainsAny(text, " <>|\"\n") {
			return
		}
		if len(all) < maxAlertLinks && !slices.ContainsFunc(all, func(l config.Link) bool { return l.URL == text }) {
			all = append(all, config.Link{Name: name, URL: text})
		}
	}
	for k, a := range AlertsShown(i) {
		of := ""
		if k > 0 {
			of = " of " + a.Rule
		}
		for _, l := range linkNames {
			add(l.name+of, a.Annotations[l.annotation])
		}
		add("Expression"+of, a.Link)
	}
	return all
}
