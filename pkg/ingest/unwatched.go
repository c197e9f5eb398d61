package ingest

import (
	"strings"

	"watchdog.io/watchdog/pkg/incident"
)

// unwatchedMark begins the name of what is no target: no configured name has a space.
const unwatchedMark = "not watched: "

// unwatchedName names what alerts are about that concern no target: one incident
// for each alert name and namespace.
func unwatchedName(alert, namespace string) string {
	name := unwatchedMark + alert
	if namespace != "" {
		name += " in " + namespace
	}
	return name
}

// Unwatched returns the target of an incident about something that is no
// configured target; false if the name is not of that kind.
func Unwatched(name string) (incident.Target, bool) {
	rest, ok := strings.CutPrefix(name, unwatchedMark)
	if !ok {
		return incident.Target{}, false
	}
	_, namespace, _ := strings.Cut(rest, " in ")
	return incident.Target{Name: name, Namespace: namespace}, true
}
