package rules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
)

// world is a judge over a store, running in a bubble.
type world struct {
	t     *testing.T
	store *storage.Store
	judge *Manager
	mu    sync.Mutex
	told  []string
	fault error // what the local source answers, if not nil
	slow  time.Duration
}

// runWorld starts a judge of the rules at a round time and calls f in the bubble.
func runWorld(t *testing.T, opts Options, rules []Threshold, f func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, store: storage.New(storage.Options{})}
		local := promql.NewLocal(w.store, promql.LocalOptions{})
		opts.Local = func(ctx context.Context, expr string, at time.Time) ([]promql.Point, error) {
			slow, fault := w.trouble()
			time.Sleep(slow)
			if fault != nil {
				return nil, fault
			}
			return local(ctx, expr, at)
		}
		w.judge = newManager(t, opts)
		w.store.OnAppend(w.judge.Appended)
		if _, err := w.judge.Update(Config{Thresholds: rules}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.judge.Run(ctx, w.notify) }()
		synctest.Wait()
		f(w)
		cancel()
		<-done
	})
}

func (w *world) notify(targets []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, strings.Join(targets, ","))
}

func (w *world) trouble() (time.Duration, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.slow, w.fault
}

// troubles makes the local source slow, or failing.
func (w *world) troubles(slow time.Duration, fault error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slow, w.fault = slow, fault
}

// heard returns what was told since the last call.
func (w *world) heard() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	told := w.told
	w.told = nil
	return told
}

// after lets time pass, and everything that is due then happen.
func (w *world) after(d time.Duration) {
	time.Sleep(d) // the bubble's clock: no real time passes
	synctest.Wait()
}

// put appends one sample now and lets it be judged.
func (w *world) put(name, target string, v float64) {
	w.store.Append([]*model.Sample{one(time.Now(), v, name, "target", target)})
	w.after(coalesce)
}

func (w *world) is(rule, target string, state AlertState, verdict Verdict) {
	w.t.Helper()
	for _, a := range w.judge.AlertsOf(target) {
		if a.Rule == rule {
			if a.State != state || a.Verdict != verdict {
				w.t.Errorf("%s of %s is %s %s (%s), want %s %s", rule, target, a.State, a.Verdict, a.Reason, state,
					verdict)
			}
			return
		}
	}
	w.t.Errorf("no alert %s of %s", rule, target)
}

func level(name string, targets ...string) Threshold {
	return Threshold{Name: name, Severity: "P2", Expr: name, Above: true, Bound: 10, Clear: 10, For: 30 * time.Second,
		Targets: targets}
}

func TestASampleIsJudgedAtOnceAndForEndsOnTime(t *testing.T) {
	runWorld(t, Options{}, []Threshold{level("x", "a", "b")}, func(w *world) {
		w.is("x", "a", Inactive, NoData)
		w.heard()
		w.after(4 * time.Second)
		w.put("x", "a", 11)
		w.is("x", "a", Pending, Breach)
		if d := cmp.Diff([]string{"a"}, w.heard()); d != "" {
			t.Error(d)
		}
		began := w.judge.AlertsOf("a")[0].ActiveAt
		w.after(time.Until(began.Add(30*time.Second - time.Millisecond)))
		w.is("x", "a", Pending, Breach)
		w.after(time.Millisecond)
		w.is("x", "a", Firing, Breach)
		if fired := w.judge.AlertsOf("a")[0].FiredAt; fired.Sub(began) != 30*time.Second {
			t.Errorf("fired after %s, want 30s", fired.Sub(began))
		}
		w.put("x", "a", 9)
		w.is("x", "a", Inactive, OK)
		w.is("x", "b", Inactive, NoData)
	})
}

func TestRoundsAreAlignedAndTellOfWhatFires(t *testing.T) {
	r := level("x", "a")
	r.For = 0
	runWorld(t, Options{}, []Threshold{r}, func(w *world) {
		w.put("x", "a", 11)
		w.heard()
		for range 3 {
			w.after(time.Until(time.Now().Truncate(15 * time.Second).Add(15 * time.Second)))
			if d := cmp.Diff([]string{"a"}, w.heard()); d != "" {
				t.Error(d)
			}
		}
		at := w.judge.AlertsOf("a")[0].EvaluatedAt
		if !at.Equal(at.Truncate(15 * time.Second)) {
			t.Errorf("evaluated at %s, want a multiple of 15s", at)
		}
	})
}

func TestSilenceIsNotARecovery(t *testing.T) {
	r := level("x", "a")
	r.For = 0
	runWorld(t, Options{}, []Threshold{r}, func(w *world) {
		w.put("x", "a", 11)
		w.is("x", "a", Firing, Breach)
		w.after(4 * time.Minute)
		w.is("x", "a", Firing, Stale)
		w.after(2 * time.Hour)
		w.is("x", "a", Firing, NoData)
		w.put("x", "a", 9)
		w.is("x", "a", Inactive, OK)
	})
}

func TestASlowRoundIsCountedAsMissed(t *testing.T) {
	reg := prometheus.NewRegistry()
	runWorld(t, Options{Registerer: reg, Interval: 15 * time.Second}, []Threshold{level("x", "a")}, func(w *world) {
		w.troubles(20*time.Second, nil) // two questions: 40s
		w.after(15 * time.Second)
		w.after(50 * time.Second)
		if n := testutil.ToFloat64(w.judge.metrics.missed.WithLabelValues(Local)); n != 2 {
			t.Errorf("missed %v rounds, want 2", n)
		}
		w.troubles(0, nil)
		w.after(time.Minute)
		if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
			t.Errorf("lint: %v %v", problems, err)
		}
	})
}

// F-61: a remote source that hangs does not hold up the local rules.
func TestASourceThatHangsDoesNotHoldUpTheOther(t *testing.T) {
	hang := func(ctx context.Context, _ string, _ time.Time) ([]promql.Point, error) {
		<-ctx.Done()
		return nil, fmt.Errorf("%w: %w", promql.ErrSource, ctx.Err())
	}
	r, local := level("remote", "a"), level("x", "a")
	r.Source, local.For = Prometheus, 0
	runWorld(t, Options{Remote: hang}, []Threshold{r, local}, func(w *world) {
		w.put("x", "a", 11)
		w.is("x", "a", Firing, Breach)
		w.after(15 * time.Second)
		w.is("remote", "a", Inactive, Error)
		if blind, reason := w.judge.Blind(); !blind || !strings.HasPrefix(reason, "prometheus: ") {
			t.Errorf("blind %t: %s, want true", blind, reason)
		}
	})
}

// INV-13: the breaker opens in the round in which most data goes, and closes
// after two good rounds.
func TestJudgingIsBlindWhenMostDataGoesAtOnce(t *testing.T) {
	runWorld(t, Options{}, []Threshold{level("x", "a", "b", "c")}, func(w *world) {
		blind := func(want bool) {
			t.Helper()
			if got, reason := w.judge.Blind(); got != want {
				t.Errorf("blind %t (%s), want %t", got, reason, want)
			}
		}
		feed := func() {
			for _, target := range []string{"a", "b", "c"} {
				w.put("x", target, 1)
			}
		}
		feed()
		w.after(15 * time.Second)
		blind(false)
		w.troubles(0, errors.New("boom"))
		w.after(15 * time.Second)
		blind(true)
		w.after(time.Minute)
		blind(true)
		w.troubles(0, nil)
		feed()
		w.after(15 * time.Second)
		blind(true)
		w.after(15 * time.Second)
		blind(false)
	})
}

func TestATargetInTroubleExplainsItsOwnSilence(t *testing.T) {
	health := level("health", "a")
	runWorld(t, Options{}, []Threshold{health, level("x", "a"), level("y", "a"), level("z", "a")}, func(w *world) {
		for range 4 {
			w.put("x", "a", 1)
			w.put("y", "a", 1)
			w.put("z", "a", 1)
			w.put("health", "a", 1)
			w.after(15 * time.Second)
		}
		for range 20 {
			w.put("health", "a", 11)
			w.after(15 * time.Second)
			if blind, reason := w.judge.Blind(); blind {
				t.Fatalf("blind: %s", reason)
			}
		}
		w.is("x", "a", Inactive, NoData)
		w.is("health", "a", Firing, Breach)
	})
}

func TestAReloadIsNeitherARecoveryNorSilence(t *testing.T) {
	x, y := level("x", "a", "b"), level("y", "a")
	x.For, y.For = 0, 0
	runWorld(t, Options{}, []Threshold{x, y}, func(w *world) {
		w.put("x", "a", 11)
		w.put("x", "b", 11)
		w.put("y", "a", 11)
		since := w.judge.AlertsOf("a")[0].FiredAt
		x.Bound, x.Clear, x.Targets = 100, 10.5, []string{"a", "c"}
		removed, err := w.judge.Update(Config{Thresholds: []Threshold{x}})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, a := range removed {
			names = append(names, a.Rule+"/"+a.Target+" "+string(a.State))
		}
		slices.Sort(names)
		if d := cmp.Diff([]string{"x/b firing", "y/a firing"}, names); d != "" {
			t.Error(d)
		}
		synctest.Wait()            // the reload asks for a round at once
		w.is("x", "a", Firing, OK) // 11 is above the new clear bound
		if got := w.judge.AlertsOf("a")[0].FiredAt; !got.Equal(since) {
			t.Errorf("fired at %s, want %s", got, since)
		}
		if _, err := w.judge.Update(Config{Thresholds: []Threshold{x, x}}); err == nil {
			t.Error("two rules of one name: no error")
		}
		remote := level("r", "a")
		remote.Source = Prometheus
		if _, err := w.judge.Update(Config{Thresholds: []Threshold{remote}}); err == nil {
			t.Error("a rule without its source: no error")
		}
		w.is("x", "a", Firing, OK)
	})
}

func TestARestartIsNotARecovery(t *testing.T) {
	runWorld(t, Options{}, []Threshold{level("x", "a")}, func(w *world) {
		fired := time.Now().Add(-time.Hour)
		w.judge.Restore([]Alert{
			{Rule: "x", Target: "a", State: Firing, Value: 12, ActiveAt: fired, FiredAt: fired},
			{Rule: "later", Target: "a", State: Firing, FiredAt: fired},
		})
		w.is("x", "a", Firing, NoData)
		// Before a look can have come in, that nothing is seen is no evaluation.
		w.after(10 * time.Second)
		if got := w.judge.AlertsOf("a")[0].EvaluatedAt; !got.IsZero() {
			t.Errorf("evaluated at %s, before anybody looked", got)
		}
		w.after(time.Hour)
		w.is("x", "a", Firing, NoData)
		if w.judge.AlertsOf("a")[0].EvaluatedAt.IsZero() {
			t.Error("never evaluated")
		}
		if _, err := w.judge.Update(Config{Thresholds: []Threshold{level("x", "a"), level("later", "a")}}); err != nil {
			t.Fatal(err)
		}
		w.is("later", "a", Firing, NoData)
		w.put("x", "a", 11)
		w.is("x", "a", Firing, Breach)
		if got := w.judge.AlertsOf("a")[0].FiredAt; !got.Equal(fired) {
			t.Errorf("fired at %s, want %s", got, fired)
		}
		w.put("x", "a", 9)
		w.is("x", "a", Inactive, OK)
	})
}

// INV-12: the look before an action is of this moment and moves no alert.
func TestLookingNowMovesNoAlert(t *testing.T) {
	remoteRule := level("remote", "a")
	remoteRule.Source = Prometheus
	remote := func(_ context.Context, expr string, at time.Time) ([]promql.Point, error) {
		return nil, errors.New("refused")
	}
	runWorld(t, Options{Remote: remote}, []Threshold{level("x", "a", "b"), remoteRule}, func(w *world) {
		w.put("x", "a", 11)
		w.store.OnAppend(nil)
		before := w.judge.AlertsOf("a")
		w.after(2 * time.Second)
		w.put("x", "a", 9)
		now, err := w.judge.EvalNow(w.t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if now[0].Verdict != OK || now[0].Value != 9 || now[0].State != Pending || now[1].Verdict != Error {
			t.Errorf("looked and saw %+v", now)
		}
		if d := cmp.Diff(before, w.judge.AlertsOf("a")); d != "" {
			t.Errorf("the look moved an alert: %s", d)
		}
		if _, err := w.judge.EvalNow(w.t.Context(), "nobody"); err == nil {
			t.Error("a target without rules: no error")
		}
		ended, cancel := context.WithCancel(w.t.Context())
		cancel()
		if _, err := w.judge.EvalNow(ended, "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("with an ended context: %v", err)
		}
	})
}

func TestUnhealthyCountsTargetsThatFire(t *testing.T) {
	runWorld(t, Options{}, []Threshold{level("x", "a", "b"), level("y", "a")}, func(w *world) {
		w.put("x", "a", 11)
		w.put("y", "a", 11)
		if n := len(w.judge.Unhealthy()); n != 0 {
			t.Errorf("%d unhealthy while pending, want none", n)
		}
		if n := len(w.judge.Alerts()); n != 3 {
			t.Errorf("%d alerts, want 3", n)
		}
		if n := testutil.ToFloat64(w.judge.metrics.alerts.WithLabelValues("x", "pending")); n != 1 {
			t.Errorf("%v pending, want 1", n)
		}
		w.after(30 * time.Second)
		w.put("x", "a", 11)
		w.put("y", "a", 11)
		w.put("x", "b", 1)
		if n := len(w.judge.Unhealthy()); n != 1 {
			t.Errorf("%d unhealthy, want the one target both rules fire on", n)
		}
	})
}
