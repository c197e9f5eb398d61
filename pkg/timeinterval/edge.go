package timeinterval

import (
	"slices"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
)

// slab is how much time is searched at once.
const slab = 24 * time.Hour

// Next returns the first moment after t at which what Contains says of time changes:
// the end of an interval that t lies in, else the beginning of the next. It returns
// the zero time if nothing changes within a year.
func (c *Calendar) Next(t time.Time) time.Time {
	in := c.Contains(t)
	for from, end := t, t.Add(horizon); from.Before(end); from = from.Add(slab) {
		for _, e := range c.edges(from, from.Add(slab)) {
			if c.Contains(e) != in {
				return e.In(t.Location())
			}
		}
	}
	return time.Time{}
}

// Since returns the moment since which Contains has said what it says of t, or the
// zero time if that is more than a year ago.
func (c *Calendar) Since(t time.Time) time.Time {
	in := c.Contains(t)
	for to, end := t, t.Add(-horizon); to.After(end); to = to.Add(-slab) {
		for _, e := range slices.Backward(c.edges(to.Add(-slab), to)) {
			if c.Contains(e.Add(-1)) != in {
				return e.In(t.Location())
			}
		}
	}
	return time.Time{}
}

// edges are the moments in (from, to] at which an interval may begin or end, in order.
func (c *Calendar) edges(from, to time.Time) []time.Time {
	var all []time.Time
	for _, i := range c.in {
		all = append(all, edges(i, from, to)...)
	}
	slices.SortFunc(all, time.Time.Compare)
	return slices.Compact(all)
}

// edges are those of one interval. Between two changes of the zone's clock the time
// of day runs evenly, so that is how the time is cut.
func edges(i timeinterval.TimeInterval, from, to time.Time) []time.Time {
	zone := time.UTC
	if i.Location != nil {
		zone = i.Location.Location
	}
	minutes := []int{0}
	for _, r := range i.Times {
		minutes = append(minutes, r.StartMinute, r.EndMinute)
	}
	const day = 24 * 60 * 60
	var all []time.Time
	for at := from; at.Before(to); {
		_, offset := at.In(zone).Zone()
		_, stop := at.In(zone).ZoneBounds()
		if stop.IsZero() || stop.After(to) {
			stop = to
		} else {
			all = append(all, stop.UTC())
		}
		for d := floor(at.Unix()+int64(offset), day); d <= floor(stop.Unix()+int64(offset), day); d++ {
			for _, m := range minutes {
				e := time.Unix(d*day+int64(m)*60-int64(offset), 0).UTC()
				if e.After(at) && !e.After(stop) {
					all = append(all, e)
				}
			}
		}
		at = stop
	}
	return all
}

func floor(n, by int64) int64 {
	q := n / by
	if n%by < 0 {
		q--
	}
	return q
}
