package outbox

import (
	"time"

	"watchdog.io/watchdog/pkg/notify"
)

// Limits of a breaker.
const (
	breakAfter = 5                // failures in a row, of whatever incidents
	lastProbe  = 30 * time.Second // the longest time between two tries while it is open
	lastQuiet  = time.Minute      // the longest time for which a receiver is left alone because it asks for it
)

// breaker bounds how often a receiver that does not work is tried, over all its
// incidents: it opens after some failures in a row, and then one message at a time
// is tried, less and less often, until one is taken.
type breaker struct {
	failures int
	quiet    time.Time // nothing is tried before
}

func (b *breaker) open() bool { return b.failures >= breakAfter }

func (b *breaker) gauge() float64 {
	if b.open() {
		return 1
	}
	return 0
}

// failed books that a receiver did not take a message.
func (b *breaker) failed(f *notify.Failure, now time.Time) {
	if f != nil && f.Own {
		return // it was not tried
	}
	b.failures++
	if b.open() {
		b.quiet = now.Add(min(pause(nil, b.failures-breakAfter+1), lastProbe))
	}
	if f != nil && f.After > 0 {
		if until := now.Add(min(f.After, lastQuiet)); until.After(b.quiet) {
			b.quiet = until
		}
	}
}

// answered books that the receiver works: it took a message, or refused one for good.
func (b *breaker) answered() { *b = breaker{} }
