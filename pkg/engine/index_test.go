package engine

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"watchdog.io/watchdog/pkg/incident"
)

// What is counted and looked up of the open incidents is what a walk over them would find.
func TestOpenIncidentsAreCountedAndFoundAsAWalkWould(t *testing.T) {
	e := New(Options{Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Store: newWorld()})
	phases := []incident.Phase{incident.Open, incident.Acting, incident.Verifying, incident.Suppressed, incident.Frozen,
		incident.Escalated}
	dice := rand.New(rand.NewPCG(1, 2))
	for n := range 2000 {
		name := fmt.Sprint("target-", dice.IntN(20))
		e.change(name, func(s *targetState) {
			switch {
			case dice.IntN(4) == 0:
				s.open = nil
			case s.open == nil || dice.IntN(4) == 0:
				s.open = &entry{inc: incident.Incident{ID: fmt.Sprint("incident-", n), Phase: phases[dice.IntN(len(phases))]}}
			default: // as put does
				s.open.inc.Phase = phases[dice.IntN(len(phases))]
			}
		})
		want, found := map[incident.Phase]int{}, 0
		for name, en := range e.open() {
			want[en.inc.Phase]++
			if found++; e.worksOn[en.inc.ID] != name {
				t.Fatalf("after %d changes: incident %s is found at %q, not at %s", n, en.inc.ID, e.worksOn[en.inc.ID], name)
			}
		}
		if len(e.worksOn) != found {
			t.Fatalf("after %d changes: %d incidents are found, want %d", n, len(e.worksOn), found)
		}
		for _, p := range phases {
			if is := testutil.ToFloat64(e.metrics.open.WithLabelValues(string(p))); is != float64(want[p]) {
				t.Fatalf("after %d changes: %v incidents are %s, want %d", n, is, p, want[p])
			}
		}
	}
}

// A new leader deletes what it has no room for, also if nothing is resolved for days: oldest first, what still owes a
// review stays, and ten a second at most.
func TestANewLeaderDeletesWhatItHasNoRoomFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shredder{newWorld(), map[string]bool{}}
		e := New(Options{Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Store: s,
			Keep: func(i incident.Incident) bool { return i.Severity == incident.P0 }})
		const all, owing = keepClosed + 35, 3
		for n := range all {
			i := incident.Incident{ID: fmt.Sprintf("%05d", n), Target: shop, Phase: incident.Resolved, Severity: incident.P2,
				ResolvedAt: time.Now().Add(time.Duration(n-all) * time.Hour)}
			if n >= 10 && n < 10+owing {
				i.Severity = incident.P0
			}
			if _, err := s.SaveIncident(t.Context(), i, ""); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		e.o.Tell = func(incident.Incident) {}
		go func() { done <- e.Run(ctx) }()
		for second, gone := range []int{10, 20, 30, 35 - owing, 35 - owing} {
			synctest.Wait()
			if is := len(s.deleted()); is != gone {
				t.Errorf("after %d seconds %d are deleted, want %d", second, is, gone)
			}
			time.Sleep(retirePause)
		}
		deleted := s.deleted()
		for _, id := range []string{"00010", "00012", "00035"} {
			if deleted[id] {
				t.Errorf("incident %s is deleted", id)
			}
		}
		if len(e.Resolved()) != all-len(deleted) || !deleted["00000"] || !deleted["00034"] {
			t.Errorf("%d stay; deleted are %v", len(e.Resolved()), deleted)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
