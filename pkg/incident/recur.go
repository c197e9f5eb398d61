package incident

import (
	"fmt"
	"hash/fnv"
	"slices"
	"time"
)

// What the ledger remembers of ops that are over, so that nothing is done again
// and again: cycles of trouble on one target, moves of one field, and the moment
// of the last start.

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

// Move is one change of a field that watchdog made.
type Move struct {
	Op     string `json:"op"`
	Object string `json:"object"` // uid
	Field  string `json:"field"`
	From   string `json:"from"`
	To     string `json:"to"`
	// Was is the fingerprint of the pod template before the change, of those that
	// change it.
	Was string    `json:"was,omitempty"`
	At  time.Time `json:"at"`
}

// Bounds of what is remembered. Guards look back less far.
const (
	keepMoves = 24 * time.Hour
	maxMoves  = 300
)

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

// pause is the cooldown after the given number of cycles: it doubles with each.
func pause(cooldown time.Duration, cycles int, longest time.Duration) time.Duration {
	d := cooldown
	for k := 1; k < cycles && d < longest; k++ {
		d *= 2
	}
	return max(cooldown, min(d, longest))
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

// checkMinInterval keeps the starts of disruptive ops apart (INV-24). The jitter
// follows from the op, so that asking again gives the same answer.
func (l Ledger) checkMinInterval(op Op, now time.Time, least time.Duration) Answer {
	if least <= 0 || op.Plan.Class < C3 {
		return Answer{Guard: "min interval", Reason: fmt.Sprintf("applies to class C3 and above; %s is C%d", op.Plan.Action,
			op.Plan.Class)}
	}
	h := fnv.New32a()
	h.Write([]byte(op.Plan.Target.String()))
	need := least + time.Duration(h.Sum32()%512)*least/1024
	last := time.Time{}
	for _, s := range l.Spent {
		if s.Op != op.ID && s.Class >= C3 && s.At.After(last) {
			last = s.At
		}
	}
	a := Answer{Guard: "min interval", Reason: fmt.Sprintf("no other disruptive op began within %s",
		need.Round(time.Second))}
	if since := now.Sub(last); !last.IsZero() && since < need {
		a.Hold, a.RetryAt = Wait, last.Add(need)
		a.Reason = fmt.Sprintf("another disruptive op began %s ago; the minimum interval is %s",
			since.Round(time.Second), need.Round(time.Second))
	}
	return a
}

// moved remembers a change of ours.
func (l Ledger) moved(m Move) Ledger {
	if m.Field == "" || m.Object == "" || slices.ContainsFunc(l.Moves, func(o Move) bool { return o.Op == m.Op }) {
		return l
	}
	l.Moves = append(slices.DeleteFunc(slices.Clone(l.Moves), func(o Move) bool { return m.At.Sub(o.At) > keepMoves }),
		m)
	l.Moves = l.Moves[max(0, len(l.Moves)-maxMoves):]
	return l
}

// Reverted remembers that a lease was taken back by the op with the given id.
func (l Ledger) Reverted(lease Lease, op string, now time.Time) Ledger {
	p := lease.Plan
	return l.moved(Move{Op: op, Object: p.Object.UID, Field: p.Field, From: p.After, To: p.Before, Was: p.Is, At: now})
}

// Sane returns the ledger without times that lie ahead of now, and whether it
// differs: a clock that was wrong once must not hold a target for years. What
// is drawn back counts from now, so nothing is shortened.
func (l Ledger) Sane(now time.Time) (Ledger, bool) {
	changed := false
	back := func(t time.Time, latest time.Time) time.Time {
		if t.After(latest.Add(maxAhead)) {
			changed = true
			return latest
		}
		return t
	}
	l.Spent, l.Leases, l.Moves, l.Ops = slices.Clone(l.Spent), slices.Clone(l.Leases), slices.Clone(l.Moves),
		slices.Clone(l.Ops)
	for k := range l.Spent {
		l.Spent[k].At, l.Spent[k].EndedAt = back(l.Spent[k].At, now), back(l.Spent[k].EndedAt, now)
	}
	for k := range l.Leases {
		l.Leases[k].ExpiresAt = back(l.Leases[k].ExpiresAt, now.Add(l.Leases[k].Plan.Lease))
	}
	for k := range l.Moves {
		l.Moves[k].At = back(l.Moves[k].At, now)
	}
	for k := range l.Ops {
		l.Ops[k].PlannedAt, l.Ops[k].SentAt, l.Ops[k].AppliedAt = back(l.Ops[k].PlannedAt, now), back(l.Ops[k].SentAt,
			now), back(l.Ops[k].AppliedAt, now)
	}
	return l, changed
}

// maxAhead is how far two honest clocks may differ.
const maxAhead = time.Minute
