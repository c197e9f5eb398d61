package selfwatch

import (
	"sync"

	"watchdog.io/watchdog/pkg/strutil"
)

// Blocked is why a replica that holds the lease does not work yet: its state cannot be read, or
// the API server would not keep what it stores.
type Blocked struct {
	mu  sync.Mutex
	why string
}

// Take notes why the last try failed; nil: it works, or does not hold the lease any more.
func (b *Blocked) Take(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.why = ""; err != nil {
		b.why = "this replica holds the lease but cannot work as the leader: " + strutil.Shorten(err.Error(), maxRefusal)
	}
}

// Why is that, as a text; empty: it works, or does not hold the lease.
func (b *Blocked) Why() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.why
}
