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

// BenchmarkNext is what a lane costs the others each time it looks for what is to be done: it
// holds the outbox's lock meanwhile. 10,000 incidents wait for a fallback of a fallback.
func BenchmarkNext(b *testing.B) {
	x := outbox(b, b.TempDir(), nil, &fake{name: "primary"}, standIn{fake: &fake{name: "spare"}},
		standIn{fake: &fake{name: "third"}, other: "spare"})
	for k := range maxQueued {
		x.Tell(many(k))
	}
	for _, name := range []string{"primary", "third"} {
		l := x.lanes[name]
		for what, change := range map[string]func(*item){
			"new":      func(it *item) { it.fails, it.notBefore = 0, time.Time{} },
			"back off": func(it *item) { it.fails, it.notBefore = 1, time.Now().Add(time.Hour) },
		} {
			b.Run(name+"/"+what, func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					for _, it := range l.queue {
						change(it)
					}
					b.StartTimer()
					l.next()
				}
			})
		}
	}
}
