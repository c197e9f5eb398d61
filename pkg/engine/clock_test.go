package engine

import (
	"testing"
	"time"
)

func TestTheClockOfAProcessDoesNotJump_INV55(t *testing.T) {
	year := 365 * 24 * time.Hour
	server := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, off := range []time.Duration{-year, -time.Hour, 0, 3 * time.Second, time.Hour, year} {
		elapsed := time.Duration(0)
		c := NewClock(server.Add(off), func() time.Duration { return elapsed })
		if got, err := c.Agree(server, true); err != nil || got != off {
			t.Fatalf("off by %s: %s, %v", off, got, err)
		}
		// From here on neither the host's clock nor the server's moves it.
		elapsed = time.Hour
		if _, err := c.Agree(server.Add(year), false); err != nil {
			t.Fatal(err)
		}
		if got := c.Now().Sub(server.Add(elapsed)); got.Abs() > maxSkew {
			t.Errorf("off by %s at the start, and by %s after an hour", off, got)
		}
	}
	// It was judged by already: then only a new process helps.
	c := NewClock(server.Add(time.Hour), func() time.Duration { return 0 })
	if _, err := c.Agree(server, false); err == nil || c.Agreed() {
		t.Error("a clock that jumps under what was judged")
	}
}
