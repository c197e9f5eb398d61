package engine

import (
	"fmt"
	"sync/atomic"
	"time"
)

// maxSkew is how far the host's clock may be off before the API server's time is
// taken instead. The server tells it in whole seconds, and an answer is under way
// for a while.
const maxSkew = 5 * time.Second

// Clock is the one time of a process. It goes on with the monotonic clock, so a
// jump of the host's wall clock is not seen; where it begins is compared once
// with the API server's time, which all replicas share. Budgets, cooldowns and
// leases in the ledger therefore outlive a clock that was set wrong (INV-55).
//
// What it cannot know: that the API server's own clock jumped while this process
// started, and that the monotonic clock runs too fast or too slow.
type Clock struct {
	wall    time.Time
	elapsed func() time.Duration
	offset  atomic.Int64
	agreed  atomic.Bool
}

// NewClock returns a clock that shows wall now. elapsed is the monotonic time
// since then.
func NewClock(wall time.Time, elapsed func() time.Duration) *Clock {
	return &Clock{wall: wall.Round(0), elapsed: elapsed}
}

// HostClock begins at the host's time.
func HostClock() *Clock {
	start := time.Now()
	return NewClock(start, func() time.Duration { return time.Since(start) })
}

// Now never jumps once the clock has agreed with the API server.
func (c *Clock) Now() time.Time {
	return c.wall.Add(c.elapsed() + time.Duration(c.offset.Load()))
}

// Agree compares the clock with the API server's time. Before anything was
// judged (early), a clock that is off takes that time over; afterwards it must
// not jump any more, and the process has to begin anew: that is the error. Only
// the first answer counts.
func (c *Clock) Agree(server time.Time, early bool) (off time.Duration, err error) {
	if c.agreed.Load() {
		return 0, nil
	}
	off = c.Now().Sub(server)
	if off.Abs() <= maxSkew {
		c.agreed.Store(true)
		return off, nil
	}
	if !early {
		return off, fmt.Errorf("the host clock differs from the API server's by %s: restarting with the "+
			"API server's time", off.Round(time.Second))
	}
	c.offset.Store(int64(-off))
	c.agreed.Store(true)
	return off, nil
}

// Agreed reports whether the clock was compared.
func (c *Clock) Agreed() bool { return c.agreed.Load() }
