package timeinterval

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// zones: summer time to the north and to the south, none, half an hour of it, and
// offsets that are no full hours.
var zones = []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney",
	"Australia/Lord_Howe"}

// reference counts the same time day by day: it knows when each working day
// begins and ends, and nothing of minutes.
func reference(zone *time.Location, first, last time.Weekday, begin, end int, from time.Time,
	d time.Duration) time.Time {
	y, m, day := from.In(zone).Date()
	for n := 0; ; n++ {
		noon := time.Date(y, m, day+n, 12, 0, 0, 0, zone)
		if w := noon.Weekday(); w < first || w > last {
			continue
		}
		a, b := time.Date(y, m, day+n, begin, 0, 0, 0, zone), time.Date(y, m, day+n, end, 0, 0, 0, zone)
		if a.Before(from) {
			a = from
		}
		if !a.Before(b) {
			continue
		}
		if d <= b.Sub(a) {
			return a.Add(d)
		}
		d -= b.Sub(a)
	}
}

func TestAfter(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	shifts := 0
	for n := range 2000 {
		name := zones[n%len(zones)]
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		first := time.Weekday(rnd.IntN(7))
		last := first + time.Weekday(rnd.IntN(7-int(first)))
		begin, end := 0, 24 // whole days, and every second time only hours in which no clock is put forward or back
		if n%2 == 0 {
			begin = 4 + rnd.IntN(10)
			end = begin + 1 + rnd.IntN(24-begin)
		}
		from := time.Date(2026, 1, 1, 0, 0, 0, 0,
			time.UTC).Add(time.Duration(rnd.Int64N(int64(2 * 365 * 24 * time.Hour))))
		if n%3 == 0 { // around the change to and from summer time
			from = time.Date(2026, []time.Month{3, 4, 10, 11}[rnd.IntN(4)], 1+rnd.IntN(31), rnd.IntN(24), rnd.IntN(60),
				0, 0, zone)
		}
		d := time.Duration(rnd.Int64N(int64(40 * time.Hour)))
		times := fmt.Sprintf("%02d:00-%02d:00", begin, end)
		c, err := New([]Interval{{Weekdays: []string{days[first] + ":" + days[last]},
			Times: []Times{{fmt.Sprintf("%02d:00", begin), fmt.Sprintf("%02d:00", end)}}, Location: name}})
		if err != nil {
			t.Fatal(err)
		}
		got, want := c.After(from, d), reference(zone, first, last, begin, end, from, d)
		if !got.Equal(want) {
			t.Errorf("%s %s:%s %s: %s after %s is %s, want %s", name, days[first], days[last], times, d, from.In(zone),
				got.In(zone), want)
		}
		if _, a := from.In(zone).Zone(); a != offset(want.In(zone)) {
			shifts++
		}
	}
	if shifts < 50 {
		t.Errorf("only %d of the cases cross a change of the clock", shifts)
	}
}

func offset(t time.Time) int { _, o := t.Zone(); return o }

var days = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

func TestNever(t *testing.T) {
	from := time.Date(2026, 5, 1, 15, 0, 0, 0, time.UTC)
	c, err := New([]Interval{{Years: []string{"2020"}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.After(from, time.Hour); !got.IsZero() {
		t.Errorf("a calendar that is over has the deadline %s", got)
	}
	always, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := always.After(from, time.Hour); !got.Equal(from.Add(time.Hour)) || !always.Contains(from) {
		t.Errorf("without intervals: %s", got)
	}
	for _, bad := range []Interval{{Weekdays: []string{"funday"}}, {Times: []Times{{"9:00", "25:00"}}},
		{Times: []Times{{"17:00", "09:00"}}}, {Location: "Mars/Olympus"}} {
		if _, err := New([]Interval{bad}); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func BenchmarkAfter(b *testing.B) {
	c, err := New([]Interval{{Weekdays: []string{"monday:friday"}, Times: []Times{{"09:00", "17:00"}},
		Location: "Europe/Berlin"}})
	if err != nil {
		b.Fatal(err)
	}
	from := time.Date(2026, 5, 1, 15, 0, 0, 0, time.UTC)
	for b.Loop() {
		c.After(from, 24*time.Hour)
	}
}

// X41: in the month in which the clock goes forward, the last day was the one before it.
func TestTheLastDayOfEachMonthIsItsLast_X41(t *testing.T) {
	for _, zone := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"} {
		for month := range 36 {
			at, err := time.LoadLocation(zone)
			if err != nil {
				t.Fatal(err)
			}
			last := time.Date(2025, time.Month(month+2), 0, 12, 0, 0, 0, at)
			for days, want := range map[string][3]bool{"-1": {false, true, false}, "-2:-1": {true, true, false},
				"1": {false, false, true}} {
				c, err := New([]Interval{{DaysOfMonth: []string{days}, Location: zone}})
				if err != nil {
					t.Fatal(err)
				}
				if got := [3]bool{c.Contains(last.AddDate(0, 0, -1)), c.Contains(last),
					c.Contains(last.AddDate(0, 0, 1))}; got != want {
					t.Errorf("%s, %s, days %s around the last day: %v, want %v", zone, last.Format("January 2006"),
						days, got, want)
				}
			}
		}
	}
}
