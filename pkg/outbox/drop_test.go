package outbox

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/pkg/incident"
)

// When more waits than a queue holds, what is least urgent goes, and no page of which
// the receiver waits for the end.
func TestAFullQueueKeepsWhatIsUrgent(t *testing.T) {
	x := outbox(t, t.TempDir(), nil, &fake{name: "f"})
	l := x.lanes["f"]
	put := func(id string, s incident.Severity, phase incident.Phase, notified bool) {
		i := incident.Incident{ID: id, Severity: s, Phase: phase, UpdatedAt: notifytest.T0}
		if notified {
			i.Receipts = map[string]incident.Receipt{"f": {State: "triggered", At: notifytest.T0.Add(time.Second)}}
		}
		l.put(i, notifytest.T0)
	}
	put("p0", incident.P0, incident.Open, false)
	put("p0 over", incident.P0, incident.Resolved, true)
	put("p3 over", incident.P3, incident.Resolved, false)
	put("p3", incident.P3, incident.Open, false)
	for n := range maxQueued - 4 {
		put(fmt.Sprint("p1 ", n), incident.P1, incident.Open, false)
	}
	for k, gone := range []string{"p3 over", "p3", "p1 0"} {
		put(fmt.Sprint("new ", k), incident.P0, incident.Open, false)
		if l.items[gone] != nil || len(l.queue) != maxQueued {
			t.Errorf("%q waits still, of %d", gone, len(l.queue))
		}
	}
	for _, id := range []string{"p0", "p0 over"} {
		if it := l.items[id]; it == nil || !it.waits {
			t.Errorf("%q is gone", id)
		}
	}
}

// What a full queue drops the receiver may have, if it was tried: it hears of the end.
func TestWhatAFullQueueDropsMayHaveArrived_INV42(t *testing.T) {
	for _, tc := range []struct {
		name         string
		inFlight     bool // it is dropped while it is tried, not between two attempts
		over, doubts bool
	}{
		{"between two attempts", false, false, true},
		{"during the attempt", true, false, true},
		{"its end is dropped: nothing comes after it", false, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := outbox(t, t.TempDir(), nil, &fake{name: "f"}).lanes["f"]
			oldest := notifytest.Trouble()
			if tc.over {
				oldest = notifytest.Over(oldest)
			}
			l.put(oldest, notifytest.T0)
			a, _ := l.next()
			fail := func() { l.store(*a, a.prev, errors.New("500, after it was taken")) }
			if !tc.inFlight {
				fail()
			}
			for n := range maxQueued {
				i := many(n)
				i.Severity = incident.P0
				l.put(i, notifytest.T0)
			}
			if tc.inFlight {
				fail()
			}
			if it := l.items[oldest.ID]; (it != nil) != tc.doubts || it != nil && (it.waits || !it.doubt || it.fails > 0) {
				t.Errorf("what is left of it: %v; in doubt and not waiting: %v", it != nil, tc.doubts)
			}
		})
	}
}
