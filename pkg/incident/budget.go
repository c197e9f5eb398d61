package incident

import (
	"fmt"
	"slices"
	"time"
)

// Rate is a count in a sliding window.
type Rate struct {
	Count int
	Per   time.Duration
}

// Limits are what the ledger holds every reservation to (INV-17).
type Limits struct {
	PerTarget    Rate
	PerNamespace Rate
	Cluster      Rate
	// Pods bounds the pods that ops disturb in the cluster; without a window there is no
	// limit. One op that alone needs more is allowed while nothing else has used any.
	Pods       Rate
	Concurrent int
	// Cooldown is the pause between incidents on one target; it doubles with each
	// within the window of Quarantine.
	Cooldown time.Duration
	// Quarantine is in how many incidents watchdog may act on one target before it
	// is left to people (INV-22). The zero value sets no limit.
	Quarantine Rate
	// MinInterval is the least time between the starts of two disruptive ops (INV-24).
	MinInterval time.Duration
}

// Check answers whether op may be reserved now: one Answer per limit, each with
// its numbers.
func (l Ledger) Check(op Op, now time.Time, lim Limits) []Answer {
	t := op.Plan.Target
	answers := []Answer{l.checkHold(now), l.checkSingleFlight(op)}
	if op.Plan.Action == ActionRevert {
		return answers
	}
	return append(answers,
		l.checkQuarantine(op, now, lim.Quarantine),
		l.checkCooldown(op, now, lim),
		l.checkMinInterval(op, now, lim.MinInterval),
		l.checkConcurrent(op, lim.Concurrent),
		l.checkRate("budget per target", lim.PerTarget, now,
			func(s Spent) bool { return s.Op != op.ID && s.Target == t.String() }),
		l.checkRate("budget per namespace", lim.PerNamespace, now,
			func(s Spent) bool { return s.Op != op.ID && s.Namespace == t.Namespace }),
		l.checkRate("budget of the cluster", lim.Cluster, now, func(s Spent) bool { return s.Op != op.ID }),
		l.checkPods(op, lim.Pods, now),
	)
}

func (l Ledger) checkConcurrent(op Op, limit int) Answer {
	n := 0
	for _, o := range l.Ops {
		if o.ID != op.ID && o.Plan.Action != ActionRevert {
			n++
		}
	}
	a := Answer{Guard: "concurrent ops", Reason: fmt.Sprintf("%d of %d ops in flight in the cluster", n, limit)}
	if n >= limit {
		a.Hold = Wait
	}
	return a
}

func (l Ledger) checkRate(name string, r Rate, now time.Time, counts func(Spent) bool) Answer {
	n, oldest := 0, now
	for _, s := range l.Spent {
		if counts(s) && (s.EndedAt.IsZero() || now.Sub(s.At) < r.Per) {
			n++
			if s.At.Before(oldest) {
				oldest = s.At
			}
		}
	}
	a := Answer{Guard: name, Reason: fmt.Sprintf("%d of %d ops used in %s", n, r.Count, r.Per)}
	if n >= r.Count {
		a.Hold, a.RetryAt = Wait, oldest.Add(r.Per)
	}
	return a
}

// checkPods counts the pods that ops disturb, at worst. What one op disturbs is never
// forbidden for its size alone: then a large workload could never be helped.
func (l Ledger) checkPods(op Op, r Rate, now time.Time) Answer {
	a := Answer{Guard: "budget of pods"}
	if r.Per <= 0 {
		a.Reason = "no limit on pods"
		return a
	}
	var used []Spent
	n := 0
	for _, s := range l.Spent {
		if s.Op != op.ID && s.Pods > 0 && (s.EndedAt.IsZero() || now.Sub(s.At) < r.Per) {
			n += s.Pods
			used = append(used, s)
		}
	}
	a.Reason = fmt.Sprintf("%d of %d pods disturbed in %s; this op adds %d", n, r.Count, r.Per, op.Plan.Price)
	switch {
	case op.Plan.Price <= 0 || n+op.Plan.Price <= r.Count:
		return a
	case n == 0 && r.Count > 0:
		a.Reason += "; larger than the budget, allowed because no other op used it"
		return a
	}
	a.Hold = Wait
	slices.SortFunc(used, func(x, y Spent) int { return x.At.Compare(y.At) })
	for _, s := range used {
		n -= s.Pods
		if a.RetryAt = s.At.Add(r.Per); n+op.Plan.Price <= r.Count {
			break
		}
	}
	return a
}
