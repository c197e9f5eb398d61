package engine

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

func TestNothingIsDoneInMaintenanceAndWhatWasHeldFollows_INV30(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		s.maintenance = incident.Maintenance{Window: "in maintenance until 03:00", Held: "in maintenance until 03:00"}
		s.suspended = remediate.Suspension{From: incident.C2,
			Why: "in maintenance until 03:00 UTC, 42m left, by alice: move"}
		s.sick = sickWhile(func(w *world) bool { return w.replicas < 4 })
		play(t, s, 30*time.Minute)
		play(t, s, time.Minute) // another leader
		i := s.only()
		if got := s.accepted(); len(got) != 0 || i.Phase != incident.Suppressed || i.Silenced() == "" || i.Paged {
			t.Fatalf("writes %v, phase %s, silenced %q, paged %v", got, i.Phase, i.Silenced(), i.Paged)
		}
		if !s.audited("in maintenance until 03:00 UTC, 42m left, by alice: move") {
			t.Error("the record does not say why nothing was done")
		}
		s.mu.Lock()
		s.maintenance, s.suspended = incident.Maintenance{}, remediate.Suspension{}
		s.mu.Unlock()
		play(t, s, 2*time.Minute)
		if got, i := s.accepted(), s.only(); len(got) != 1 || i.Silenced() != "" ||
			i.Attempts[0].Verdict != incident.Helped {
			t.Fatalf("writes %v after the window; silenced %q", got, i.Silenced())
		}
	})
}

// A window that begins between the decision and the write calls it off.
func TestMaintenanceThatBeginsBeforeTheWriteCallsItOff_INV30(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "restart", "page")
		s.sick = sickWhile(func(*world) bool { return true })
		s.looked = func() {
			if strings.Contains(s.objects["ledger"], `"ops":[`) { // it is decided and reserved
				s.suspended = remediate.Suspension{From: incident.C2, Why: "in maintenance"}
			}
		}
		play(t, s, time.Minute)
		planned := slices.ContainsFunc(s.only().Timeline, func(e incident.Entry) bool { return e.Kind == "planned" })
		if got := s.accepted(); len(got) != 0 || !planned || !s.audited("in maintenance") {
			t.Errorf("writes %v, planned %v", got, planned)
		}
	})
}

func TestAWindowThatTakesTooLongIsWatchdogsOwnIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "page")
		s.sick = sickWhile(func(*world) bool { return false })
		alarm := func(rule string, sev incident.Severity, firing bool, ladder ...incident.Rung) incident.Alert {
			a := incident.Alert{Rule: rule, Severity: sev, Firing: firing, Verdict: incident.OK, Reason: "no longer firing",
				Source: "watchdog", EvaluatedAt: time.Now(), Ladder: ladder}
			if firing {
				a.Verdict, a.Reason = incident.Breach, "window db"
			}
			return a
		}
		page := incident.Rung{Action: "page", Class: incident.C1}
		s.own = []incident.Alert{alarm("maintenance_ending", incident.P3, true),
			alarm("maintenance_overrun", incident.P2, false, page)}
		play(t, s, time.Minute)
		if i := s.about(Self); i.Severity != incident.P3 || i.Paged || i.Phase != incident.Escalated {
			t.Fatalf("at 80 %%: %s, paged %v, %s", i.Severity, i.Paged, i.Phase)
		}
		s.own = []incident.Alert{alarm("maintenance_ending", incident.P3, false),
			alarm("maintenance_overrun", incident.P2, true, page)}
		play(t, s, time.Minute)
		if i := s.about(Self); i.Severity != incident.P2 || !i.Paged {
			t.Fatalf("at 100 %%: %s, paged %v", i.Severity, i.Paged)
		}
		s.own = []incident.Alert{alarm("maintenance_ending", incident.P3, false),
			alarm("maintenance_overrun", incident.P2, false, page)}
		play(t, s, time.Minute)
		if i := s.about(Self); i.Phase != incident.Resolved {
			t.Fatalf("ended: %s", i.Phase)
		}
	})
}

// What a lease would take back in a window waits for its end.
func TestALeaseIsNotTakenBackInMaintenance_INV30(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		rush := time.Now().Add(time.Minute)
		s.sick = sickWhile(func(w *world) bool { return w.replicas < 4 && time.Now().Before(rush) })
		play(t, s, 5*time.Minute)
		if got := s.accepted(); len(got) != 1 || s.replicas != 4 {
			t.Fatalf("writes %v, %d replicas", got, s.replicas)
		}
		s.suspended = remediate.Suspension{From: incident.C3, Why: "in maintenance"}
		play(t, s, 20*time.Minute)
		if got := s.accepted(); len(got) != 1 || s.replicas != 4 {
			t.Fatalf("in the window: writes %v, %d replicas", got, s.replicas)
		}
		s.suspended = remediate.Suspension{}
		play(t, s, 2*time.Minute)
		if got := s.accepted(); len(got) != 2 || s.replicas != 3 {
			t.Errorf("after it: writes %v, %d replicas", got, s.replicas)
		}
	})
}
