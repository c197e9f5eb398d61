package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// opened is an ingester in dir with a clock that stands still.
func opened(t testing.TB, dir string, change ...func(*Options)) *Ingester {
	t.Helper()
	o := Options{Dir: dir, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
		Now: func() time.Time { return t0 }}
	for _, c := range change {
		c(&o)
	}
	i, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	return i
}

func accept(t testing.TB, i *Ingester, alerts ...Alert) {
	t.Helper()
	if err := i.Accept(t.Context(), alerts); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasAcceptedIsThereAfterARestartOnce_INV51(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	i := opened(t, dir)
	accept(t, i, labelled(1, Firing), labelled(2, Firing))
	accept(t, i, labelled(1, Firing)) // again
	accept(t, i, labelled(2, Resolved))
	before := i.Store().Firing()
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	if err := i.Accept(t.Context(), []Alert{labelled(3, Firing)}); !errors.Is(err, ErrClosed) {
		t.Errorf("after it was closed: %v", err)
	}
	i = opened(t, dir)
	after := i.Store().Firing()
	if len(after) != 1 || len(before) != 1 || after[0].Key() != before[0].Key() || after[0].ReceivedAt != t0 {
		t.Errorf("before %v, after %v", before, after)
	}
	if s, _ := i.Store().State(labelled(2, Firing).Key()); s != Resolved {
		t.Errorf("what was resolved is %q", s)
	}
	accept(t, i, labelled(2, Firing))
	if n := len(i.Store().Firing()); n != 1 {
		t.Errorf("an echo of what was over before the restart fires: %d", n)
	}
}

// slowSync is a file whose syncs wait to be let through, and are counted.
type slowSync struct {
	*os.File
	syncs atomic.Int32
	began chan struct{}
	let   chan struct{}
}

func (s *slowSync) Sync() error {
	s.syncs.Add(1)
	s.began <- struct{}{}
	<-s.let
	return nil
}

func TestAllThatWaitShareOneSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := opened(t, filepath.Join(t.TempDir(), "j"))
		f := &slowSync{File: i.journal.file.(*os.File), began: make(chan struct{}), let: make(chan struct{})}
		i.journal.file = f
		var wg sync.WaitGroup
		var done atomic.Int32
		post := func(n int) {
			wg.Go(func() {
				if err := i.Accept(context.Background(), []Alert{labelled(n, Firing)}); err != nil {
					t.Error(err)
				}
				done.Add(1)
			})
		}
		post(0)
		<-f.began // and while it syncs, a hundred come
		for n := range 100 {
			post(n + 1)
		}
		synctest.Wait()
		if done.Load() != 0 || len(i.Store().Firing()) != 0 {
			t.Errorf("%d answered and %d held before anything is on disk", done.Load(), len(i.Store().Firing()))
		}
		f.let <- struct{}{}
		<-f.began
		synctest.Wait()
		if done.Load() != 1 {
			t.Errorf("%d answered after the first sync, want 1", done.Load())
		}
		f.let <- struct{}{}
		wg.Wait()
		if f.syncs.Load() != 2 || len(i.Store().Firing()) != 101 {
			t.Errorf("%d syncs for 101 requests, want 2; %d held", f.syncs.Load(), len(i.Store().Firing()))
		}
	})
}

func TestOneThatGivesUpDoesNotHoldTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := opened(t, filepath.Join(t.TempDir(), "j"))
		f := &slowSync{File: i.journal.file.(*os.File), began: make(chan struct{}, 9), let: make(chan struct{})}
		i.journal.file = f
		var wg sync.WaitGroup
		wg.Go(func() { _ = i.Accept(context.Background(), []Alert{labelled(0, Firing)}) })
		<-f.began
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := i.Accept(ctx, []Alert{labelled(1, Firing)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		close(f.let)
		wg.Wait()
		accept(t, i, labelled(2, Firing))
		if len(i.Store().Firing()) != 3 {
			t.Errorf("%d held", len(i.Store().Firing()))
		}
	})
}

func TestAFullDiskRefusesAndForgetsAndComesBack_F50(t *testing.T) {
	now := t0
	i := opened(t, filepath.Join(t.TempDir(), "j"), func(o *Options) { o.Now = func() time.Time { return now } })
	accept(t, i, labelled(1, Firing))
	full := true
	create := i.journal.create
	i.journal.create = func(path string) (file, error) {
		if full {
			return nil, syscall.ENOSPC
		}
		return create(path)
	}
	i.journal.file = &sick{File: i.journal.file.(*os.File), full: syscall.ENOSPC}
	for range 3 {
		if err := i.Accept(t.Context(), []Alert{labelled(2, Firing)}); !errors.Is(err, ErrNotWritable) {
			t.Errorf("on a full disk: %v", err)
		}
		now = now.Add(healEvery)
	}
	if n := len(i.Store().Firing()); n != 1 {
		t.Errorf("%d fire, of which one was refused", n)
	}
	accept(t, i, labelled(1, Firing)) // known and on disk: nothing to write
	full = false
	accept(t, i, labelled(2, Firing))
	if n := len(i.Store().Firing()); n != 2 {
		t.Errorf("%d fire once there is room", n)
	}
	if got := testutil.ToFloat64(i.metrics.alerts.WithLabelValues("refused_unwritable")); got != 3 {
		t.Errorf("%v refused by the metric, want 3", got)
	}
}

func TestRunTellsWhatChangedOutsideOfEveryLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var i *Ingester
		var mu sync.Mutex // a tick of the fake clock orders nothing for the race detector
		var received []string
		began := time.Now()
		begin := func(n int, s Status) Alert {
			a := labelled(n, s)
			a.StartsAt, a.ReceivedAt, a.EndsAt = began, began, time.Time{}
			return a
		}
		i = opened(t, filepath.Join(t.TempDir(), "j"), func(o *Options) {
			o.Now, o.Limits = time.Now, Limits{Expire: time.Hour}
			o.Changed = func(all []AlertState) {
				mu.Lock()
				for _, h := range all {
					received = append(received, fmt.Sprint(h.Labels["n"], " ", h.State))
				}
				mu.Unlock()
				// None of these may wait for the one that tells.
				_ = i.Store().Firing()
				if err := i.Accept(context.Background(), []Alert{begin(1, Firing)}); err != nil {
					t.Error(err)
				}
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = i.Run(ctx) })
		want := func(all ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if fmt.Sprint(received) != fmt.Sprint(all) {
				t.Errorf("told %v, want %v", received, all)
			}
			received = nil
		}
		accept(t, i, begin(1, Firing))
		want("1 firing")
		accept(t, i, begin(1, Firing))
		want()
		accept(t, i, begin(2, Firing), begin(2, Resolved))
		want("2 resolved") // the last state only
		<-time.After(time.Hour + expireEvery)
		want("1 lost", "1 firing") // found again by the callback's own Accept
		cancel()
		wg.Wait()
	})
}

func TestTheJournalIsMadeShortWhileAlertsAreAccepted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	i := opened(t, dir)
	a := labelled(1, Firing)
	for n := range 40 {
		a.StartsAt = t0.Add(time.Duration(n) * time.Second)
		accept(t, i, a)
	}
	i.journal.logged = 1 << 30 // as if it were large
	i.compact()
	accept(t, i, labelled(2, Firing))
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := list(dir)
	if err != nil || len(files.snapshots) != 1 || len(files.segments) != 1 {
		t.Errorf("%v, %v", files, err)
	}
	i = opened(t, dir)
	if n := len(i.Store().Firing()); n != 2 {
		t.Errorf("%d fire after a restart, want 2", n)
	}
	if got := testutil.ToFloat64(i.metrics.snapshots.WithLabelValues("failed")); got != 0 {
		t.Errorf("%v snapshots failed", got)
	}
}

func TestALongJournalIsMadeShortAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := opened(t, filepath.Join(t.TempDir(), "j"))
		accept(t, i, labelled(1, Firing))
		i.journal.logged = 1 << 30 // as if much had been read
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = i.Run(ctx) })
		synctest.Wait()
		if got := testutil.ToFloat64(i.metrics.snapshots.WithLabelValues("ok")); got != 1 {
			t.Errorf("%v snapshots before any time has passed", got)
		}
		cancel()
		wg.Wait()
	})
}

// TestADamagedJournalIsSaidOnceAndMadeWhole_S24: three alerts, a flipped bit in the
// frame of the second.
func TestADamagedJournalIsSaidOnceAndMadeWhole_S24(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	i := opened(t, dir)
	var ends []int64
	for n := range 3 {
		accept(t, i, labelled(n, Firing))
		ends = append(ends, i.journal.size)
	}
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	path := i.journal.path(1)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[ends[0]+40] ^= 4
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	now := t0
	logged := func(o *Options) {
		o.Logger, o.Now = slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return now }
	}
	i = opened(t, dir, logged)
	if n := len(i.Store().Firing()); n != 2 {
		t.Errorf("%d alerts fire, want the 2 that can be read", n)
	}
	if got := testutil.ToFloat64(i.metrics.damaged); got != 1 {
		t.Errorf("%v damaged places are counted", got)
	}
	for _, want := range []string{"level=ERROR", "file=" + path,
		fmt.Sprintf("offset=%d bytes=%d", ends[0], ends[1]-ends[0]), "kept=" +
			filepath.Join(dir, "damaged-segment-000000000001")} {
		if strings.Count(log.String(), want) != 1 {
			t.Errorf("not once in the log: %s\n%s", want, &log)
		}
	}
	if what, since := i.lost(now), i.opened; !strings.Contains(what,
		fmt.Sprintf("byte %d: %d bytes cannot be read", ends[0], ends[1]-ends[0])) || since != t0 {
		t.Errorf("%q since %s", what, since)
	}
	now = t0.Add(12 * time.Hour)
	if what := i.lost(now); what != "" {
		t.Errorf("once every sender has repeated what fires: %q", what)
	}
	now = t0
	accept(t, i, labelled(4, Firing))
	i.compact()
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	log.Reset()
	i = opened(t, dir, logged)
	if what := i.lost(t0); what != "" || strings.Contains(log.String(), "ERROR") {
		t.Errorf("the next start finds damage again: %q\n%s", what, &log)
	}
	if n := len(i.Store().Firing()); n != 3 {
		t.Errorf("%d alerts fire after the next start, want 3", n)
	}
	if kept, err := os.ReadFile(filepath.Join(dir, "damaged-segment-000000000001")); err != nil ||
		!bytes.Equal(kept, b) {
		t.Errorf("the damaged file is not kept: %d bytes, %v", len(kept), err)
	}
}

func TestADamagedSnapshotIsReplaced_S24(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	i := opened(t, dir)
	accept(t, i, labelled(1, Firing))
	i.journal.logged = 1 << 30 // as if it were large
	i.compact()
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "segment-000000000002")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "snapshot-000000000001"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	i = opened(t, dir)
	if what := i.lost(t0); !strings.Contains(what, "snapshot-000000000001, byte 0") {
		t.Errorf("%q", what)
	}
	i.compact()
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	if what := opened(t, dir).lost(t0); what != "" {
		t.Errorf("the next start finds damage again: %q", what)
	}
}

func TestStateThatIsNoStateIsNotGuessedAt_INV49(t *testing.T) {
	key := labelled(1, Firing).Key().String()
	for _, tc := range []struct{ name, line string }{
		{"no JSON", "x"},
		{"a state of a newer watchdog", `{"key":"` + key + `","state":"muted"}`},
		{"firing without an alert", `{"key":"` + key + `","state":"firing"}`},
		{"an alert under another's key", `{"key":"` + key + `","state":"firing","alert":{"labels":{"a":"b"}}}`},
		{"half a key", `{"key":"00","state":"resolved"}`},
	} {
		if err := NewStore(Limits{}).restore([]byte(tc.line), t0); err == nil {
			t.Errorf("%s was taken", tc.name)
		}
	}
}

func TestMetricsFollowTheConventions(t *testing.T) {
	r := prometheus.NewRegistry()
	newMetrics(r, NewStore(Limits{}))
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(all).Lint()
	if err != nil || len(problems) != 0 {
		t.Errorf("%v, %v", problems, err)
	}
}
