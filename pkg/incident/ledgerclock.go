package incident

import (
	"slices"
	"time"
)

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
