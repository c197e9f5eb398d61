package config

import (
	"watchdog.io/watchdog/pkg/timeinterval"
)

// weekdays is the calendar that is there without being defined.
const weekdays = "weekdays"

// Calendar returns the calendar of the name; an empty one counts all time.
func (c *Config) Calendar(name string) (*timeinterval.Calendar, error) {
	var all []timeinterval.Interval
	if name == weekdays {
		all = []timeinterval.Interval{{Weekdays: []string{"monday:friday"}}}
	}
	for _, t := range c.TimeIntervals {
		if t.Name != name {
			continue
		}
		all = nil
		for _, i := range t.TimeIntervals {
			n := timeinterval.Interval{Weekdays: i.Weekdays, DaysOfMonth: i.DaysOfMonth, Months: i.Months,
				Years:    i.Years,
				Location: i.Location}
			for _, x := range i.Times {
				n.Times = append(n.Times, timeinterval.Times(x))
			}
			all = append(all, n)
		}
	}
	return timeinterval.New(all)
}

func (v *validator) during(a at, name string, names map[string]bool) {
	if name != "" && !names[name] {
		v.fail(a.key("during"), "unknown time interval %q", name)
	}
}

// timeIntervals checks the named intervals, and returns their names.
func (v *validator) timeIntervals(c *Config) map[string]bool {
	names := map[string]bool{weekdays: true}
	seen := map[string]bool{}
	for k, t := range c.TimeIntervals {
		a := at{"time_intervals", k}
		if t.Name == "" || seen[t.Name] {
			v.fail(a.key("name"), "missing or duplicate time interval name %q", t.Name)
		}
		names[t.Name], seen[t.Name] = true, true
		if len(t.TimeIntervals) == 0 {
			v.fail(a.key("time_intervals"), "time_intervals is empty: it would match all times")
		}
		if _, err := c.Calendar(t.Name); err != nil {
			v.fail(a, "%v", err)
		}
	}
	return names
}
