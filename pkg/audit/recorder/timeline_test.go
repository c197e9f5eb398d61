package recorder

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/redact"
)

// An entry of the timeline leaves the process by the log and by an Event: neither may
// carry a secret.
func TestAnEntryOfTheTimelineCarriesNoSecret_SEC21(t *testing.T) {
	const secret = "s3cr3t-routing-key-of-pagerduty"
	known := &redact.Known{}
	known.Add(secret)
	var log bytes.Buffer
	var told []string
	observe := Timeline(slog.New(slog.NewTextHandler(&log, nil)), known, func(i incident.Incident, e incident.Entry) {
		told = append(told, e.Text, i.PageReason)
	})

	observe(incident.Incident{ID: "i1", PageReason: "the key " + secret}, incident.Entry{Text: "refused: " + secret})

	if out := log.String() + strings.Join(told, " "); strings.Contains(out, secret) || len(told) != 2 ||
		!strings.Contains(log.String(), "i1") {
		t.Errorf("logged %q, told %q", log.String(), told)
	}
}
