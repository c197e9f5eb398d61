package rules

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
)

// save is what a process leaves to the next one, as the file holds it.
func save(t *testing.T, m *Manager) string {
	t.Helper()
	var b strings.Builder
	if err := m.Save(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// resume takes up what save wrote.
func resume(t *testing.T, m *Manager, saved string) {
	t.Helper()
	if err := m.Resume(strings.NewReader(saved)); err != nil {
		t.Fatal(err)
	}
}

// A pending alert has waited 15s of 30s; a minute without watchdog does not count.
func TestARestartDoesNotStartForAgain(t *testing.T) {
	b := newBench(t, queueFile)
	b.step(queue("shop", 120))
	b.step(queue("shop", 120))
	s := save(t, b.groups)

	next := newBench(t, queueFile)
	next.now = b.now.Add(time.Minute)
	resume(t, next.groups, s)
	next.want("shop", "QueueTooLong", Pending, NoData)
	next.step(queue("shop", 120))
	next.want("shop", "QueueTooLong", Firing, Breach)
}

func TestAnAlertThatFiredGoesOnAfterARestart(t *testing.T) {
	b := newBench(t, queueFile)
	for range 4 {
		b.step(queue("shop", 120))
	}
	fired := b.want("shop", "QueueTooLong", Firing, Breach).FiredAt
	s := save(t, b.groups)

	next := newBench(t, queueFile)
	next.now = b.now.Add(time.Minute)
	resume(t, next.groups, s)
	next.groups.Restore([]Alert{{Rule: "QueueTooLong", Target: "shop", State: Firing}}) // as the incident says
	next.step()
	next.want("shop", "QueueTooLong", Firing, NoData)
	next.step(queue("shop", 120))
	if a := next.want("shop", "QueueTooLong", Firing, Breach); !a.FiredAt.Equal(fired) {
		t.Errorf("fired at %s, want %s", a.FiredAt, fired)
	}
	next.step(queue("shop", 20))
	next.want("shop", "QueueTooLong", Inactive, OK)
}

func TestWhatIsTooOldOrAnotherRulesIsNotTakenUp(t *testing.T) {
	b := newBench(t, queueFile)
	b.step(queue("shop", 120))
	s := save(t, b.groups)
	for name, c := range map[string]struct {
		after time.Duration
		file  string
	}{
		"after two hours": {2 * time.Hour, queueFile},
		"from the future": {-time.Hour, queueFile},
		"another rule": {time.Minute, "groups: [{name: queue, rules: [{alert: Other, expr: queue_length > 100, " +
			"for: 30s}]}]"},
	} {
		t.Run(name, func(t *testing.T) {
			next := newBench(t, c.file)
			next.now = b.now.Add(c.after)
			resume(t, next.groups, s)
			if all := next.groups.Alerts(); len(all) != 0 {
				t.Errorf("taken up: %+v", all)
			}
		})
	}
}

func TestAThresholdsPendingAlertGoesOnAfterARestart(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	store := storeAt(&now, storage.Options{})
	r := level("x", "a")
	r.For, r.Staleness = time.Minute, 2*time.Minute
	start := func() *Manager {
		j := newManager(t, Options{Local: promql.NewLocal(store, promql.LocalOptions{}),
			Now: func() time.Time { return now }})
		if _, err := j.Update(Config{Thresholds: []Threshold{r}}); err != nil {
			t.Fatal(err)
		}
		return j
	}
	look := func(j *Manager) Alert {
		now = now.Add(15 * time.Second)
		store.Append([]*model.Sample{one(now, 11, "x", "target", "a")})
		j.EvalThresholds(t.Context())
		return j.AlertsOf("a")[0]
	}
	j := start()
	for range 4 {
		look(j)
	}
	s := save(t, j)
	var held Saved
	if err := json.Unmarshal([]byte(s), &held); err != nil || len(held.Thresholds) != 1 ||
		held.Thresholds[0].State.Held != 45*time.Second {
		t.Fatalf("saved %+v", s)
	}
	j = start()
	resume(t, j, s)
	if a := look(j); a.State != Pending {
		t.Errorf("%+v, want pending: 45s of a minute were seen", a)
	}
	if a := look(j); a.State != Firing {
		t.Errorf("%+v, want firing: 45s before and 15s after the restart", a)
	}
}
