package alertmanager

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// wired carries requests to a peer without a network, so that time can be bent.
type wired struct {
	*peer
	down atomic.Bool
}

func (w *wired) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.down.Load() {
		return nil, http.ErrServerClosed
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// watching returns a Watch on a cluster whose clock is that of the bubble.
func watching(t *testing.T) (*Watch, *wired, *Client, *prometheus.Registry, *bytes.Buffer) {
	t.Helper()
	shared := newCluster()
	shared.now = time.Now
	line := &wired{peer: &peer{cluster: shared}}
	c, err := New(Options{URLs: []string{"http://alertmanager:9093"}, Author: "watchdog ops", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	c.http = &http.Client{Transport: line}
	registry, log := prometheus.NewRegistry(), &bytes.Buffer{}
	w := NewWatch(WatchOptions{Logger: slog.New(slog.NewTextHandler(log, nil)), Registerer: registry, Now: time.Now})
	return w, line, c, registry, log
}

var shop = map[string]string{"alertname": "HighErrors", "target": "shop", "severity": "P2"}

// says is what is known of the shop's alert.
func says(w *Watch) string {
	if s, ok := w.Silenced(shop); ok {
		return s.ID
	}
	return ""
}

func TestSilencesAreHonouredWhileTheyLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _, c, registry, _ := watching(t)
		go w.Run(t.Context())
		w.Await(t.Context(), time.Minute) // nobody is asked: at once
		if _, err := c.Create(t.Context(), Window{Key: "now", Matchers: matchers(t, `target="shop"`),
			EndsAt: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Create(t.Context(), Window{Key: "later", Matchers: matchers(t, `target="shop"`),
			StartsAt: time.Now().Add(90 * time.Minute), EndsAt: time.Now().Add(100 * time.Minute)}); err != nil {
			t.Fatal(err)
		}
		if got := says(w); got != "" {
			t.Errorf("silenced by %s before anybody was asked", got)
		}
		// A long interval: what begins and ends between two looks is seen.
		w.Use(c, 3*time.Hour, 4*time.Hour)
		synctest.Wait()
		if got := says(w); got != "id-1" {
			t.Errorf("silenced by %q", got)
		}
		if n, err := testutil.GatherAndCount(registry, "watchdog_silences"); err != nil || n != 1 {
			t.Errorf("%d, %v", n, err)
		}
		for _, at := range []struct {
			after time.Duration
			want  string
		}{{59 * time.Minute, "id-1"}, {2 * time.Minute, ""}, {29 * time.Minute, "id-2"}, {11 * time.Minute, ""}} {
			time.Sleep(at.after)
			synctest.Wait()
			if got := says(w); got != at.want {
				t.Errorf("%s later silenced by %q, want %q", at.after, got, at.want)
			}
		}
		if _, ok := w.Silenced(map[string]string{"target": "cart"}); ok {
			t.Error("another target is silenced")
		}
	})
}

func TestASilenceThatIsIgnoredSilencesNothing(t *testing.T) {
	own := Own("watchdog ops")
	for name, c := range map[string]struct {
		s    Silence
		want bool
	}{
		"a window's": {Silence{CreatedBy: "watchdog ops", Comment: "the database moves" +
			mark("maintenance/db")}, true},
		"of another installation":   {Silence{CreatedBy: "watchdog dev", Comment: "x" + mark("maintenance/db")}, false},
		"a person's of that name":   {Silence{CreatedBy: "watchdog ops", Comment: "by hand"}, false},
		"a person's with that mark": {Silence{CreatedBy: "eve", Comment: "x" + mark("maintenance/db")}, false},
	} {
		if got := own(c.s); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestWhatWasLastKnownCountsForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, line, c, _, log := watching(t)
		go w.Run(t.Context())
		if _, err := c.Create(t.Context(), Window{Key: "now", Matchers: matchers(t, `target="shop"`),
			EndsAt: time.Now().Add(10 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
		w.Use(c, 30*time.Second, 10*time.Minute)
		time.Sleep(time.Minute)
		synctest.Wait()
		line.down.Store(true)
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		if says(w) == "" {
			t.Error("forgotten while it still counts")
		}
		if got := testutil.ToFloat64(w.metrics.failures); got < 17 || got > 19 {
			t.Errorf("%v failures counted", got)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if says(w) != "" || w.count() != 0 {
			t.Error("it counts although nobody has answered for long")
		}
		if n := strings.Count(log.String(), "cannot read silences from Alertmanager"); n != 1 {
			t.Errorf("said %d times:\n%s", n, log)
		}
		line.down.Store(false)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if says(w) == "" {
			t.Error("not honoured after Alertmanager is back")
		}
		if got, now := testutil.ToFloat64(w.metrics.success), float64(time.Now().Unix()); now-got > 30 {
			t.Errorf("last success %v, now %v", got, now)
		}
		w.Use(nil, 0, 0)
		if says(w) != "" {
			t.Error("silenced by an Alertmanager that is not asked any more")
		}
	})
}

// A configuration that is loaded again forgets nothing; another Alertmanager knows
// nothing of the silences of the first.
func TestAReloadKeepsWhatIsKnownOfTheSameAlertmanager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, line, c, _, _ := watching(t)
		go w.Run(t.Context())
		if _, err := c.Create(t.Context(), Window{Key: "now", Matchers: matchers(t, `target="shop"`),
			EndsAt: time.Now().Add(10 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
		w.Use(c, 30*time.Second, 10*time.Minute)
		synctest.Wait()
		line.down.Store(true)
		again := *c
		w.Use(&again, 30*time.Second, 10*time.Minute)
		synctest.Wait()
		if says(w) == "" {
			t.Error("a reload forgot a silence")
		}
		other := *c
		other.peers = []string{"http://other:9093"}
		w.Use(&other, 30*time.Second, 10*time.Minute)
		synctest.Wait()
		if says(w) != "" {
			t.Error("silenced by another Alertmanager")
		}
	})
}

func TestTheFirstLookIsAwaitedForABoundedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _, c, _, _ := watching(t)
		hung := *c
		hung.http = &http.Client{Transport: never{}}
		w.Use(&hung, 30*time.Second, 10*time.Minute)
		go w.Run(t.Context())
		began := time.Now()
		w.Await(t.Context(), 2*time.Second)
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("awaited for %s", took)
		}
		w.Await(t.Context(), time.Minute)
		if took := time.Since(began); took != defaultTimeout {
			t.Errorf("the first look was over after %s", took)
		}
	})
}

// never is a network in which nothing comes back.
type never struct{}

func (never) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, context.Cause(r.Context())
}
