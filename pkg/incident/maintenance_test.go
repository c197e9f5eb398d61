package incident

import (
	"slices"
	"testing"
	"time"
)

var nightly = Maintenance{Window: "in maintenance until 03:00", Held: "in maintenance until 03:00"}

func opening(t *testing.T) *story {
	return &story{t: t, inc: New("i1", target, t0), at: t0, policy: DefaultPolicy()}
}

func said(i Incident, kind Kind) (all []string) {
	for _, e := range i.Timeline {
		if e.Kind == kind {
			all = append(all, e.Text)
		}
	}
	return all
}

func TestAPageInMaintenanceIsHeldUntilItIsOver(t *testing.T) {
	a := breach("errors", P0, 5, "page")
	s := opening(t)
	s.policy.Response = runbook
	s.step(Tick{At: s.at, Alerts: []Alert{a}, Maintenance: nightly}).want(Escalated)
	if s.inc.Silenced() != nightly.Held || !s.inc.Paged || s.inc.Awaited() || !s.inc.AckBy.IsZero() {
		t.Fatalf("silenced %q, paged %v, due %s", s.inc.Silenced(), s.inc.Paged, s.inc.AckBy)
	}
	s.after(time.Hour).step(Tick{At: s.at, Alerts: []Alert{a}, Maintenance: nightly})
	if n := len(s.inc.Timeline); s.inc.Unanswered != 0 || len(said(s.inc, "maintenance")) != 1 {
		t.Fatalf("%d unanswered, %d entries: %v", s.inc.Unanswered, n, s.inc.Timeline)
	}
	before := s.inc.UpdatedAt
	s.after(time.Minute).step(Tick{At: s.at, Alerts: []Alert{a}})
	if s.inc.Silenced() != "" || !s.inc.Paged || !s.inc.UpdatedAt.After(before) ||
		!s.inc.AckBy.Equal(s.at.Add(15*time.Minute)) {
		t.Errorf("silenced %q, due %s: the deadline begins when people are told", s.inc.Silenced(), s.inc.AckBy)
	}
	if got := said(s.inc, "unmuted"); len(got) != 1 {
		t.Errorf("the timeline says %q", got)
	}
}

func TestAnIncidentThatEndsInMaintenanceIsNobodysPage(t *testing.T) {
	s := opening(t)
	a := breach("errors", P1, 5, "page")
	s.step(Tick{At: s.at, Alerts: []Alert{a}, Maintenance: nightly})
	s.after(time.Minute).step(Tick{At: s.at, Alerts: []Alert{with(a, OK, false)}, Maintenance: nightly}).want(Resolved)
	if len(said(s.inc, "unmuted")) != 0 {
		t.Errorf("%v", s.inc.Timeline)
	}
}

func TestAWindowThatHoldsNoPagesIsOnlySaid(t *testing.T) {
	s := opening(t)
	a := breach("errors", P1, 5, "page")
	loud := Maintenance{Window: "in maintenance until 03:00"}
	s.step(Tick{At: s.at, Alerts: []Alert{a}, Maintenance: loud})
	if s.inc.Silenced() != "" || s.inc.Maintenance != loud {
		t.Errorf("silenced %q", s.inc.Silenced())
	}
	longer := Maintenance{Window: "in maintenance until 04:00"}
	s.after(time.Minute).step(Tick{At: s.at, Alerts: []Alert{a}, Maintenance: longer})
	s.after(time.Minute).step(Tick{At: s.at, Alerts: []Alert{a}, Maintenance: longer})
	s.after(time.Minute).step(Tick{At: s.at, Alerts: []Alert{a}})
	if got, want := said(s.inc, "maintenance"), []string{loud.Window, longer.Window, "ended"}; !slices.Equal(got, want) {
		t.Errorf("the timeline says %q, want %q", got, want)
	}
}
