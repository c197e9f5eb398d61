package config

import (
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/calendar"
	"watchdog.io/watchdog/pkg/incident"
)

// weekdays is the calendar that is there without being defined.
const weekdays = "weekdays"

// responseTimes are the runbook's response times.
var responseTimes = []Response{
	{Severity: incident.P0, Within: model.Duration(15 * time.Minute)},
	{Severity: incident.P1, Within: model.Duration(time.Hour)},
	{Severity: incident.P2, Within: model.Duration(4 * time.Hour)},
	{Severity: incident.P3, Within: model.Duration(24 * time.Hour), During: weekdays},
}

// setResponse completes the response times by those of the runbook.
func (c *Config) setResponse() {
	for _, d := range responseTimes {
		if !slices.ContainsFunc(c.Response, func(r Response) bool { return r.Severity == d.Severity }) {
			c.Response = append(c.Response, d)
		}
	}
}

// Calendar returns the calendar of the name; an empty one counts all time.
func (c *Config) Calendar(name string) (*calendar.Calendar, error) {
	var all []calendar.Interval
	if name == weekdays {
		all = []calendar.Interval{{Weekdays: []string{"monday:friday"}}}
	}
	for _, t := range c.TimeIntervals {
		if t.Name != name {
			continue
		}
		all = nil
		for _, i := range t.TimeIntervals {
			n := calendar.Interval{Weekdays: i.Weekdays, DaysOfMonth: i.DaysOfMonth, Months: i.Months, Years: i.Years, Location: i.Location}
			for _, x := range i.Times {
				n.Times = append(n.Times, calendar.Times(x))
			}
			all = append(all, n)
		}
	}
	return calendar.New(all)
}

func (v *validator) response(c *Config) {
	names := map[string]bool{weekdays: true}
	seen := map[string]bool{}
	for k, t := range c.TimeIntervals {
		a := at{"time_intervals", k}
		if t.Name == "" || seen[t.Name] {
			v.fail(a.key("name"), "%q: each time interval has a name of its own", t.Name)
		}
		names[t.Name], seen[t.Name] = true, true
		if len(t.TimeIntervals) == 0 {
			v.fail(a.key("time_intervals"), "is empty: it would count all time")
		}
		if _, err := c.Calendar(t.Name); err != nil {
			v.fail(a, "%v", err)
		}
	}
	told := map[incident.Severity]bool{}
	for k, r := range c.Response {
		a := at{"response", k}
		v.severity(a.key("severity"), r.Severity)
		if told[r.Severity] {
			v.fail(a.key("severity"), "%s is there twice", r.Severity)
		}
		told[r.Severity] = true
		v.span(a.key("within"), time.Duration(r.Within), time.Second, 30*24*time.Hour)
		if r.During != "" && !names[r.During] {
			v.fail(a.key("during"), "no time interval is called %q", r.During)
		}
	}
}
