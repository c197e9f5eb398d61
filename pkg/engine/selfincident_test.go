package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// always sick, and a scale would be taken if nothing stood in the way.
func sickStage() *stage {
	s := newStage(newWorld(), "scale", "page")
	s.sick = sickWhile(func(*world) bool { return true })
	return s
}

func TestAStormIsOnePageAndNoAction_W3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sickStage()
		s.whole = FleetHealth{Watched: 10, Unhealthy: 4}
		play(t, s, 20*time.Minute)
		own, one := s.about(Self), s.about("shop")
		if got := s.accepted(); len(got) != 0 {
			t.Fatalf("writes %v", got)
		}
		if !own.Paged || !strings.Contains(own.Title(),
			"storm (4 of 10 watched targets are in breach, limit 3") {
			t.Fatalf("watchdog's own incident: %s, paged %v", own.Title(), own.Paged)
		}
		if one.Paged || one.Phase != incident.Frozen || !one.Shared {
			t.Fatalf("the target's incident: %s, paged %v (%s)", one.Phase, one.Paged, one.PageReason)
		}
	})
}

func TestAStormIsOverOnlyAfterACalm_W3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sickStage()
		s.whole = FleetHealth{Watched: 10, Unhealthy: 4}
		play(t, s, time.Minute)
		s.whole.Unhealthy = 1
		// Another leader goes on with the storm, and counts the calm anew.
		for range 2 {
			play(t, s, stormCalm-10*time.Second)
			if got := s.accepted(); len(got) != 0 || s.about(Self).Phase == incident.Resolved {
				t.Fatalf("%s before the storm was over: writes %v", s.about(Self).Phase, got)
			}
		}
		play(t, s, stormCalm+10*time.Second)
		if got := s.accepted(); len(got) != 1 || s.about(Self).Phase != incident.Resolved {
			t.Fatalf("after the storm: writes %v, own incident %s", got, s.about(Self).Phase)
		}
	})
}

func TestBlindnessIsOnePage_W5(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sickStage()
		s.whole.Blind = "prometheus: connection refused"
		began := time.Now()
		play(t, s, 20*time.Minute)
		own, one := s.about(Self), s.about("shop")
		if got := s.accepted(); len(got) != 0 || one.Paged {
			t.Fatalf("writes %v, the target's incident paged: %v %s", got, one.Paged, one.PageReason)
		}
		told := own.Timeline[len(own.Timeline)-1].At.Sub(began)
		if !own.Paged || !strings.Contains(own.Title(), "blind (prometheus: connection refused)") ||
			told > time.Minute {
			t.Fatalf("watchdog's own incident: %s, paged %v after %s", own.Title(), own.Paged, told)
		}
	})
}

func TestAProcessThatIsNotTrustedOnlyWatches_INV52(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sickStage()
		s.unfit = "it crashed 3 times within 10m"
		play(t, s, 20*time.Minute)
		if got := s.accepted(); len(got) != 0 || !s.about(Self).Paged || !s.about("shop").Paged {
			t.Fatalf("writes %v, own incident paged: %v, the target's: %v", got, s.about(Self).Paged,
				s.about("shop").Paged)
		}
	})
}

func TestStateOfANewerWatchdogIsLeftAlone_INV49(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sickStage()
		if _, err := s.SaveIncident(t.Context(), incident.Incident{ID: "new", Target: shop, Format: 2},
			""); err != nil {
			t.Fatal(err)
		}
		stored := s.objects["i/new"]
		play(t, s, 20*time.Minute)
		if got := s.accepted(); len(got) != 0 || s.objects["i/new"] != stored {
			t.Fatalf("writes %v, and the newer incident is now %s", got, s.objects["i/new"])
		}
		if own := s.about(Self); !own.Paged || !strings.Contains(own.Title(),
			"a newer version of watchdog stored incidents (on shop)") || s.about("shop").ID != "" {
			t.Fatalf("own incident: %s, paged %v; on the target: %+v", own.Title(), own.Paged, s.about("shop"))
		}
	})
}

func TestUndoTakesBackAtOnceAndForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sickStage()
		play(t, s, 5*time.Second) // it ends in the middle of the scale's verification
		if s.replicas != 4 {
			t.Fatalf("%d replicas", s.replicas)
		}
		var l incident.Ledger
		version := s.get("ledger", &l)
		l.Undo = map[string]incident.Attribution{l.Ops[0].ID: {By: "anna", Reason: "the database"}}
		if _, err := s.put("ledger", l, version); err != nil {
			t.Fatal(err)
		}
		play(t, s, 30*time.Minute)
		if s.replicas != 3 || len(s.accepted()) != 2 || !s.audited("requested by anna (the database)") {
			t.Fatalf("%d replicas after %v", s.replicas, s.accepted())
		}
	})
}

// TestTheNextLeaderKnowsWhyItWasBlind_X10: what the earlier leader said of data that came again is no part of why.
func TestTheNextLeaderKnowsWhyItWasBlind_X10(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sickStage()
		s.whole.Blind = "prometheus: connection refused"
		play(t, s, 2*time.Minute)
		s.whole.Blind = ""
		for range 2 {
			play(t, s, time.Minute)
			a, _ := s.about(Self).Alert("blind")
			if !a.Firing || !strings.HasPrefix(a.Reason,
				"prometheus: connection refused; data is back since ") ||
				strings.Count(a.Reason, "is back since") != 1 {
				t.Fatalf("firing %v: %s", a.Firing, a.Reason)
			}
		}
	})
}

// TestTheNumbersOfAStormAreStored_A4: people read the present ones in the incident.
func TestTheNumbersOfAStormAreStored_A4(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sickStage()
		for _, unhealthy := range []int{4, 6, 1} {
			s.whole = FleetHealth{Watched: 10, Unhealthy: unhealthy}
			play(t, s, 30*time.Second)
			stored, err := s.Incidents(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range stored {
				if a, _ := x.Incident.Alert("storm"); x.Incident.Target.Name == Self &&
					(a.Extent.Unhealthy != unhealthy || a.Extent.CalmSince.IsZero() == (unhealthy == 1)) {
					t.Errorf("%d targets are unhealthy, and stored is %+v: %s", unhealthy, a.Extent, a.Reason)
				}
			}
		}
	})
}
