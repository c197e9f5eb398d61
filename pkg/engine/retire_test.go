package engine

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/pkg/incident"
)

// shredder remembers what was deleted.
type shredder struct {
	*world
	gone map[string]bool
}

func (s *shredder) DeleteIncident(_ context.Context, id string) error {
	s.gone[id] = true
	return nil
}

func TestWhatWaitsForItsReviewIsKeptUpToABound(t *testing.T) {
	for _, tc := range []struct {
		name string
		all  int // resolved incidents, the first of them the oldest
		keep func(n int) bool
		gone int
	}{
		{"few", keepClosed, nil, 0},
		{"nobody asks for a review", keepClosed + 10, nil, 10},
		{"the oldest waits", keepClosed + 10, func(n int) bool { return n == 0 }, 9},
		{"all wait", keepClosed + 10, func(int) bool { return true }, 0},
		{"too many wait", 2*keepClosed + 10, func(int) bool { return true }, 10},
	} {
		s := &shredder{newWorld(), map[string]bool{}}
		e := New(Options{Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Store: s, Keep: func(i incident.Incident) bool {
			return tc.keep != nil && tc.keep(int(i.ResolvedAt.Sub(time.Time{})/time.Hour))
		}})
		for n := range tc.all {
			id := fmt.Sprint(n)
			e.closed[id] = &entry{inc: incident.Incident{ID: id, Phase: incident.Resolved, ResolvedAt: time.Time{}.Add(time.Duration(n) * time.Hour)}}
		}
		e.retire(t.Context())
		if len(s.gone) != tc.gone || len(e.closed) != tc.all-tc.gone {
			t.Errorf("%s: %d deleted, want %d", tc.name, len(s.gone), tc.gone)
		}
		if s.gone[fmt.Sprint(tc.all-1)] {
			t.Errorf("%s: the newest is gone", tc.name)
		}
	}
}
