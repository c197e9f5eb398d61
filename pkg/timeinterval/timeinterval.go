// Package timeinterval counts time that matters: business hours, working days.
//
// It owns how far a deadline is when only part of the time counts, and when that part
// begins and ends. It leaves to Alertmanager's library what an interval of time is.
//
// Its one rule: an interval means here what its text means in Alertmanager's file.
package timeinterval

import (
	"encoding/json"
	"fmt"
	"time"
	_ "time/tzdata" // the image has no files of time zones

	"github.com/prometheus/alertmanager/timeinterval"
)

// horizon bounds the search. A calendar that never comes round within it has no deadline.
const horizon = 366 * 24 * time.Hour

// Interval is an interval of time as Alertmanager's configuration writes it.
type Interval struct {
	Times       []Times  `json:"times,omitempty"`
	Weekdays    []string `json:"weekdays,omitempty"`
	DaysOfMonth []string `json:"days_of_month,omitempty"`
	Months      []string `json:"months,omitempty"`
	Years       []string `json:"years,omitempty"`
	Location    string   `json:"location,omitempty"`
}

// Times is a part of the day, to the minute, without its end.
type Times struct {
	StartTime string `json:"start_time"`
	EndTime   string `json:"end_time"`
}

// Calendar is the time that counts: all that lies in at least one of its
// intervals. One without intervals counts all time.
type Calendar struct{ in []timeinterval.TimeInterval }

// New returns the calendar of the intervals, or what is wrong with one.
func New(intervals []Interval) (*Calendar, error) {
	b, err := json.Marshal(intervals)
	if err != nil {
		return nil, fmt.Errorf("time interval: %w", err)
	}
	c := &Calendar{}
	if err := json.Unmarshal(b, &c.in); err != nil {
		return nil, fmt.Errorf("time interval: %w", err)
	}
	return c, nil
}

// Contains reports whether the moment counts.
func (c *Calendar) Contains(t time.Time) bool {
	if len(c.in) == 0 {
		return true
	}
	for _, i := range c.in {
		if i.ContainsTime(byTheClock(&i, t)) {
			return true
		}
	}
	return false
}

// byTheClock is what the clock of the interval's zone shows, as a time without a zone,
// and takes the zone from the interval: the library counts the days of a month by its
// hours, and of a month with a change of the clock it loses one.
func byTheClock(i *timeinterval.TimeInterval, t time.Time) time.Time {
	if i.Location == nil {
		return t.UTC()
	}
	t, i.Location = t.In(i.Location.Location), nil
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// After returns the moment at which d of the calendar's time has passed since
// from, or the zero time if that is more than a year away. Intervals begin and
// end on full minutes, so that is how finely it looks.
func (c *Calendar) After(from time.Time, d time.Duration) time.Time {
	if len(c.in) == 0 {
		return from.Add(d)
	}
	for t, end := from, from.Add(horizon); t.Before(end); {
		next := t.Truncate(time.Minute).Add(time.Minute)
		if c.Contains(t) {
			if d <= next.Sub(t) {
				return t.Add(d)
			}
			d -= next.Sub(t)
		}
		t = next
	}
	return time.Time{}
}
