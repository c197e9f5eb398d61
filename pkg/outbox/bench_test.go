package outbox

import (
	"slices"
	"sync"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/incident"
)

// BenchmarkPage is the time from a decision (Tell) until PagerDuty has taken the page,
// over TLS on loopback, while 1,000 incidents open at once.
func BenchmarkPage(b *testing.B) {
	const incidents = 1000
	var took []time.Duration
	for range b.N {
		_, n := oneSide(b, recorders.PagerDuty)
		var mu sync.Mutex
		at := map[string]time.Time{}
		var once []time.Duration
		done := make(chan struct{})
		x := outbox(b, b.TempDir(), func(id, _ string, _ incident.Receipt) {
			now := time.Now()
			mu.Lock()
			defer mu.Unlock()
			if once = append(once, now.Sub(at[id])); len(once) == incidents {
				close(done)
			}
		}, n)
		stop := notifytest.Running(b, x)
		for k := range incidents {
			i := many(k)
			mu.Lock()
			at[i.ID] = time.Now()
			mu.Unlock()
			x.Tell(i)
		}
		<-done
		stop()
		took = append(took, once...)
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds(), "p50-s")
	b.ReportMetric(took[len(took)*99/100].Seconds(), "p99-s")
}
