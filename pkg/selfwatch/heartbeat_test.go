package selfwatch

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"watchdog.io/watchdog/pkg/httpclient"
)

const secret = "https://hc.example/3f1c-secret"

// dead is a dead man's switch in each of its moods.
type dead struct {
	mu   sync.Mutex
	mood string
	got  []time.Time
}

func (d *dead) RoundTrip(r *http.Request) (*http.Response, error) {
	d.mu.Lock()
	mood := d.mood
	d.got = append(d.got, time.Now())
	d.mu.Unlock()
	answer := func(code int) (*http.Response, error) {
		return &http.Response{StatusCode: code, Status: http.StatusText(code),
			Header: http.Header{"Location": {"https://elsewhere.example/"}}, Body: io.NopCloser(strings.NewReader("")),
			Request: r}, nil
	}
	switch mood {
	case "hang":
		<-r.Context().Done()
		return nil, r.Context().Err()
	case "reset":
		return nil, errors.New("connection reset by peer")
	case "redirect":
		if r.URL.Host != "hc.example" {
			return nil, errors.New("the redirect was followed")
		}
		return answer(302)
	case "500":
		return answer(500)
	}
	return answer(200)
}

func (d *dead) become(mood string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mood = mood
}

func (d *dead) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.got)
}

// body is what a heart needs: a heart, whether it leads, and what is wrong with it.
type body struct {
	*Heartbeat
	*dead
	log bytes.Buffer

	mu     sync.Mutex
	leads  bool
	reason string
	asked  []time.Time
}

func newBody() *body {
	b := &body{dead: &dead{}, leads: true}
	b.Heartbeat = NewHeartbeat(HeartbeatOptions{
		Logger: slog.New(slog.NewTextHandler(&b.log, nil)), Registerer: prometheus.NewRegistry(), Transport: b.dead,
		Leading: func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.leads },
		Fit: func() (string, string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.asked = append(b.asked, time.Now())
			return b.reason, "a reason"
		},
	})
	b.Use(&Beat{URL: func() (string, error) { return secret, nil }, Method: "GET", Interval: time.Minute,
		Timeout: 10 * time.Second})
	return b
}

func (b *body) set(reason string, leads bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reason, b.leads = reason, leads
}

func (b *body) run(t *testing.T) {
	done := make(chan struct{})
	ctx := t.Context()
	go func() { b.Run(ctx); close(done) }()
	t.Cleanup(func() { <-done })
}

func TestTheHeartBeatsOnlyWhileAllIsWell_INV45(t *testing.T) {
	for _, reason := range append([]string{"", "follower"}, Reasons...) {
		synctest.Test(t, func(t *testing.T) {
			b := newBody()
			b.run(t)
			time.Sleep(10*time.Minute + time.Second)
			synctest.Wait()
			before := b.count()
			if before != 11 {
				t.Errorf("%d beats in 10 minutes and a second", before)
			}
			leads := reason != "follower"
			if leads {
				b.set(reason, true)
			} else {
				b.set("canary", false)
			}
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			after := b.count() - before
			if reason == "" && after != 10 || reason != "" && after != 0 {
				t.Errorf("%q: %d beats", reason, after)
			}
			for _, r := range Reasons {
				want := 0.0
				if r == reason {
					want = 1
				}
				if got := testutil.ToFloat64(b.withheld.WithLabelValues(r)); got != want {
					t.Errorf("%q: withheld{reason=%q} is %v", reason, r, got)
				}
			}
			if n := strings.Count(b.log.String(), "heartbeat withheld"); reason != "" && leads && n != 1 {
				t.Errorf("%q: logged %d times", reason, n)
			}
		})
	}
}

func TestASwitchThatMisbehavesDelaysNothing_F98(t *testing.T) {
	for _, mood := range []string{"hang", "reset", "redirect", "500"} {
		synctest.Test(t, func(t *testing.T) {
			b := newBody()
			b.mood = mood
			b.run(t)
			time.Sleep(10*time.Minute + time.Second)
			synctest.Wait()
			// Each beat is due a minute after the one before, whatever became of that, and
			// is tried again in between (X101).
			inTurn, last := 0, b.asked[0]
			for k, at := range b.asked {
				if at.Sub(b.asked[0])%time.Minute == 0 {
					inTurn++
				}
				if k > 0 && (at.Sub(last) > 25*time.Second || at.Sub(last) < 5*time.Second) {
					t.Errorf("%s: %s between two tries", mood, at.Sub(last))
				}
				last = at
			}
			if inTurn != 11 || b.count() != len(b.asked) {
				t.Errorf("%s: %d beats in turn, %d tries, %d requests: one each, and no redirect is followed", mood,
					inTurn, len(b.asked), b.count())
			}
			if n := testutil.ToFloat64(b.sent.WithLabelValues("failed")); n < 10 || testutil.ToFloat64(b.success) != 0 {
				t.Errorf("%s: %v failed", mood, n)
			}
			if strings.Contains(b.log.String(), "secret") {
				t.Errorf("%s: the URL is in the log: %s", mood, b.log.String())
			}
		})
	}
}

// X101: the way to the switch is lost for a moment; the switch must not miss a beat for it.
func TestAMissedHeartbeatIsSentAgainBeforeTheNextOne_X101(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBody()
		b.mood = "reset"
		b.run(t)
		time.Sleep(time.Second)
		b.become("")
		time.Sleep(19 * time.Second)
		synctest.Wait()
		if n := testutil.ToFloat64(b.sent.WithLabelValues("ok")); n != 1 {
			t.Errorf("%v heartbeats taken 20s after one that was not", n)
		}
		time.Sleep(41 * time.Second)
		synctest.Wait()
		if n := b.count(); n != 3 {
			t.Errorf("%d requests in the first minute and a second, want the one that failed, its repetition and "+
				"the next in turn", n)
		}
	})
}

func TestAHeartWithoutASwitchSaysAllTheSameWhetherItIsFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBody()
		b.Use(nil)
		b.set("store", true)
		b.run(t)
		time.Sleep(time.Second)
		synctest.Wait()
		if b.count() != 0 || testutil.ToFloat64(b.withheld.WithLabelValues("store")) != 1 {
			t.Errorf("%d beats", b.count())
		}
	})
}

func TestAHeartbeatIsNotSentToAMetadataService_S20(t *testing.T) {
	h := NewHeartbeat(HeartbeatOptions{Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	err := h.send(t.Context(), &Beat{URL: func() (string, error) { return "http://169.254.169.254/secret", nil },
		Method: "GET", Timeout: 5 * time.Second})
	if _, ok := errors.AsType[*httpclient.ForbiddenError](err); !ok || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}
