package incident

import (
	"fmt"
	"slices"
	"time"
)

// Quarantine leaves a target to people until one of them lifts it (INV-22).
type Quarantine struct {
	Target string `json:"target"`
	// Op is the one that made the number of cycles complete; lifting names it, so
	// that nobody lifts a quarantine that they have not seen.
	Op string `json:"op"`
	// Incident may still work its own ladder.
	Incident string    `json:"incident"`
	Cycles   int       `json:"cycles"`
	At       time.Time `json:"at"`
}

// cycles are the incidents other than the given one in which ops changed the
// target within the window, were not forgiven by a person, and did not end by themselves.
func (l Ledger) cycles(target, but string, now time.Time, window time.Duration) int {
	seen := map[string]bool{}
	for _, s := range l.Spent {
		if s.Target == target && s.Incident != but && !s.EndedAt.IsZero() && !s.Forgiven && !s.ByItself &&
			now.Sub(s.EndedAt) < window {
			seen[s.Incident] = true
		}
	}
	return len(seen)
}

// Quarantined returns the quarantine of the target that nobody has lifted.
func (l Ledger) Quarantined(target string) (Quarantine, bool) {
	for _, q := range l.Quarantines {
		if q.Target == target && l.Lifted[target] != q.Op {
			return q, true
		}
	}
	return Quarantine{}, false
}

func (l Ledger) checkQuarantine(op Op, now time.Time, r Rate) Answer {
	t := op.Plan.Target.String()
	q, on := l.Quarantined(t)
	switch {
	case on && q.Incident != op.Incident:
		return Answer{Guard: "quarantine", Hold: HandOver,
			Reason: fmt.Sprintf("quarantined: watchdog acted in %d incidents on %s within %s; fix the cause, "+
				"then run `watchdog resume %s/%s`",
				q.Cycles, t, r.Per, op.Plan.Target.Namespace, op.Plan.Target.Workload)}
	case r.Count <= 0:
		return Answer{Guard: "quarantine", Reason: "no limit on incidents with an action"}
	}
	return Answer{Guard: "quarantine", Reason: fmt.Sprintf("%d of %d incidents with an action on the target in %s",
		l.cycles(t, op.Incident, now, r.Per), r.Count, r.Per)}
}

// recurred sets the target under quarantine when the op's incident made the
// number of cycles complete at the moment of its effect.
func (l Ledger) recurred(op Op, r Rate, at, now time.Time) Ledger {
	t := op.Plan.Target.String()
	if _, on := l.Quarantined(t); on || r.Count <= 0 {
		return l
	}
	n := l.cycles(t, "", at, r.Per)
	if n < r.Count {
		return l
	}
	l.Quarantines = append(slices.DeleteFunc(slices.Clone(l.Quarantines),
		func(q Quarantine) bool { return q.Target == t }),
		Quarantine{Target: t, Op: op.ID, Incident: op.Incident, Cycles: n, At: now})
	return l
}

// lifted drops quarantines that a person lifted and forgives what led to them.
func (l Ledger) lifted() Ledger {
	for _, q := range l.Quarantines {
		if l.Lifted[q.Target] != q.Op {
			continue
		}
		l.Quarantines = slices.DeleteFunc(slices.Clone(l.Quarantines), func(o Quarantine) bool { return o == q })
		l.Spent = slices.Clone(l.Spent)
		for k := range l.Spent {
			l.Spent[k].Forgiven = l.Spent[k].Forgiven || l.Spent[k].Target == q.Target
		}
		return l.lifted()
	}
	return l
}
