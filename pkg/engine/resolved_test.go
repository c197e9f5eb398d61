package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/incident"
)

// moody is a store that fails as often as it is told to.
type moody struct {
	*world
	fail []error
}

func (m *moody) SaveIncident(ctx context.Context, i incident.Incident, version string) (string, error) {
	if len(m.fail) > 0 {
		err := m.fail[0]
		m.fail = m.fail[1:]
		return "", err
	}
	return m.world.SaveIncident(ctx, i, version)
}

// ended is an engine with one incident that is over, and stored.
func ended(t *testing.T, w *world, s Store) *Engine {
	t.Helper()
	var mu sync.Mutex
	e := New(Options{
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Store: s,
		Audit: func(...audit.Record) error { return nil },
		Tell: func(i incident.Incident) {
			mu.Lock()
			defer mu.Unlock()
			w.told[i.ID] = i
		},
	})
	i := incident.Incident{ID: "a", Target: shop, Phase: incident.Resolved, Paged: true,
		ResolvedAt: time.Now().Add(-2 * time.Hour)}
	version, err := w.SaveIncident(t.Context(), i, "")
	if err != nil {
		t.Fatal(err)
	}
	e.closed["a"] = newEntry(incident.Stored{Incident: i, Version: version})
	return e
}

// What a receiver was told is not forgotten because the store does not take it at
// once: the next leader would tell it again.
func TestAReceiptOfWhatIsOverOutlivesAFailedWrite_INV42(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fail  []error
		touch bool // somebody else wrote the object, as one who sets a label does
	}{
		{"the API server does not answer", []error{errors.New("timeout"), errors.New("timeout")}, false},
		{"somebody else changed it", nil, true},
	} {
		w := newWorld()
		s := &moody{w, tt.fail}
		e := ended(t, w, s)
		if tt.touch {
			w.rv["i/a"]++
		}
		e.Delivered("a", "mail", incident.Receipt{State: "resolved", At: time.Now()})
		for range 3 {
			_, _ = e.due(t.Context(), closedKey+"a")
		}
		var stored incident.Incident
		w.get("i/a", &stored)
		if stored.Receipts["mail"].State != "resolved" {
			t.Errorf("%s: stored receipts %v", tt.name, stored.Receipts)
		}
	}
}

// The verdict on a recovery is stored although somebody else changed the object.
func TestTheVerdictOnARecoveryOutlivesAConflict(t *testing.T) {
	w := newWorld()
	e := ended(t, w, w)
	e.setup = &Setup{Policy: incident.Policy{Response: hour{}}}
	w.rv["i/a"]++
	for range 3 {
		_, _ = e.due(t.Context(), recoveryKey)
	}
	var stored incident.Incident
	w.get("i/a", &stored)
	if stored.Recovery != "lasting" || len(notes(stored, "recovery")) != 1 {
		t.Errorf("stored: %q, %q", stored.Recovery, notes(stored, "recovery"))
	}
}

// Several workers write about one incident that is over at the same time: nothing
// of it is lost. Only -race sees half of what this is for.
func TestWhatIsOverIsAmendedByOneAtATime(t *testing.T) {
	w := newWorld()
	e := ended(t, w, w)
	e.setup = &Setup{Policy: incident.Policy{Response: hour{}}}
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			e.Delivered("a", fmt.Sprint(n), incident.Receipt{State: "resolved", At: time.Now()})
			_, _ = e.due(t.Context(), closedKey+"a")
		})
		all.Go(func() { _, _ = e.due(t.Context(), recoveryKey) })
		all.Go(func() { _ = e.annotate(t.Context(), "a", incident.Entry{At: time.Now(), Kind: incident.KindReverted}) })
	}
	all.Wait()
	_, _ = e.due(t.Context(), closedKey+"a")
	var stored incident.Incident
	w.get("i/a", &stored)
	if len(stored.Receipts) != 20 || len(notes(stored, incident.KindReverted)) != 20 ||
		len(notes(stored, "recovery")) != 1 {
		t.Errorf("%d receipts, %d notes, %d verdicts", len(stored.Receipts), len(notes(stored, incident.KindReverted)),
			len(notes(stored, "recovery")))
	}
}
