package app

import (
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

func TestADamagedJournalOfAlertsPages_S24(t *testing.T) {
	began := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	if a := lostAlerts("", time.Time{}, began); a.Firing || a.Verdict != incident.OK {
		t.Errorf("a whole journal: %+v", a)
	}
	a := lostAlerts("segment-000000000001, byte 71: 71 bytes cannot be read", began, began.Add(time.Hour))
	if !a.Firing || a.Severity != incident.P1 || !a.ActiveAt.Equal(began) || len(a.Ladder) != 1 || a.Ladder[0].Action != "page" || !strings.Contains(a.Reason, "byte 71: 71 bytes cannot be read") {
		t.Errorf("a damaged one: %+v", a)
	}
}
