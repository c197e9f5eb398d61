package incident

import (
	"fmt"
	"time"
)

// checkCooldown looks at the target's other incidents only: within one incident
// settling and verifying keep the rungs apart. The pause grows with each of them
// (INV-22).
func (l Ledger) checkCooldown(op Op, now time.Time, lim Limits) Answer {
	last, target := time.Time{}, op.Plan.Target.String()
	for _, s := range l.Spent {
		if s.Target == target && s.Incident != op.Incident && s.EndedAt.After(last) {
			last = s.EndedAt
		}
	}
	if last.IsZero() {
		return Answer{Guard: "cooldown", Reason: fmt.Sprintf("no op for another incident on the target yet; "+
			"cooldown is %s", lim.Cooldown)}
	}
	n := l.cycles(target, op.Incident, now, lim.Quarantine.Per)
	need := pause(lim.Cooldown, n, lim.Quarantine.Per)
	since := max(0, now.Sub(last))
	a := Answer{Guard: "cooldown", Reason: fmt.Sprintf("the last op for another incident on the target ended %s "+
		"ago; cooldown is %s", since.Round(time.Second), need)}
	if n > 1 {
		a.Reason += fmt.Sprintf(" after %d such incidents in %s", n, lim.Quarantine.Per)
	}
	if since < need {
		a.Hold, a.RetryAt = Wait, last.Add(need)
	}
	return a
}

// pause is the cooldown after the given number of cycles: it doubles with each.
func pause(cooldown time.Duration, cycles int, longest time.Duration) time.Duration {
	d := cooldown
	for k := 1; k < cycles && d < longest; k++ {
		d *= 2
	}
	return max(cooldown, min(d, longest))
}
