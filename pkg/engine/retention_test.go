package engine

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"
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
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone[id] = true
	return nil
}

// deleted are the ids of what is gone by now.
func (s *shredder) deleted() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.gone)
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
		e := New(Options{Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Store: s,
			Keep: func(i incident.Incident) bool {
				return tc.keep != nil && tc.keep(int(i.ResolvedAt.Sub(time.Time{})/time.Hour))
			}})
		for n := range tc.all {
			id := fmt.Sprint(n)
			e.closed[id] = &entry{inc: incident.Incident{ID: id, Target: shop, Phase: incident.Resolved,
				ResolvedAt: time.Time{}.Add(time.Duration(n) * time.Hour)}}
		}
		for e.retire(t.Context()) > 0 {
		}
		if len(s.gone) != tc.gone || len(e.closed) != tc.all-tc.gone {
			t.Errorf("%s: %d deleted, want %d", tc.name, len(s.gone), tc.gone)
		}
		if s.gone[fmt.Sprint(tc.all-1)] {
			t.Errorf("%s: the newest is gone", tc.name)
		}
	}
}

func TestWhatIsNotWatchedTakesNoRoomOfTheHistory_S07(t *testing.T) {
	urgent := func(i incident.Incident) bool { return i.Severity == incident.P0 }
	for _, tc := range []struct {
		name           string
		all            string // a letter for each resolved incident: target, self, unwatched, relapse of unwatched
		severity       incident.Severity
		targets, other int  // how many stay
		first          bool // the first of those that are not watched stays
	}{
		{"few", strings.Repeat("tu", 100), incident.P2, 100, 100, true},
		{"a flood", "su" + strings.Repeat("t", 199) + strings.Repeat("u", 300), incident.P2, 200, 100, false},
		{"a flood that wants reviews", "su" + strings.Repeat("t", 199) + strings.Repeat("u", 300), incident.P0, 200,
			200, false},
		{"a flood of relapses", "su" + strings.Repeat("t", 199) + strings.Repeat("r", 300), incident.P2, 200, 100,
			true},
		{"a flood of relapses that want reviews", "su" + strings.Repeat("t", 199) + strings.Repeat("r", 300),
			incident.P0, 200, 200, true},
	} {
		s := &shredder{newWorld(), map[string]bool{}}
		e := New(Options{Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Store: s,
			Keep: urgent})
		first := ""
		for n, kind := range tc.all {
			i := incident.Incident{ID: fmt.Sprint(n), Phase: incident.Resolved, Severity: incident.P2,
				ResolvedAt: time.Time{}.Add(time.Duration(n) * time.Second)}
			switch kind {
			case 't':
				i.Target = shop
			case 's':
				i.Target = incident.Target{Name: Self, Namespace: "watchdog"}
			default:
				i.Target, i.Severity = incident.Target{Name: "not watched: Evil in prod",
					Namespace: "prod"}, tc.severity
				if kind == 'r' {
					i.RelapseOf = "another"
				}
				first = cmp.Or(first, i.ID)
			}
			e.closed[i.ID] = &entry{inc: i}
		}
		for e.retire(t.Context()) > 0 {
		}
		targets, other := 0, 0
		for _, en := range e.closed {
			if en.inc.Target.Watched() {
				targets++
			} else {
				other++
			}
		}
		if targets != tc.targets || other != tc.other || s.gone[first] == tc.first {
			t.Errorf("%s: %d incidents of targets stay, and %d of what is not watched; the first of those is gone: %v",
				tc.name, targets, other, s.gone[first])
		}
	}
}
