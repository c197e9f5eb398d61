package incident

import (
	"strings"
	"testing"
	"time"
)

// refusing answers each Consider of a story with what a guard holds against the plan.
func refusing(guard string, h Hold, every time.Duration, until time.Duration) Incident {
	p := DefaultPolicy()
	a := breach("errors", P2, 5, "restart", "page")
	i := New("i1", target, t0)
	for at := time.Duration(0); at <= until; at += every {
		a.EvaluatedAt = t0.Add(at)
		next, effects := Step(i, Tick{At: t0.Add(at), Alerts: []Alert{a}}, p)
		if i = next; len(effects) > 0 && effects[0] == Consider {
			answer := Answer{Guard: guard, Hold: h, Reason: "shop carries watchdog.io/hold"}
			i, _ = Step(i, Considered{At: t0.Add(at), Plan: Plan{Summary: "restart shop"}, Answers: []Answer{answer},
				Hold: h, Reason: answer.Reason}, p)
		}
	}
	return i
}

// X103: a hold that was forgotten kept a breach from everybody for as long as it stood.
func TestABreachUnderAHoldReachesAPersonAfterAWhile_INV65(t *testing.T) {
	for _, guard := range []string{"hold", "kill switch"} {
		if i := refusing(guard, Suppress, time.Minute, 29*time.Minute); i.Paged || i.Phase != Suppressed {
			t.Errorf("%s: paged after 29m: %q, %s", guard, i.PageReason, i.Phase)
		}
		i := refusing(guard, Suppress, time.Minute, 40*time.Minute)
		if !i.Paged || entries(i, "paged") != 1 || i.Phase != Suppressed ||
			!strings.Contains(i.PageReason,
				"errors has been in breach for 30m0s while watchdog is on hold: shop carries watchdog.io/hold") {
			t.Errorf("%s: paged %v, %q, %s", guard, i.Paged, i.PageReason, i.Phase)
		}
	}
	for _, guard := range []string{"maintenance", "silence"} {
		if i := refusing(guard, Suppress, time.Minute, 3*time.Hour); i.Paged {
			t.Errorf("%s has an end of its own, and a person is paged: %s", guard, i.PageReason)
		}
	}
}
