package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// requests is a store that notes what it is asked for, and takes its time for it.
type requests struct {
	*world
	mu   sync.Mutex
	said []string
	// reserving, if set, is called before the first write of the ledger.
	reserving func()
}

func (r *requests) note(what string) {
	r.mu.Lock()
	r.said = append(r.said, what)
	r.mu.Unlock()
	time.Sleep(10 * time.Millisecond)
}

func (r *requests) Ledger(ctx context.Context) (incident.Ledger, string, error) {
	r.note("read ledger")
	return r.world.Ledger(ctx)
}

func (r *requests) SwapLedger(ctx context.Context, l incident.Ledger, version string) (string, error) {
	if do := r.reserving; do != nil {
		r.reserving = nil
		do()
	}
	r.note("write ledger")
	return r.world.SwapLedger(ctx, l, version)
}

func (r *requests) Records(ctx context.Context, ns string) (map[string][]remediate.Record, string, error) {
	r.note("read records")
	return r.world.Records(ctx, ns)
}

func (r *requests) SaveIncident(ctx context.Context, i incident.Incident, version string) (string, error) {
	r.note("write incident")
	return r.world.SaveIncident(ctx, i, version)
}

// acted works a target that is sick until its action is sent, and returns how long that took.
func acted(t *testing.T, s *stage, store *requests) time.Duration {
	t.Helper()
	s.instead = store
	s.sick = sickWhile(func(w *world) bool { return len(w.writes) == 0 })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.start(ctx, make(chan error, 1))
	cancel() // the passes of this test are its own
	synctest.Wait()
	store.said = nil
	began := time.Now()
	for range 5 {
		if _, err := s.engine.Pass(t.Context(), "shop"); err != nil {
			t.Fatal(err)
		}
		if len(s.accepted()) > 0 {
			return time.Since(began)
		}
	}
	t.Fatalf("no action: %+v", s.only())
	return 0
}

// What a compare-and-swap guards is not read twice, and what does not depend on each other is
// read beside each other: each step of this world takes 10 ms.
func TestAnActionWaitsForFewRoundTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		store := &requests{world: s.world}
		took := acted(t, s, store)
		reads := func(what string) int {
			n := 0
			for _, said := range store.said {
				if said == what {
					n++
				}
			}
			return n
		}
		// To consider, and to check once more.
		if reads("read ledger") != 2 || reads("read records") != 2 || reads("write ledger") != 1 ||
			reads("write incident") != 3 {
			t.Errorf("it said %q", store.said)
		}
		// The incident with what is considered, the reservation, what is checked once more, the
		// incident that says that it acts; its outcome.
		if took != 50*time.Millisecond {
			t.Errorf("it took %s: %s", took, strings.Join(store.said, ", "))
		}
	})
}

func TestALedgerThatChangedIsReadAgainBeforeTheReservation_INV17(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "page")
		store := &requests{world: s.world}
		store.reserving = func() {
			l, version, _ := s.world.Ledger(t.Context())
			l.Anchors = map[string]incident.Anchor{"log": {Seq: 7}}
			if _, err := s.world.SwapLedger(t.Context(), l, version); err != nil {
				t.Error(err)
			}
		}
		acted(t, s, store)
		l, _, _ := s.world.Ledger(t.Context())
		if l.Anchors["log"].Seq != 7 || len(l.Ops) != 1 {
			t.Errorf("the ledger lost what came in between: %+v", l)
		}
		if n := slices.Index(store.said, "write ledger"); n < 0 || store.said[n+1] != "read ledger" {
			t.Errorf("it said %q", store.said)
		}
	})
}

// INV-12, INV-25: a look may take as long as a probe's timeout. What was read beside it is too
// old by then.
func TestAfterALongLookTheClusterIsReadAgain(t *testing.T) {
	for _, long := range []bool{false, true} {
		t.Run(fmt.Sprint(long), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(newWorld(), "scale", "page")
				s.sick = sickWhile(func(*world) bool { return true })
				s.start(t.Context(), make(chan error, 1))
				synctest.Wait()
				setup := *s.engine.currentSetup()
				setup.Fresh = func(context.Context, string) (Snapshot, error) {
					time.Sleep(maxReadAge)
					if long {
						time.Sleep(time.Millisecond)
					}
					s.mu.Lock()
					defer s.mu.Unlock()
					s.human = "a person came while it looked"
					return Snapshot{}, nil
				}
				ts, _ := setup.target("shop")
				_, r, err := s.engine.again(t.Context(), &claim{setup: &setup, target: ts})
				if seen := r.workload.Annotations[remediate.HoldAnnotation] != ""; err != nil || seen != long {
					t.Errorf("the hold was seen: %v, %v", seen, err)
				}
			})
		})
	}
}

// INV-52: what panics beside a worker is the worker's panic.
func TestAPanicBesideAWorkerIsItsOwn(t *testing.T) {
	defer func() {
		if r := recover(); r != "a bug" {
			t.Errorf("recovered %v", r)
		}
	}()
	_ = (&Engine{}).together(func() error { return nil }, func() error { panic("a bug") })
	t.Error("it goes on")
}
