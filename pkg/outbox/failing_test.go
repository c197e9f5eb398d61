package outbox

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/notify/statuspage"
)

// moody is a receiver that fails as it is told to.
type moody struct {
	name string
	err  error
	hang bool
	well atomic.Bool // it recovered
}

func (m *moody) Name() string { return m.name }

func (m *moody) Notify(ctx context.Context, i incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	if m.well.Load() {
		return incident.Receipt{Ref: i.ID}, nil
	}
	if m.hang {
		<-ctx.Done()
		return prev, ctx.Err()
	}
	return incident.Receipt{Ref: i.ID}, m.err
}

// fallenBack stands in for another.
type fallenBack struct{ moody }

func (*fallenBack) FallbackFor() string { return "pagerduty" }

func TestWhichReceiversFail(t *testing.T) {
	for _, tc := range []struct {
		name  string
		m     *moody
		fails bool
	}{
		{"takes all", &moody{}, false},
		{"is down", &moody{err: errors.New("connection refused")}, true},
		{"hangs", &moody{hang: true}, true},
		{"refuses for good", &moody{err: &notify.Failure{Err: errors.New("401"), Final: true}}, true},
		{"asks to wait", &moody{err: &notify.Failure{Err: errors.New("429"), After: time.Hour}}, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			tc.m.name = "pagerduty"
			x, err := New(Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
				Registerer: prometheus.NewRegistry(), Delivered: func(string, string, incident.Receipt) {}})
			if err != nil {
				t.Fatal(err)
			}
			x.Replace([]notify.Notifier{tc.m})
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { _ = x.Run(ctx); close(done) }()
			began := time.Now()
			if len(x.Failing()) != 0 {
				t.Errorf("%s: fails before anything is told", tc.name)
			}
			x.Tell(incident.Incident{ID: "a", UpdatedAt: began})
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			since, fails := x.Failing()["pagerduty"]
			if fails != tc.fails || fails && since.Sub(began).Abs() > time.Second {
				t.Errorf("%s: fails %v, since %s", tc.name, fails, since.Sub(began))
			}
			// What is taken later ends it.
			tc.m.well.Store(true)
			x.Tell(incident.Incident{ID: "b", UpdatedAt: time.Now()})
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			if f := x.Failing(); len(f) != 0 {
				t.Errorf("%s: still fails: %v", tc.name, f)
			}
			stop()
			<-done
		})
	}
}

func TestWhoPages(t *testing.T) {
	pd, slack, canary, phone := &moody{name: "pagerduty"}, &moody{name: "slack"}, notify.NewCanary(nil),
		&fallenBack{moody{name: "phone"}}
	for _, tc := range []struct {
		all  []notify.Notifier
		want []string
	}{
		{[]notify.Notifier{canary}, nil},
		{[]notify.Notifier{slack, canary}, []string{"slack"}},
		{[]notify.Notifier{pd, slack, canary}, []string{"pagerduty"}},
		{[]notify.Notifier{slack, pd, phone, &statuspage.Statuspage{}}, []string{"pagerduty", "phone"}},
	} {
		if got := notify.Pagers(tc.all); !slices.Equal(got, tc.want) {
			t.Errorf("%v, want %v", got, tc.want)
		}
	}
}

func TestTheCanaryReachesItsOwnReceiverAlone(t *testing.T) {
	for _, tc := range []struct {
		target, receiver string
		heard            bool
	}{{"shop", "slack", true}, {"shop", notify.CanaryReceiver, false}, {incident.Canary, "slack", false},
		{incident.Canary, notify.CanaryReceiver, true}} {
		arriving := item{receiver: tc.receiver, incident: incident.Incident{Target: incident.Target{Name: tc.target}},
			waits: true}
		x := &Outbox{}
		if (x.decide(&lane{out: x, name: tc.receiver}, &arriving, time.Now()).verb == drop) == tc.heard {
			t.Errorf("%+v", tc)
		}
	}
}

// What was told, but for its thread, hides nothing that was not told.
func TestAThreadThatWaitsHidesNoReceiverThatFails(t *testing.T) {
	for _, queue := range [][]*item{{{fails: 1, since: notifytest.T0}, {fails: 1}},
		{{fails: 1}, {fails: 1, since: notifytest.T0}}} {
		l := &lane{queue: queue}
		if since := l.failing(notifytest.T0.Add(time.Minute)); !since.Equal(notifytest.T0) {
			t.Errorf("it fails since %s", since)
		}
	}
	if since := (&lane{queue: []*item{{fails: 1}}}).failing(notifytest.T0); !since.IsZero() {
		t.Errorf("what was told but for its thread fails since %s", since)
	}
}
