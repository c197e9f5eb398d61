package probes

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"
)

// recorder is an Append that keeps everything.
type recorder struct {
	mu      sync.Mutex
	samples []*model.Sample
}

func (r *recorder) append(samples []*model.Sample) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.samples = append(r.samples, samples...)
}

func (r *recorder) of(metric string) []*model.Sample {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*model.Sample
	for _, sample := range r.samples {
		if sample.Metric.String() == metric {
			found = append(found, sample)
		}
	}
	return found
}

// start runs a scheduler until the test or stop ends it.
func start(t *testing.T, opts Options, entries ...Entry) (s *Scheduler, stop func()) {
	t.Helper()
	s, err := NewScheduler(opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Set(entries); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return s, stop
}

func always(state State) Probe {
	return func(context.Context, time.Time) (Result, error) { return Result{State: state}, nil }
}

// hanging answers nothing until its time is up.
func hanging(ctx context.Context, _ time.Time) (Result, error) {
	<-ctx.Done()
	return Result{State: Bad}, nil
}

func entry(target string, interval time.Duration, probe Probe) Entry {
	return Entry{Target: target, Name: "p", Kind: "fake", Interval: interval, Probe: probe}
}

func TestLooksAreSpreadOverTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		perSecond := map[int64]int{}
		count := func(_ context.Context, at time.Time) (Result, error) {
			mu.Lock()
			defer mu.Unlock()
			perSecond[at.Unix()]++
			return Result{State: OK}, nil
		}
		var entries []Entry
		for i := range 1000 {
			entries = append(entries, entry(fmt.Sprintf("t%d", i), 10*time.Second, count))
		}
		_, stop := start(t, Options{}, entries...)
		time.Sleep(30*time.Second - time.Nanosecond)
		stop()
		total := 0
		for second, looks := range perSecond {
			total += looks
			if looks < 50 || looks > 150 {
				t.Errorf("second %d: %d looks, want about 100", second, looks)
			}
		}
		if total != 3000 {
			t.Errorf("got %d looks, want 3000", total)
		}
	})
}

// F-122, F-61.
func TestASlowTargetDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var entries []Entry
		for i := range 20 {
			entries = append(entries, entry(fmt.Sprintf("slow%d", i), 10*time.Second, hanging))
		}
		for i := range 200 {
			var last time.Time
			entries = append(entries, entry(fmt.Sprintf("quick%d", i), 10*time.Second,
				func(_ context.Context, at time.Time) (Result, error) {
					if gap := at.Sub(last); !last.IsZero() && (gap-10*time.Second).Abs() > 2*patience {
						t.Errorf("quick%d: %s between looks", i, gap)
					}
					last = at
					return Result{State: OK}, nil
				}))
		}
		s, stop := start(t, Options{Workers: 2, MaxInFlight: 64}, entries...)
		time.Sleep(2 * time.Minute)
		stop()
		if skipped := testutil.ToFloat64(s.metrics.skipped.WithLabelValues("waiting")); skipped != 0 {
			t.Errorf("%v looks were skipped for want of a worker", skipped)
		}
	})
}

// More targets hang than there are workers: after their first turn they wait for each other,
// and nobody waits for them.
func TestThousandsThatHangDelayNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		late := map[string]time.Duration{} // the longest time between two looks
		last := map[string]time.Time{}
		var entries []Entry
		for i := range 1000 {
			target := fmt.Sprintf("t%d", i)
			probe := func(ctx context.Context, at time.Time) (Result, error) {
				mu.Lock()
				if was := last[target]; !was.IsZero() {
					late[target] = max(late[target], at.Sub(was))
				}
				last[target] = at
				mu.Unlock()
				return Result{State: OK}, nil
			}
			if i%2 == 0 {
				probe = func(ctx context.Context, _ time.Time) (Result, error) {
					<-ctx.Done()
					return Result{}, ctx.Err()
				}
			}
			e := entry(target, 15*time.Second, probe)
			e.Timeout = 5 * time.Second
			entries = append(entries, e)
		}
		s, stop := start(t, Options{Workers: 4, MaxInFlight: 50}, entries...)
		defer stop()
		time.Sleep(time.Minute)
		mu.Lock()
		clear(late)
		mu.Unlock()
		time.Sleep(5 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		for target, d := range late {
			if d > 15*time.Second+patience {
				t.Errorf("%s was not looked at for %s", target, d)
			}
		}
		if len(late) != 500 {
			t.Errorf("%d targets that answer were looked at, want 500", len(late))
		}
		skipped, due := s.Skipped()
		if share := float64(skipped) / float64(due); share < .05 || share > .5 {
			t.Errorf("%d of %d turns were skipped, want those of targets that hang, but for what 46 workers do", skipped, due)
		}
	})
}

func TestNeverMoreInFlightThanAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		slow := func(ctx context.Context, _ time.Time) (Result, error) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			<-ctx.Done()
			return Result{State: Bad}, nil
		}
		var entries []Entry
		for i := range 100 {
			entries = append(entries, entry(fmt.Sprintf("t%d", i), 10*time.Second, slow))
		}
		s, stop := start(t, Options{Workers: 2, MaxInFlight: 8}, entries...)
		time.Sleep(time.Minute)
		stop()
		if most.Load() != 8 {
			t.Errorf("%d looks at once, want 8", most.Load())
		}
		if testutil.ToFloat64(s.metrics.skipped.WithLabelValues("waiting")) == 0 {
			t.Error("no skipped look was counted")
		}
	})
}

func TestALookThatStillRunsAtItsNextTurnIsSkippedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		deaf := func(context.Context, time.Time) (Result, error) {
			looks++
			time.Sleep(25 * time.Second)
			return Result{State: OK}, nil
		}
		s, stop := start(t, Options{}, entry("t", 10*time.Second, deaf))
		time.Sleep(60*time.Second - time.Nanosecond)
		stop()
		if skipped := testutil.ToFloat64(s.metrics.skipped.WithLabelValues("running")); looks != 2 || skipped != 4 {
			t.Errorf("%d looks and %v skipped, want 2 and 4", looks, skipped)
		}
	})
}

func TestWhatIsUnknownHasNoValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept recorder
		looks := 0
		probe := func(context.Context, time.Time) (Result, error) {
			looks++
			switch {
			case looks <= 3:
				return Result{State: OK}, nil
			case looks == 4:
				return Result{State: OK}, errors.New("could not look,\nreally")
			case looks == 5:
				panic("oops")
			}
			return Result{State: Bad}, nil
		}
		s, stop := start(t, Options{Append: kept.append}, entry("t", time.Second, probe))
		time.Sleep(5 * time.Second)
		if got := s.States()[0]; got.State != Unknown || got.Damped != OK || got.Detail != "probe panicked: oops" {
			t.Errorf("got %+v", got)
		}
		time.Sleep(3 * time.Second)
		stop()
		got := map[string]string{}
		for _, name := range []string{"probe_success", "probe_duration_seconds", "watchdog_probe_unknown",
			"watchdog_probe_healthy"} {
			for _, sample := range kept.of(name + `{probe="p", target="t"}`) {
				got[name] += sample.Value.String()
			}
		}
		if diff := cmp.Diff(map[string]string{
			"probe_success":          "111000",
			"probe_duration_seconds": "000000",
			"watchdog_probe_unknown": "00011000",
			"watchdog_probe_healthy": "111110", // from the third look on
		}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSetKeepsWhatIsUnchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept recorder
		one := entry("one", time.Second, always(OK))
		two := entry("two", time.Second, always(OK))
		slow := entry("slow", 10*time.Second, func(context.Context, time.Time) (Result, error) {
			time.Sleep(9 * time.Second)
			return Result{State: OK}, nil
		})
		s, _ := start(t, Options{Append: kept.append}, one, two, slow)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		appended := len(kept.of(`probe_success{probe="p", target="slow"}`))
		two.Hash = "other"
		if err := s.Set([]Entry{one, two, entry("three", time.Second, always(Bad))}); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, state := range s.States() {
			got = append(got, fmt.Sprint(state.Target, " ", state.Damped, " ", state.At.IsZero()))
		}
		if diff := cmp.Diff([]string{"one ok false", "three unknown true", "two unknown true"}, got); diff != "" {
			t.Error(diff)
		}
		time.Sleep(20 * time.Second)
		if now := len(kept.of(`probe_success{probe="p", target="slow"}`)); now != appended {
			t.Errorf("a forgotten look still left %d samples", now-appended)
		}
		if got := s.States()[1]; got.Damped != Bad {
			t.Errorf("three: got %+v, want bad", got)
		}
		if n := len(kept.of(`probe_success{probe="p", target="one"}`)); n < 30 || n > 32 {
			t.Errorf("one was looked at %d times in 31 s", n)
		}
	})
}

func TestAWrongSetChangesNothing(t *testing.T) {
	s, err := NewScheduler(Options{})
	if err != nil {
		t.Fatal(err)
	}
	good := entry("good", time.Second, always(OK))
	if err := s.Set([]Entry{good}); err != nil {
		t.Fatal(err)
	}
	bad := []Entry{good, good, entry("", time.Second, always(OK)), entry("a", 0, always(OK)),
		entry("b", time.Second, nil)}
	if err := s.Set(bad); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("got %v, want four errors", err)
	}
	if got := s.States(); len(got) != 1 || got[0].Target != "good" {
		t.Errorf("got %+v", got)
	}
}

func TestLookNowIsEvidenceButMovesNoDampedState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept recorder
		var state atomic.Int32
		state.Store(int32(OK))
		probe := func(context.Context, time.Time) (Result, error) { return Result{State: State(state.Load())}, nil }
		other := entry("t", time.Hour, hanging)
		other.Name, other.Timeout = "other", time.Second
		s, _ := start(t, Options{Append: kept.append}, entry("t", time.Minute, probe), other)
		time.Sleep(5 * time.Minute)
		state.Store(int32(Bad))
		before := len(kept.of(`probe_success{probe="p", target="t"}`))
		for range 5 {
			seen, err := s.LookNow(t.Context(), "t")
			if err != nil {
				t.Fatal(err)
			}
			if len(seen) != 2 || seen[1].State != Bad || seen[1].Damped != OK || seen[0].Probe != "other" {
				t.Errorf("got %+v", seen)
			}
		}
		samples := kept.of(`probe_success{probe="p", target="t"}`)
		if len(samples) != before+5 {
			t.Errorf("%d samples were appended, want 5", len(samples)-before)
		}
		for i := 1; i < len(samples); i++ {
			if !samples[i].Timestamp.After(samples[i-1].Timestamp) {
				t.Errorf("sample %d is not newer than the one before", i)
			}
		}
	})
}

func TestLookNowEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept recorder
		s, _ := start(t, Options{Append: kept.append}, entry("t", time.Hour, hanging))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if seen, err := s.LookNow(ctx, "t"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, %v", seen, err)
		}
		if len(kept.samples) != 0 {
			t.Errorf("an interrupted look left %v", kept.samples)
		}
		if _, err := s.LookNow(t.Context(), "nobody"); err == nil {
			t.Error("no error for a target without probes")
		}
	})
}

func TestASlowLookDoesNotOverwriteANewerOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int64
		probe := func(context.Context, time.Time) (Result, error) {
			if looks.Add(1) == 1 {
				time.Sleep(30 * time.Second)
				return Result{State: Bad}, nil
			}
			return Result{State: OK}, nil
		}
		s, _ := start(t, Options{}, entry("t", time.Minute, probe))
		go s.LookNow(t.Context(), "t")
		synctest.Wait()
		if _, err := s.LookNow(t.Context(), "t"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(31 * time.Second)
		if got := s.States()[0]; got.State != OK {
			t.Errorf("got %+v", got)
		}
	})
}

func TestTheLatestSamplesAreExportedUntilTheyAreOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := NewScheduler(Options{})
		if err != nil {
			t.Fatal(err)
		}
		probe := func(_ context.Context, at time.Time) (Result, error) {
			twice := newSample(at, "watchdog_health_restarts_total", 4)
			return Result{State: OK, Samples: []*model.Sample{
				newSample(at, "watchdog_dependency_up", 1, "check", "database"), twice, twice,
			}}, nil
		}
		if err := s.Set([]Entry{entry("t", 10*time.Second, probe)}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.LookNow(t.Context(), "t"); err != nil {
			t.Fatal(err)
		}
		const want = `
# HELP watchdog_dependency_up 1 or 0 according to a check in the health document.
# TYPE watchdog_dependency_up gauge
watchdog_dependency_up{check="database",probe="p",target="t"} 1
# HELP watchdog_health_restarts_total Process starts derived from the health document's uptime.
# TYPE watchdog_health_restarts_total counter
watchdog_health_restarts_total{probe="p",target="t"} 4
`
		all := exported(s)
		if err := testutil.GatherAndCompare(all, strings.NewReader(want), "watchdog_dependency_up",
			"watchdog_health_restarts_total"); err != nil {
			t.Error(err)
		}
		time.Sleep(20 * time.Second)
		if n, _ := testutil.GatherAndCount(all); n == 0 {
			t.Error("nothing is exported after two intervals")
		}
		time.Sleep(time.Second)
		if n, _ := testutil.GatherAndCount(all); n != 0 {
			t.Errorf("%d old samples are exported", n)
		}
	})
}

// exported gathers the samples of all names.
func exported(s *Scheduler) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.SamplesCollectors()...)
	return registry
}

// TestASampleIsExportedByOneCollector: each name by its own, and what is not known by another.
func TestASampleIsExportedByOneCollector(t *testing.T) {
	s, err := NewScheduler(Options{})
	if err != nil {
		t.Fatal(err)
	}
	probe := func(_ context.Context, at time.Time) (Result, error) {
		return Result{State: OK, Samples: []*model.Sample{newSample(at, "watchdog_agents_active", 2),
			newSample(at, "made_up", 1, "b", "", "a", "x y"), newSample(at, "made_up", 2, "a", "\xff")}}, nil
	}
	if err := s.Set([]Entry{entry("t", time.Minute, probe)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.LookNow(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, c := range s.SamplesCollectors() {
		registry := prometheus.NewRegistry()
		registry.MustRegister(c)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			found[f.GetName()] += len(f.GetMetric())
			if text := f.String(); f.GetName() == "made_up" && !strings.Contains(text, `"x y"`) {
				t.Errorf("its labels are lost: %s", text)
			}
		}
	}
	want := map[string]int{"watchdog_agents_active": 1, "made_up": 1, "probe_success": 1, "probe_duration_seconds": 1,
		"watchdog_probe_unknown": 1}
	if d := cmp.Diff(want, found); d != "" {
		t.Error(d)
	}
}

func TestMetricsAreNamedAsPrometheusAsks(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	s, err := NewScheduler(Options{Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	registry.MustRegister(s.SamplesCollectors()...)
	everything := func(_ context.Context, at time.Time) (Result, error) {
		result := Result{State: OK}
		for _, known := range knownSamples() {
			if strings.HasPrefix(known.name, "probe_") || strings.HasPrefix(known.name, "watchdog_probe_") {
				continue
			}
			var labels []string
			for _, label := range known.labels {
				labels = append(labels, label, "0.5")
			}
			result.Samples = append(result.Samples, newSample(at, known.name, 1, labels...))
		}
		return result, nil
	}
	if err := s.Set([]Entry{entry("t", time.Minute, everything)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.LookNow(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		// The application tells quantiles but neither sum nor count, so this is no summary.
		if problem.Metric != "watchdog_sla_response_time_seconds" {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
	if _, err := NewScheduler(Options{Registerer: registry}); err == nil {
		t.Error("no error when metrics are registered twice")
	}
}

// TestEverySampleIsKnown keeps the exported table in step with the probes.
func TestEverySampleIsKnown(t *testing.T) {
	at, share := time.Now(), 0.5
	known, seen := map[string]string{}, map[string]bool{}
	for _, k := range knownSamples() {
		known[k.name] = strings.Join(k.labels, ",")
	}
	doc, err := readHealth(answer{body: []byte(healthBody(at))})
	if err != nil {
		t.Fatal(err)
	}
	sla, err := readSLA(answer{body: []byte(slaBody(at))})
	if err != nil {
		t.Fatal(err)
	}
	judge := &health{version: "2", maxSkew: time.Minute}
	samples := judge.judge(doc, at).Samples
	samples = append(samples, sla.samples(at)...)
	samples = append(samples, Workload{
		Desired: 1, Waiting: map[string]int{"x": 1}, HasEndpoints: true, HPA: &HPA{}, Usage: []Usage{{"p", "c", share,
			share}},
	}.samples(at)...)
	samples = append(samples, common(Status{State: OK, Damped: OK}, at)...)
	samples = append(samples, newSample(at, "watchdog_agents_active", 1), newSample(at, "watchdog_agents_desired", 1),
		newSample(at, "watchdog_workload_restarts_total", 1))
	samples = append(samples, readRedisInfo([]byte("used_memory:1\nmaxmemory:1\nmem_fragmentation_ratio:1\n"+
		"connected_clients:1\nmaxclients:1\nevicted_keys:1\n")).result(at).Samples...)
	postgres, err := readPostgres([][]byte{{}, []byte("1"), []byte("1")}, "", at)
	if err != nil {
		t.Fatal(err)
	}
	samples = append(samples, postgres.Samples...)
	samples = append(samples, lookupSamples(time.Second, 1, at)...)
	samples = append(samples, chainSamples(&x509.Certificate{}, nil, at)...)
	for _, sample := range samples {
		name := string(sample.Metric[model.MetricNameLabel])
		if labels, ok := known[name]; !ok || labels != labelNames(sample) {
			t.Errorf("%s is not in knownSamples with these labels", sample.Metric)
		}
		seen[name] = true
	}
	for name := range known {
		if !seen[name] {
			t.Errorf("no probe leaves %s", name)
		}
	}
}

func labelNames(s *model.Sample) string {
	var names []string
	k, _ := keep(s)
	for _, l := range k.of.Value().all() {
		names = append(names, l.name)
	}
	return strings.Join(names, ",")
}

func TestAForgottenEntryLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept recorder
		slow := func(context.Context, time.Time) (Result, error) {
			time.Sleep(9 * time.Second)
			return Result{State: OK}, nil
		}
		s, _ := start(t, Options{Append: kept.append}, entry("t", time.Hour, slow))
		go s.LookNow(t.Context(), "t")
		synctest.Wait()
		if err := s.Set(nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if len(kept.samples) != 0 || len(s.States()) != 0 {
			t.Errorf("got %v, %v", kept.samples, s.States())
		}
	})
}

func TestTwoLooksInOneMillisecondLeaveTwoSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept recorder
		s, _ := start(t, Options{Append: kept.append}, entry("t", time.Hour, always(OK)))
		for range 3 {
			if _, err := s.LookNow(t.Context(), "t"); err != nil {
				t.Fatal(err)
			}
		}
		samples := kept.of(`probe_success{probe="p", target="t"}`)
		if len(samples) != 3 {
			t.Fatalf("got %v", samples)
		}
		for i := 1; i < len(samples); i++ {
			if !samples[i].Timestamp.After(samples[i-1].Timestamp) {
				t.Errorf("sample %d is not newer than the one before: %v", i, samples)
			}
		}
	})
}
