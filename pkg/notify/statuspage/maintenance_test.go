package statuspage

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/notify"
)

// maintaining calls until it is done, as whoever keeps the windows does.
func maintaining(t *testing.T, s *Statuspage, m notify.ScheduledMaintenance, state string) {
	t.Helper()
	for n := 0; ; n++ {
		err := s.Maintain(t.Context(), m, state)
		if err == nil {
			return
		}
		if n > 5 {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
	}
}

func TestAMaintenanceIsAnnouncedOnce(t *testing.T) {
	for _, mode := range []recorders.Mode{recorders.OK, recorders.Applied500, recorders.PerSecond} {
		synctest.Test(t, func(t *testing.T) {
			rec, s, d := aPage(t, nil)
			m := notify.ScheduledMaintenance{Key: "shop-prod/CANARY", Name: "Database upgrade",
				Body: "We upgrade a database.", From: time.Now().Add(time.Hour), Until: time.Now().Add(2 * time.Hour),
				Components: []string{"c1", "c2"}}
			for k, state := range maintenanceStates {
				rec.Set(recorders.Statuspage, mode)
				if mode == recorders.Applied500 {
					if err := s.Maintain(t.Context(), m, state); err == nil {
						t.Errorf("%s: an answer of 500 is no error", state)
					}
					rec.Set(recorders.Statuspage, recorders.OK)
				}
				for range 3 {
					maintaining(t, s, m, state)
				}
				e := rec.Page()
				if len(e) != 1 || e[0].Status != state || e[0].Updates != k+1 || e[0].Name != m.Name {
					t.Fatalf("%q %s: %+v", mode, state, e)
				}
				want := map[string]string{scheduled: "", inProgress: underMaintenance, verifying: underMaintenance,
					completed: operational}[state]
				if got := rec.StatuspageComponents(); got["c1"] != want || got["c2"] != want {
					t.Errorf("%q %s: %v", mode, state, got)
				}
			}
			for _, sent := range d.sent {
				if strings.Contains(sent, "CANARY") {
					t.Errorf("the key was sent: %s", sent)
				}
			}
		})
	}
}

func TestAMaintenanceThatMovesIsMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec, s, _ := aPage(t, nil)
		m := notify.ScheduledMaintenance{Key: "a", Name: "Upgrade", From: time.Now().Add(time.Hour),
			Until: time.Now().Add(2 * time.Hour)}
		maintaining(t, s, m, scheduled)
		other := m
		other.Key = "b"
		maintaining(t, s, other, scheduled)
		m.Until = m.Until.Add(time.Hour)
		maintaining(t, s, m, scheduled)
		e := rec.Page()
		if len(e) != 2 || e[0].Until != m.Until.UTC().Format(time.RFC3339) ||
			e[1].Until != other.Until.UTC().Format(time.RFC3339) || e[0].Updates != 2 || e[1].Updates != 1 {
			t.Errorf("%+v", e)
		}
		// One that was never announced does not end.
		m.Key = "c"
		maintaining(t, s, m, completed)
		if len(rec.Page()) != 2 {
			t.Errorf("%+v", rec.Page())
		}
	})
}

func TestTroubleDuringAMaintenanceCountsForMore(t *testing.T) {
	newsday(t, nil, func(t *testing.T, r *newsroom, rec *recorders.Recorder, s *Statuspage) {
		m := notify.ScheduledMaintenance{Key: "a", Name: "Upgrade", From: time.Now(),
			Until: time.Now().Add(2 * time.Hour), Components: []string{"c1"}}
		maintaining(t, s, m, inProgress)
		reads(t, rec, "maintenance", "in_progress under_maintenance")
		r.say("x", same)
		time.Sleep(time.Minute)
		reads(t, rec, "and trouble", "in_progress,investigating partial_outage")
		r.end("x")
		time.Sleep(6 * time.Minute)
		reads(t, rec, "the trouble is over", "in_progress,resolved under_maintenance")
		r.say("y", same)
		time.Sleep(6 * time.Minute)
		maintaining(t, s, m, completed)
		reads(t, rec, "the maintenance is over", "completed,resolved,investigating partial_outage")
	})
}

func TestNothingIsAnnouncedWhilePublishIsOff(t *testing.T) {
	rec, s, _ := aPage(t, func(c *config.Statuspage) { c.Publish = "off" })
	if err := s.Maintain(t.Context(), notify.ScheduledMaintenance{Key: "a"}, scheduled); err != nil ||
		len(rec.Page()) != 0 {
		t.Errorf("%v %v", err, rec.Page())
	}
}
