package engine

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

func TestEachRolloutIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "page")
		s.sick = sickWhile(func(*world) bool { return false })
		roll := func(name string, number int64) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.template, s.version = name, s.version+1
			s.revisions = append([]remediate.Revision{{Number: number, UID: "rs-" + name, Name: "shop-" + name,
				CreatedAt: time.Now(), Template: tmpl(name)}}, s.revisions...)
		}
		told := func(when string, want ...string) {
			t.Helper()
			play(t, s, time.Minute)
			s.mu.Lock()
			defer s.mu.Unlock()
			if !slices.Equal(s.released, want) {
				t.Errorf("%s: told of %q, want %q", when, s.released, want)
			}
		}
		told("what was there when watchdog came is no news")
		time.AfterFunc(20*time.Second, func() { roll("two", 2) })
		told("a rollout while it runs", "rs-two")
		told("a restart", "rs-two")
		roll("three", 3)
		told("a rollout while it was down", "rs-two", "rs-three")
	})
}

// narrow is a store whose object of records holds few of them.
type narrow struct {
	*world
	most   int
	swaps  int
	others int // writes of others that come in between
}

func (n *narrow) SwapRecords(ctx context.Context, ns string, all map[string][]remediate.Record,
	version string) (string, error) {
	n.swaps++
	if n.others > 0 {
		n.others--
		return "", incident.ErrConflict
	}
	if len(all["shop/deployment/shop"]) > n.most {
		return "", fmt.Errorf("store: %w", incident.ErrTooLarge)
	}
	return n.world.SwapRecords(ctx, ns, all, version)
}

func TestRecordsThatDoNotFitLoseTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "page")
		for n := range int64(12) {
			s.revisions = append([]remediate.Revision{{Number: n + 2, UID: fmt.Sprintf("rs-%d", n), Name: "shop",
				CreatedAt: time.Now(), Template: tmpl(fmt.Sprint(n))}}, s.revisions...)
		}
		s.template = "11"
		store := &narrow{world: s.world, most: 5, others: 2}
		s.instead = store
		play(t, s, 50*time.Second)
		all, _, _ := s.Records(t.Context(), "shop")
		if r := all["shop/deployment/shop"]; len(r) != 5 || r[0].UID != "rs-11" || store.swaps != 2+3 {
			t.Errorf("%d writes, kept %+v", store.swaps, r)
		}
	})
}

// INV-31: what makes a release a good one is what would roll it back, or the probes.
func TestWhatHasNoPartInRollbacksMakesNoReleaseGood_INV31(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rule := func(name string, v incident.Verdict, action incident.Action) incident.Alert {
		return incident.Alert{Rule: name, Verdict: v, EvaluatedAt: now,
			Ladder: []incident.Rung{{Action: action}, {Action: "page"}}}
	}
	errors, disk := rule("error_rate", incident.OK, "rollback"), rule("disk", incident.OK, "page")
	stale := errors
	stale.Verdict = incident.Stale
	probe := remediate.Signal{Source: "probe", Known: true, At: now}
	unknown := remediate.Signal{Source: "probe", At: now}
	for _, c := range []struct {
		name    string
		alerts  []incident.Alert
		signal  remediate.Signal
		healthy bool
	}{
		{"its error rate is well", []incident.Alert{errors, disk}, unknown, true},
		{"only the disk is seen", []incident.Alert{stale, disk}, unknown, false},
		{"only the disk is seen, and the probe sees", []incident.Alert{stale, disk}, probe, true},
		{"nothing would roll it back, and the disk is seen", []incident.Alert{disk}, unknown, true},
		{"nothing is seen", nil, unknown, false},
		{"rules of rule files are silent, and the probe sees", nil, probe, true},
	} {
		v := Snapshot{Rollout: incident.Rollout{Known: true, Done: true}, Alerts: c.alerts,
			Signals: []remediate.Signal{c.signal}}
		if got := healthy(v, now, time.Minute); got != c.healthy {
			t.Errorf("%s: healthy %v, want %v", c.name, got, c.healthy)
		}
	}
}
