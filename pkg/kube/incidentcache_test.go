package kube

import (
	"context"
	"errors"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Through the Service every second read meets a replica that does not lead. It answers
// itself, and asks the API server no more often than every two seconds.
func TestAReadAtAFollowerIsPassedOnToNobody_S23_X99(t *testing.T) {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	listed, away := 0, error(nil)
	s := NewCache(func(context.Context) ([]incident.Incident, error) {
		listed++
		return []incident.Incident{{ID: "old", OpenedAt: began}, {ID: "new", OpenedAt: began.Add(time.Minute)}}, away
	})
	read := func(after time.Duration, want error) {
		t.Helper()
		all, err := s.Read(t.Context(), began.Add(after))
		if !errors.Is(err, want) {
			t.Errorf("after %s: %v, want %v", after, err, want)
		}
		if err == nil && (len(all) != 2 || all[0].ID != "new") {
			t.Errorf("after %s: %+v, want the newest first", after, all)
		}
	}
	for range 1000 {
		read(cacheAge-1, nil)
	}
	if listed != 1 {
		t.Errorf("the incidents were listed %d times for 1,000 reads", listed)
	}
	away = errors.New("list incidents: timed out")
	read(2*cacheAge, away)
	away = nil
	read(2*cacheAge, nil)
	if listed != 3 {
		t.Errorf("listed %d times, want 3", listed)
	}
	empty := NewCache(func(context.Context) ([]incident.Incident, error) { return nil, nil })
	if all, err := empty.Read(t.Context(), began); err != nil || all == nil {
		t.Errorf("no incident: %v, %v, want an empty list", all, err)
	}
}
