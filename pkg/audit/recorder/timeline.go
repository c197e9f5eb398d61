package recorder

import (
	"log/slog"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/redact"
)

// Timeline returns what is done with each new entry of an incident's timeline: a line in
// the log, and the next, both without the secrets that this process has read.
func Timeline(l *slog.Logger, secrets *redact.Known, next func(incident.Incident,
	incident.Entry)) func(incident.Incident, incident.Entry) {
	return func(inc incident.Incident, e incident.Entry) {
		inc, e.Text = redact.Value(secrets, inc), secrets.Text(e.Text)
		l.Info(e.Text, "incident", inc.ID, "target", inc.Target.String(), "what", e.Kind, "phase", inc.Phase,
			"severity", inc.Severity)
		next(inc, e)
	}
}
