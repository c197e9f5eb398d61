package overdue

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"watchdog.io/watchdog/pkg/incident"
)

func TestOverdueReviewsAndWhatIsKeptForThem(t *testing.T) {
	ended := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) // a Monday
	of := func(id string, s incident.Severity) incident.Incident {
		return incident.Incident{ID: id, Severity: s, Phase: incident.Resolved, OpenedAt: ended.Add(-time.Hour),
			ResolvedAt: ended}
	}
	all := []incident.Incident{of("unwritten", incident.P0), of("written", incident.P1), of("done", incident.P1),
		of("minor", incident.P2), {ID: "open", Severity: incident.P0}}
	asked := map[string]int{}
	var fault error
	r := New(prometheus.NewRegistry(), func(_ context.Context, id string) (json.RawMessage, string, error) {
		asked[id]++
		return map[string]json.RawMessage{
			"written": json.RawMessage(`{"actionItems":[{"what":"a","owner":"b","due":"2026-03-03"},{"what":"a",` +
				`"owner":"b","due":"2026-06-03"}]}`),
			"done": json.RawMessage(`{"actionItems":[{"what":"a","owner":"b","due":"2026-03-03","done":true}]}`),
		}[id], "1", fault
	})
	for _, tc := range []struct {
		now         time.Time
		late, items float64
	}{
		{ended, 0, 0},
		{ended.AddDate(0, 0, 2), 0, 1},
		{ended.AddDate(0, 0, 7), 0, 1}, // five working days
		{ended.AddDate(0, 0, 8), 1, 1},
	} {
		if err := r.Look(t.Context(), all, tc.now); err != nil {
			t.Fatal(err)
		}
		if late, items := testutil.ToFloat64(r.overdue), testutil.ToFloat64(r.items); late != tc.late ||
			items != tc.items {
			t.Errorf("%s: %v reviews and %v items are overdue, want %v and %v", tc.now, late, items, tc.late, tc.items)
		}
	}
	for id, keep := range map[string]bool{"unwritten": true, "written": true, "done": false, "minor": false} {
		for _, i := range all {
			if i.ID == id && r.Keep(i) != keep {
				t.Errorf("%s: keep is %v", id, !keep)
			}
		}
	}
	if asked["done"] != 1 || asked["minor"] != 0 || asked["open"] != 0 {
		t.Errorf("asked too often: %v", asked)
	}
	fault = errors.New("forbidden")
	if r.Look(t.Context(), all, ended) == nil {
		t.Error("what cannot be read is not nothing")
	}
}
