package ingest

import (
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

func TestADamagedJournalOfAlertsPages_S24(t *testing.T) {
	began := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	i := &Ingester{opened: began, store: NewStore(Limits{Expire: 4 * time.Hour})}
	if a := i.Alarm(began); a.Firing || a.Verdict != incident.OK {
		t.Errorf("a whole journal: %+v", a)
	}
	i.damage = []damage{{file: "segment-000000000001", at: 71, bytes: 71}}
	a := i.Alarm(began.Add(time.Hour))
	if !a.Firing || a.Severity != incident.P1 || !a.ActiveAt.Equal(began) || len(a.Ladder) != 1 ||
		a.Ladder[0].Action != "page" || !strings.Contains(a.Reason, "byte 71: 71 bytes cannot be read") {
		t.Errorf("a damaged one: %+v", a)
	}
	if a := i.Alarm(began.Add(4 * time.Hour)); a.Firing {
		t.Errorf("once every sender has had the time to repeat its alerts: %+v", a)
	}
}
