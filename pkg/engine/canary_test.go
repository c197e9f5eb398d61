package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

func TestWhileTheCanaryIsLostNothingIsDone_W16(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sickStage()
		done := make(chan error, 1)
		s.start(t.Context(), done)
		s.engine.Doubt("it was lost")
		time.Sleep(20 * time.Minute)
		own := s.about(Self)
		if got := s.accepted(); len(got) != 0 || !own.Paged || !strings.Contains(own.Title(), "canary (it was lost)") {
			t.Fatalf("writes %v; own incident %s, paged %v", got, own.Title(), own.Paged)
		}
		s.engine.Doubt("")
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
		s.engine.Mute("pagerduty since 12:00 UTC")
		time.Sleep(time.Minute)
		own := s.about(Self)
		if got := s.accepted(); len(got) != 1 || !own.Paged || !strings.Contains(own.Title(), "cannot_page (pagerduty since 12:00 UTC)") {
			t.Fatalf("writes %v; own incident %s, paged %v", got, own.Title(), own.Paged)
		}
		s.engine.Mute("")
		time.Sleep(time.Minute)
		if s.about(Self).Phase != incident.Resolved {
			t.Fatalf("own incident %s", s.about(Self).Phase)
		}
	})
}

func TestAFollowerThatCannotSeeSaysSo_INV45(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var told []incident.Incident
	v := NewSightless("watchdog", "watchdog-1", func(i incident.Incident) { told = append(told, i) })
	for _, tc := range []struct {
		after time.Duration
		why   string
		told  int
		phase incident.Phase
	}{
		{0, "prometheus: connection refused", 0, ""},
		{sightless - time.Second, "prometheus: connection refused", 0, ""},
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
	if i := told[0]; i.Paged || i.Severity != incident.P2 || !strings.Contains(i.PageReason, "watchdog-1, which does not lead, cannot see: prometheus: connection refused") {
		t.Errorf("%+v", i)
	}
}
