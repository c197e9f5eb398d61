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
