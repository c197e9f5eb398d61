package selfwatch

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Probes that are skipped are said, once, with a text that stays while it lasts.
func TestSkippedProbesAreSaid(t *testing.T) {
	var log bytes.Buffer
	l, now := &LateProbes{Logger: slog.New(slog.NewTextHandler(&log, nil))}, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for i, step := range []struct {
		skipped, due uint64
		firing       bool
		says         string
	}{
		{500, 1000, false, ""}, // before the first look, whenever that was
		{500, 2000, false, ""},
		{505, 3000, false, ""}, // half a percent
		{605, 4000, true, "10% or more"},
		{635, 5000, true, "10% or more"},
		{1245, 6000, true, "50% or more"},
		{1245, 7000, true, "50% or more"},
		{1245, 8000, true, "50% or more"},
		{1245, 8000, true, "50% or more"}, // no turns
		{1245, 9000, true, "50% or more"},
		{1245, 10000, false, ""},
	} {
		at := now.Add(time.Duration(i) * lateLook)
		l.Look(step.skipped, step.due, at)
		l.Look(9999, 9999, at.Add(lateLook/2)) // too early
		a := l.Alarm(at)
		if a.Firing != step.firing || step.firing != (a.Verdict == incident.Breach) || !strings.Contains(a.Reason, step.says) ||
			step.firing && !a.ActiveAt.Equal(now.Add(3*lateLook)) || a.Severity != incident.P2 || len(a.Ladder) != 0 {
			t.Errorf("minute %d: %+v", i, a)
		}
	}
	if text := log.String(); strings.Count(text, "does not keep up") != 1 || strings.Count(text, "any more") != 1 ||
		!strings.Contains(text, "share=10%") {
		t.Errorf("logged %s", text)
	}
}
