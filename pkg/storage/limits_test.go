package storage

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"
)

// healthLook is what a look at a health document leaves: checks under the given names, and
// what every look leaves.
func healthLook(at time.Time, target, probe string, checks ...string) []*model.Sample {
	all := []*model.Sample{one(at, 1, "probe_success", "target", target, "probe", probe)}
	for _, c := range checks {
		all = append(all, one(at, 1, "watchdog_dependency_up", "target", target, "probe", probe, "check", c))
	}
	return all
}

// madeUp are n names that were never used before.
func madeUp(round, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("check-%d-%d", round, i))
	}
	return names
}

func refusedFor(s *Store, reason string) float64 {
	return testutil.ToFloat64(s.metrics.refused.WithLabelValues(reason))
}

func TestNewNamesEachTimeAreNotStored_S12(t *testing.T) {
	now := start
	s := storeAt(&now, Options{Retention: 2 * time.Hour})
	s.Append(healthLook(now, "shop", "health", "database"))
	for round := range 20 {
		now = now.Add(15 * time.Second)
		fit, err := s.Fits(healthLook(now, "shop", "health", append(madeUp(round, 99), "database")...))
		s.Append(fit)
		if crowded := round >= 5; (err != nil) != crowded {
			t.Fatalf("look %d: got %v", round, err)
		}
		if round == 19 && err.Error() != "99 new names are not stored: this probe has 500 series of the last 2h, "+
			"the most that are allowed; use the same check names and version in each answer" {
			t.Errorf("got %v", err)
		}
	}
	if want := MaxSeriesPerProbe + 1; s.Len() != want {
		t.Errorf("%d series, want %d: those of the names, and probe_success", s.Len(), want)
	}
	if n := refusedFor(s, "too_many_names"); n != 20*99+1-MaxSeriesPerProbe {
		t.Errorf("%v refused", n)
	}
	if got := ask(t, s, `timestamp(watchdog_dependency_up{check="database"})`,
		now); got["shop"] != float64(now.Unix()) {
		t.Errorf("the known check goes on: got %v", got)
	}
}

func TestTheStoreRefusesNewNamesOfWhoeverDoesNotAsk_S12(t *testing.T) {
	now := start
	s := storeAt(&now, Options{})
	for round := range 60 {
		now = now.Add(time.Second)
		s.Append(healthLook(now, "shop", "health", madeUp(round, 100)...))
		s.Append([]*model.Sample{one(now, 1, "ALERTS", "target", "shop", "path", strings.Repeat("x", round)),
			one(now, 1, "ALERTS", "target", "shop", "path", fmt.Sprint(round))})
	}
	if n := s.shares[shareKey{"shop", "health"}].count; n != MaxSeriesPerProbe {
		t.Errorf("%d series of the probe", n)
	}
	for round := range 60 {
		now = now.Add(time.Second)
		for _, path := range madeUp(round, 100) {
			s.Append([]*model.Sample{one(now, 1, "ALERTS", "target", "shop", "path", path)})
		}
	}
	if n := s.shares[shareKey{"shop", ""}].count; n != maxSeriesOfRules {
		t.Errorf("%d series of rules", n)
	}
}

func TestAnApplicationTakesNoRoomFromOthers_S12(t *testing.T) {
	now := start
	s := storeAt(&now, Options{})
	for round := range 10 {
		now = now.Add(time.Second)
		s.Append(healthLook(now, "shop", "health", madeUp(round, 100)...))
	}
	for name, look := range map[string][]*model.Sample{
		"Kubernetes on the same target": {one(now, 1,
			"watchdog_workload_waiting_pods", "target", "shop", "probe", "kubernetes", "reason", "CrashLoopBackOff")},
		"another target":    healthLook(now, "cart", "health", "database"),
		"what has no names": {one(now, 1, "watchdog_probe_healthy", "target", "shop", "probe", "health")},
		"an objective of the target": {one(now, 1,
			"slo:events_bad:count1m", "target", "shop", "slo", "availability")},
	} {
		before := s.Len()
		fit, err := s.Fits(look)
		s.Append(fit)
		if err != nil || s.Len() != before+len(look) {
			t.Errorf("%s: %d of %d stored, %v", name, s.Len()-before, len(look), err)
		}
	}
}

func TestThereIsRoomAgainOnceNamesAreForgotten_S12(t *testing.T) {
	now := start
	s := storeAt(&now, Options{Retention: 10 * time.Minute})
	for round := range 10 {
		s.Append(healthLook(now, "shop", "health", madeUp(round, 100)...))
	}
	now = now.Add(12 * time.Minute)
	s.Append(healthLook(now, "shop", "health"))
	if len(s.shares) != 0 {
		t.Errorf("shares are left: %v", s.shares)
	}
	if fit, err := s.Fits(healthLook(now, "shop", "health", madeUp(99, 100)...)); err != nil || len(fit) != 101 {
		t.Errorf("%d fit, %v", len(fit), err)
	}
}

func TestAFullStoreKeepsAQuarterForWhatHasNoNames_S12(t *testing.T) {
	now := start
	s := storeAt(&now, Options{MaxSeries: 100})
	var err error
	for i := range 100 {
		var fit []*model.Sample
		fit, err = s.Fits(healthLook(now, "shop", fmt.Sprint("health-", i), "database")[1:])
		s.Append(fit)
	}
	if err != nil || s.Len() != 75 || refusedFor(s, "too_many_series") != 25 {
		t.Errorf("%d series, %v refused, error %v: it is not this probe's fault", s.Len(),
			refusedFor(s, "too_many_series"), err)
	}
	s.Append([]*model.Sample{one(now, 1, "watchdog_canary", "target", "watchdog canary"),
		one(now, 1, "probe_success", "target", "shop", "probe", "http")})
	if s.Len() != 77 {
		t.Errorf("%d series: the canary and probe_success are refused", s.Len())
	}
}

func TestTheNumberOfSeriesFollowsTheMemoryLimit_S12(t *testing.T) {
	for limit, want := range map[int64]int{math.MaxInt64: 500_000, 8 << 30: 500_000, 512 << 20: 262_144,
		256 << 20: 131_072, 64 << 20: 32_768} {
		if got := maxSeriesWithin(limit); got != want {
			t.Errorf("%d MiB: %d series, want %d", limit>>20, got, want)
		}
	}
	before := debug.SetMemoryLimit(256 << 20)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	if got := New(Options{}).opts.MaxSeries; got != 131_072 {
		t.Errorf("a store has room for %d series", got)
	}
}

func TestAVeryLongLabelValueIsRefused_S12(t *testing.T) {
	now := start
	s := storeAt(&now, Options{})
	for size, want := range map[int]int{1024: 1, 1025: 0} {
		before := s.Len()
		s.Append([]*model.Sample{one(now, 1, "x", "target", "shop", "path", strings.Repeat("x", size))})
		if got := s.Len() - before; got != want {
			t.Errorf("%d bytes: %d stored, want %d", size, got, want)
		}
	}
}

// BenchmarkSeriesOfOneSample says what a series costs that an application made up.
func BenchmarkSeriesOfOneSample(b *testing.B) {
	const n = 50_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		now := start
		s := storeAt(&now, Options{})
		for i := range n {
			name := fmt.Sprintf("%s%d", strings.Repeat("x", 100), i)
			s.Append([]*model.Sample{one(now, 1, "watchdog_dependency_up", "target", fmt.Sprint("t", i/400),
				"probe", "health", "check", name)})
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if s.Len() != n {
			b.Fatalf("%d series", s.Len())
		}
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/series")
		runtime.KeepAlive(s)
	}
}
