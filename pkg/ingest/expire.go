package ingest

import (
	"slices"
	"time"
)

// forgetOldest drops n alerts that are over; their echoes would be taken for news.
func (b *Store) forgetOldest(n int) {
	over := make([]Key, 0, len(b.entries)-b.firing)
	for k, e := range b.entries {
		if e.state != Firing {
			over = append(over, k)
		}
	}
	slices.SortFunc(over, func(x, y Key) int { return b.entries[x].seen.Compare(b.entries[y].seen) })
	for _, k := range over[:min(n, len(over))] {
		b.set(k, nil)
	}
}

// expire returns the alerts that fired and were not repeated for too long, which
// are lost from now on, and forgets what has been over for long.
func (b *Store) expire(now time.Time) []AlertState {
	b.mu.Lock()
	defer b.mu.Unlock()
	var lost []AlertState
	for k, e := range b.entries {
		switch silent := now.Sub(e.seen); {
		case e.state == Firing && silent >= b.limits.Expire:
			h, err := firingHint(e.line)
			if err == nil {
				h.State = Lost
				lost = append(lost, h)
			}
			b.set(k, &entry{state: Lost, start: e.start, seen: e.seen, written: now,
				line: encode(record{Key: k, State: Lost, Start: e.start, Seen: e.seen})})
		case e.state != Firing && silent >= b.limits.Expire+b.limits.Retain:
			b.set(k, nil)
		}
	}
	return lost
}
