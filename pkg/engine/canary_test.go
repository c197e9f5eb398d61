package engine

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/incident"
)

func TestWhileTheCanaryIsLostNothingIsDone_W16(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sickStage()
		done := make(chan error, 1)
		s.doubted = "it was lost" // set while it runs, it might act a moment before
		s.start(t.Context(), done)
		time.Sleep(20 * time.Minute)
		own := s.about(Self)
		if got := s.accepted(); len(got) != 0 || !own.Paged || !strings.Contains(own.Title(), "canary (it was lost)") {
			t.Fatalf("writes %v; own incident %s, paged %v", got, own.Title(), own.Paged)
		}
		s.engine.CanaryFailed("")
		time.Sleep(time.Minute)
		if got := s.accepted(); len(got) != 1 || s.about(Self).Phase != incident.Resolved {
			t.Fatalf("once it flies again: writes %v, own incident %s", got, s.about(Self).Phase)
		}
	})
}

func TestThatNobodyCanBePagedStopsNoRemedy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sickStage()
		done := make(chan error, 1)
		s.start(t.Context(), done)
		s.engine.CannotPage("pagerduty since 12:00 UTC")
		time.Sleep(time.Minute)
		own := s.about(Self)
		if got := s.accepted(); len(got) != 1 || !own.Paged ||
			!strings.Contains(own.Title(), "cannot_page (pagerduty since 12:00 UTC)") {
			t.Fatalf("writes %v; own incident %s, paged %v", got, own.Title(), own.Paged)
		}
		s.engine.CannotPage("")
		time.Sleep(time.Minute)
		if s.about(Self).Phase != incident.Resolved {
			t.Fatalf("own incident %s", s.about(Self).Phase)
		}
	})
}

func TestAFollowerThatCannotSeeSaysSo_INV45(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var told []incident.Incident
	v := NewBlindFollower("watchdog", "watchdog-1", func(i incident.Incident) { told = append(told, i) })
	for _, tc := range []struct {
		after time.Duration
		why   string
		told  int
		phase incident.Phase
	}{
		{0, "prometheus: connection refused", 0, ""},
		{blindFollowerAfter - time.Second, "prometheus: connection refused", 0, ""},
		{time.Second, "prometheus: connection refused", 1, incident.Escalated},
		{time.Minute, "prometheus: connection refused", 1, incident.Escalated},
		{time.Minute, "", 2, incident.Resolved},
		{time.Minute, "", 2, incident.Resolved},
	} {
		at = at.Add(tc.after)
		v.Look(at, tc.why)
		if len(told) != tc.told || tc.told > 0 && told[tc.told-1].Phase != tc.phase {
			t.Fatalf("%+v: %+v", tc, told)
		}
	}
	if i := told[0]; i.Paged || i.Severity != incident.P2 ||
		!strings.Contains(i.PageReason, "follower watchdog-1 could not take over: prometheus: "+
			"connection refused") {
		t.Errorf("%+v", i)
	}
}

func TestTheCanaryIsToldAndNeitherStoredNorRecorded_W16(t *testing.T) {
	w := newWorld()
	var told []incident.Incident
	firing := true
	e := New(Options{
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Cluster: w, Store: w,
		Policy: incident.DefaultPolicy(),
		Audit:  func(r ...audit.Record) error { t.Errorf("recorded: %+v", r); return nil },
		Tell:   func(i incident.Incident) { told = append(told, i) },
	})
	setup := Setup{FleetHealth: func() FleetHealth { return FleetHealth{} }, Dependencies: nil,
		Snapshot: func(name string) Snapshot {
			a := incident.Alert{Rule: "canary", Severity: incident.P0, Verdict: incident.OK, EvaluatedAt: time.Now()}
			if firing {
				// However it is routed and silenced, it asks for nothing.
				a.Firing, a.Verdict, a.Silenced, a.Ladder = true, incident.Breach, "by somebody",
					[]incident.Rung{{Action: "restart", Class: incident.C3}, {Action: "page"}}
			}
			return Snapshot{Alerts: []incident.Alert{a}}
		}}
	pass := func(want int, phase incident.Phase) {
		t.Helper()
		if _, err := e.Pass(t.Context(), incident.Canary); err != nil {
			t.Fatal(err)
		}
		if len(told) != want || want > 0 && told[want-1].Phase != phase {
			t.Fatalf("told %d times, want %d: %+v", len(told), want, told)
		}
	}
	e.Use(&setup)
	pass(0, "") // the rules have none
	setup.Canary = true
	pass(1, incident.Escalated)
	pass(1, incident.Escalated)
	firing = false
	pass(2, incident.Resolved)
	pass(2, incident.Resolved)
	firing = true
	pass(3, incident.Escalated)
	// Another leader worked meanwhile; what was under way then is not waited for.
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Run(gone); err != nil {
		t.Fatal(err)
	}
	pass(4, incident.Escalated)
	if len(w.objects) != 0 || len(e.Incidents()) != 0 || told[0].Paged || told[0].Silenced() != "" {
		t.Errorf("stored %v, shown %v, paged %v", w.objects, e.Incidents(), told[0].Paged)
	}
}
