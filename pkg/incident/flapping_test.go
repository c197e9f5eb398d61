package incident

import (
	"testing"
	"time"
)

var nowhere = Target{Name: "not watched: DiskFull in prod", Namespace: "prod"}

// comeback is an incident that opened shortly after another on its target, in which an
// alert of another system fires.
func comeback(t *testing.T) (*story, Alert) {
	a := breach("DiskFull", P1, 1, "page")
	a.Source = SourceAlertmanager
	s := &story{t: t, inc: Relapsed(New("i2", nowhere, t0), "i1", time.Minute), at: t0, policy: DefaultPolicy()}
	s.policy.Response = runbook
	return s.tick(steady, a).want(Escalated), a
}

func TestAnAlertThatComesBackGoesOnInItsIncident_S07(t *testing.T) {
	s, a := comeback(t)
	for range 100 {
		s.after(time.Minute).tick(steady, with(a, OK, false)).want(Escalated)
		s.after(FlapCalm-time.Second).tick(steady, with(a, OK, false)).want(Escalated)
		if s.inc.CalmSince.IsZero() {
			t.Fatalf("nothing says that it is calm: %+v", s.inc.Timeline)
		}
		s.tick(steady, a).want(Escalated)
		if !s.inc.CalmSince.IsZero() {
			t.Fatal("it fires, and the incident says that it is calm")
		}
	}
	if got := said(s.inc, "paged"); len(got) != 1 {
		t.Errorf("paged %q", got)
	}
	s.after(time.Minute).tick(steady, with(a, OK, false)).want(Escalated)
	s.after(FlapCalm).tick(steady, with(a, OK, false)).want(Resolved)
	if d := s.inc.ResolvedAt.Sub(s.inc.CalmSince); d != FlapCalm {
		t.Errorf("calm since %s, resolved at %s", s.inc.CalmSince, s.inc.ResolvedAt)
	}
}

func TestOnlyAFlappingIncidentWaitsForACalm_S07(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*story, *Alert)
		phase  Phase
	}{
		{"it came back, and others tell of it", func(*story, *Alert) {}, Escalated},
		{"it is about a target", func(s *story, _ *Alert) { s.inc.Target = target }, Escalated},
		{"it is the first", func(s *story, _ *Alert) { s.inc.RelapseOf = "" }, Resolved},
		{"watchdog saw it itself", func(s *story, a *Alert) { s.inc.Alerts[0].Source, a.Source = "probe", "probe" },
			Resolved},
		{"something was done about it", func(s *story, _ *Alert) { s.inc.Attempts = []Attempt{{Verdict: Helped}} },
			Resolved},
		{"nobody was told, because of a silence", func(s *story, _ *Alert) { s.inc.Alerts[0].Silenced = "by alice" },
			Resolved},
		{"nobody was told, because of maintenance", func(s *story, _ *Alert) { s.inc.Maintenance = nightly }, Resolved},
		{"nobody was told, because of a storm", func(s *story, _ *Alert) { s.inc.Shared = true }, Resolved},
	} {
		s, a := comeback(t)
		tc.change(s, &a)
		if s.after(time.Minute).tick(steady, with(a, OK, false)); s.inc.Phase != tc.phase {
			t.Errorf("%s: %s, want %s", tc.name, s.inc.Phase, tc.phase)
		}
	}
}

// What wakes people in an incident that waits for a calm does so as ever.
func TestAnIncidentThatWaitsForACalmHidesNothing_S07(t *testing.T) {
	s, a := comeback(t)
	s.after(time.Minute).tick(steady, with(a, OK, false))
	worse := a
	worse.Severity = P0
	if s.after(time.Minute).tick(steady, worse).want(Escalated); s.inc.Severity != P0 {
		t.Errorf("a graver alert: %s", s.inc.Severity)
	}

	s, a = comeback(t)
	s.after(time.Minute).tick(steady, with(a, OK, false))
	other := a
	other.Rule = "DiskSlow"
	if s.after(time.Minute).tick(steady, with(a, OK, false), other).want(Escalated); len(said(s.inc, "paged")) != 2 ||
		s.inc.Lead != "DiskSlow" {
		t.Errorf("an alert of another name: it leads %s, paged %q", s.inc.Lead, said(s.inc, "paged"))
	}

	s, a = comeback(t)
	s.after(time.Minute).tick(steady, with(a, OK, false))
	own := breach("errors", P1, 5, "page")
	s.after(time.Minute).tick(steady, with(a, OK, false), own).want(Resolved) // and the next tick opens one of its own
	if _, known := s.inc.Alert("errors"); known {
		t.Error("what watchdog sees itself was added to an incident that somebody has answered")
	}

	s, a = comeback(t)
	due := s.inc.AckBy
	s.after(time.Minute).tick(steady, with(a, OK, false))
	if !s.inc.AckBy.Equal(due) || due.IsZero() {
		t.Errorf("a deadline of %s is one of %s while it is calm", due, s.inc.AckBy)
	}
}
