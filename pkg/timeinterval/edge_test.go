package timeinterval

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// wall is the same calendar told by the clock on the wall alone: weekdays and one
// part of the day in a zone. It knows nothing of Alertmanager's library.
type wall struct {
	zone        *time.Location
	first, last time.Weekday
	begin, end  int // minutes of the day
}

func (w wall) in(t time.Time) bool {
	l := t.In(w.zone)
	m := l.Hour()*60 + l.Minute()
	return l.Weekday() >= w.first && l.Weekday() <= w.last && m >= w.begin && m < w.end
}

// walk goes minute by minute until what the clock says of the time changes.
func (w wall) walk(t time.Time, by time.Duration) time.Time {
	now := w.in(t)
	if by < 0 {
		// The minute that t lies in began with what is said of t.
		for m := t.Truncate(time.Minute); ; m = m.Add(by) {
			if w.in(m.Add(by)) != now {
				return m
			}
			if t.Sub(m) > horizon {
				return time.Time{}
			}
		}
	}
	for m := t.Truncate(time.Minute).Add(by); m.Sub(t) <= horizon; m = m.Add(by) {
		if w.in(m) != now {
			return m
		}
	}
	return time.Time{}
}

// Windows in six time zones, half of them around the changes of the clock and half
// of those over the very hour that is skipped or comes twice, against a reference
// that walks minute by minute.
func TestWhenAWindowBeginsAndEnds(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	const cases = 2000
	active, crossing, within := 0, 0, 0
	for n := range cases {
		name := zones[n%len(zones)]
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		w := wall{zone: zone, first: time.Weekday(rnd.IntN(7)), begin: rnd.IntN(24 * 60)}
		w.last = w.first + time.Weekday(rnd.IntN(7-int(w.first)))
		w.end = w.begin + 1 + rnd.IntN(24*60-w.begin)
		if n%4 == 1 { // long ones
			w.first, w.last, w.begin, w.end = 0, 6, rnd.IntN(6*60), 18*60+rnd.IntN(6*60)
		}
		at := time.Date(2026, 1, 1, 0, 0, 0, 0,
			time.UTC).Add(time.Duration(rnd.Int64N(int64(2 * 365 * 24 * time.Hour))))
		if n%2 == 0 {
			_, change := time.Date(2026, time.Month(1+rnd.IntN(24)), 1, 0, 0, 0, 0, zone).ZoneBounds()
			if change.IsZero() {
				change = at
			}
			at = change.Add(time.Duration(rnd.Int64N(int64(72*time.Hour))) - 36*time.Hour)
			if n%4 == 0 { // over the very hour
				at = change.Add(time.Duration(rnd.Int64N(int64(4*time.Hour))) - 2*time.Hour)
				w.first, w.last, w.begin, w.end = 0, 6, 60+rnd.IntN(60), 121+rnd.IntN(60)
				within++
			}
		}
		c, err := New([]Interval{{Weekdays: []string{days[w.first] + ":" + days[w.last]},
			Times: []Times{{clock(w.begin), clock(w.end)}}, Location: name}})
		if err != nil {
			t.Fatal(err)
		}
		what := fmt.Sprintf("case %d: %s %s:%s %s-%s at %s", n, name, days[w.first], days[w.last], clock(w.begin),
			clock(w.end), at.In(zone))
		if c.Contains(at) != w.in(at) {
			t.Errorf("%s: in the window: %v", what, c.Contains(at))
		}
		next, since := c.Next(at), c.Since(at)
		if want := w.walk(at, time.Minute); !next.Equal(want) {
			t.Errorf("%s: changes next %s, want %s", what, next.In(zone), want.In(zone))
		}
		if want := w.walk(at, -time.Minute); !since.Equal(want) {
			t.Errorf("%s: so since %s, want %s", what, since.In(zone), want.In(zone))
		}
		if w.in(at) {
			active++
		}
		if offset(since.In(zone)) != offset(next.In(zone)) {
			crossing++
		}
	}
	t.Logf("%d windows in %d time zones: %d active, %d with a change of the clock between beginning and end, %d "+
		"over the hour that is skipped or comes twice", cases, len(zones), active, crossing, within)
	if active < 300 || crossing < 200 {
		t.Errorf("only %d of the cases are active, and %d cross a change of the clock", active, crossing)
	}
}

func clock(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

func TestSeveralIntervalsAreOneSpan(t *testing.T) {
	c, err := New([]Interval{
		{Times: []Times{{"22:00", "24:00"}}, Weekdays: []string{"saturday"}, Location: "Europe/Berlin"},
		{Times: []Times{{"00:00", "04:00"}}, Weekdays: []string{"sunday"}, Location: "Europe/Berlin"},
	})
	if err != nil {
		t.Fatal(err)
	}
	// The night in which Berlin puts the clock forward: 22:00 to 04:00 are five hours.
	at := time.Date(2026, 3, 28, 23, 30, 0, 0, time.UTC)
	begin, end := time.Date(2026, 3, 28, 21, 0, 0, 0, time.UTC), time.Date(2026, 3, 29, 2, 0, 0, 0, time.UTC)
	if since, next := c.Since(at), c.Next(at); !since.Equal(begin) || !next.Equal(end) {
		t.Errorf("from %s to %s, want %s to %s", since, next, begin, end)
	}
}

func TestWhatNeverChangesHasNoEdge(t *testing.T) {
	at := time.Date(2026, 5, 1, 15, 0, 0, 0, time.UTC)
	for _, in := range [][]Interval{nil, {{Years: []string{"2020"}}}} {
		c, err := New(in)
		if err != nil {
			t.Fatal(err)
		}
		if next, since := c.Next(at), c.Since(at); !next.IsZero() || !since.IsZero() {
			t.Errorf("%v: changes %s, since %s", in, next, since)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	c, err := New([]Interval{{Weekdays: []string{"sunday"}, Times: []Times{{"02:00", "04:00"}},
		Location: "Europe/Berlin"}})
	if err != nil {
		b.Fatal(err)
	}
	from := time.Date(2026, 5, 1, 15, 0, 0, 0, time.UTC)
	for b.Loop() {
		c.Next(from)
	}
}
