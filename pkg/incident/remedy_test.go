package incident

import (
	"testing"
	"time"
)

// cured is an incident whose crash loop was rolled back a moment ago, with success;
// the rollout was complete at t0+2s and had settled 10s later.
func cured(t *testing.T, more ...Alert) (*story, Alert) {
	t.Helper()
	crash := breach("crash_looping", P1, 5, "rollback", "page")
	s := tell(t, append([]Alert{crash}, more...)...).want(Open, Consider).run("rollback", C4)
	s.after(2*time.Second).tick(steady, append([]Alert{crash}, more...)...).want(Verifying)
	ok := with(crash, OK, true)
	s.after(11*time.Second).tick(steady, append([]Alert{ok}, more...)...).want(Verifying, Release)
	s.step(Released{At: s.at})
	if s.inc.Attempts[0].Verdict != Helped {
		t.Fatalf("the rollback %s", s.inc.Attempts[0].Verdict)
	}
	return s, ok
}

// health is a rule over damped probes: it may see what was so a minute ago.
func health(sev Severity, v Verdict) Alert {
	a := with(breach("health", sev, 2, "rollback", "page"), v, true)
	a.Lookback = time.Minute
	return a
}

func TestARepairThatWorkedWakesNobody_A0(t *testing.T) {
	for name, sev := range map[string]Severity{"as urgent": P1, "more urgent": P0} {
		t.Run(name, func(t *testing.T) {
			s, crash := cured(t)
			// It fires, 28 s late, and clears before its lookback and the settle time are over.
			for range 5 {
				s.after(10*time.Second).tick(steady, crash, health(sev, Breach)).want(Verifying)
			}
			s.after(5*time.Second).tick(steady, with(crash, OK, false), with(health(sev, OK), OK, false)).want(Resolved)
			if s.inc.Paged || s.inc.Severity != P1 {
				t.Errorf("paged: %v %q, severity %s", s.inc.Paged, s.inc.PageReason, s.inc.Severity)
			}
		})
	}
}

func TestWhatFiredBetweenTheActAndItsVerdictWaits_A0(t *testing.T) {
	s, crash := cured(t, health(P1, Breach))
	s.after(5*time.Second).tick(steady, crash, health(P1, Breach)).want(Verifying)
	if s.inc.Lead != "crash_looping" || s.inc.Paged {
		t.Errorf("lead %s, paged: %v", s.inc.Lead, s.inc.Paged)
	}
}

func TestASecondFaultAfterACureIsPaged_A0(t *testing.T) {
	bound := 2*time.Second + 10*time.Second + time.Minute // rolled out, settle, lookback
	t.Run("what fires on once lookback and settle time are over", func(t *testing.T) {
		s, crash := cured(t)
		for s.at.Before(t0.Add(bound - 5*time.Second)) {
			s.after(5*time.Second).tick(steady, crash, health(P0, Breach)).want(Verifying)
		}
		s.after(5*time.Second).tick(steady, crash, health(P0, Breach)).want(Verifying, Consider)
		if s.at.After(t0.Add(bound+5*time.Second)) || s.inc.Severity != P0 {
			t.Errorf("it waited until %s, severity %s", s.at.Sub(t0), s.inc.Severity)
		}
	})
	t.Run("at once if the rule said OK since", func(t *testing.T) {
		s, crash := cured(t, health(P1, Breach))
		s.after(5*time.Second).tick(steady, crash, health(P1, OK)).want(Verifying)
		s.after(5*time.Second).tick(steady, crash, health(P1, Breach)).want(Verifying, Consider)
	})
	t.Run("at once if the rule does not look back", func(t *testing.T) {
		s, crash := cured(t)
		now := health(P1, Breach)
		now.Lookback = 0
		s.after(5*time.Second).tick(steady, crash, now).want(Verifying, Consider)
	})
	t.Run("at once if the action brought nothing", func(t *testing.T) {
		crash := breach("crash_looping", P1, 5, "restart", "page")
		s := tell(t, crash).run("restart", C3)
		s.after(2*time.Second).tick(steady, crash, health(P1, Breach)).want(Verifying)
		s.after(2*time.Minute).tick(steady, crash, health(P1, Breach)).want(Verifying, Release)
		s.step(Released{At: s.at}).after(5*time.Second).tick(steady, with(crash, OK, true), health(P1, Breach))
		if len(s.effects) != 1 || s.effects[0] != Consider {
			t.Errorf("effects %v", s.effects)
		}
	})
}

func TestTheNextIncidentWaitsForTheSameVerification_X92(t *testing.T) {
	s, crash := cured(t)
	s.after(10*time.Second).tick(steady, with(crash, OK, false)).want(Resolved)
	next := Following(New("i2", target, s.at), s.inc)
	late := health(P1, Breach)
	late.Lookback = 5 * time.Minute
	if !next.Residual(late, s.at.Add(3*time.Minute)) {
		t.Error("a rule of five minutes opened an incident three minutes after the cure")
	}
	if next.Residual(late, s.at.Add(6*time.Minute)) {
		t.Error("six minutes after the cure it is still put off")
	}
	if again := breach("crash_looping", P1, 5,
		"rollback"); next.Residual(with(Alert{Rule: again.Rule, Lookback: 5 * time.Minute}, Breach, true),
		s.at.Add(time.Minute)) {
		t.Error("a rule that said OK after the cure is put off")
	}
}
