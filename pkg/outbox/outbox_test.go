package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/notify/receivers"
)

// fake is a receiver in memory, for the outbox.
type fake struct {
	name string
	do   func(context.Context, incident.Incident) error

	mu       sync.Mutex
	notified []incident.Incident
}

var _ notify.Notifier = (*fake)(nil)

func (f *fake) Name() string { return f.name }

func (f *fake) Notify(ctx context.Context, i incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	if f.do != nil {
		if err := f.do(ctx, i); err != nil {
			return prev, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notified = append(f.notified, i)
	return incident.Receipt{Ref: "r", Digest: string(i.Phase)}, nil
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.notified)
}

func outbox(t testing.TB, dir string, delivered func(string, string, incident.Receipt), ns ...notify.Notifier) *Outbox {
	t.Helper()
	if delivered == nil {
		delivered = func(string, string, incident.Receipt) {}
	}
	x, err := New(Options{Dir: dir, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
		Delivered: delivered})
	if err != nil {
		t.Fatal(err)
	}
	x.Replace(ns)
	return x
}

func TestAHungReceiverDelaysNobody_INV43(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung := &fake{name: "hung", do: func(ctx context.Context,
			_ incident.Incident) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		good := &fake{name: "good"}
		x := outbox(t, t.TempDir(), nil, hung, good)
		stop := notifytest.Running(t, x)
		for n := range 100 {
			i := notifytest.Trouble()
			i.ID = fmt.Sprint(n)
			x.Tell(i)
		}
		synctest.Wait()
		if good.count() != 100 {
			t.Errorf("%d told", good.count())
		}
		start := time.Now()
		stop()
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("stopping took %s", took)
		}
	})
}

func TestOnlyTheNewestStateIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		f := &fake{name: "f", do: func(context.Context, incident.Incident) error {
			if down.Load() {
				return errors.New("down")
			}
			return nil
		}}
		x := outbox(t, t.TempDir(), nil, f)
		defer notifytest.Running(t, x)()
		i := notifytest.Trouble()
		for n := range 50 {
			i.UpdatedAt = notifytest.T0.Add(time.Duration(n) * time.Second)
			x.Tell(i)
			time.Sleep(100 * time.Millisecond)
		}
		i = notifytest.Over(i)
		i.UpdatedAt = notifytest.T0.Add(time.Hour)
		x.Tell(i)
		synctest.Wait()
		down.Store(false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if f.count() != 1 || f.notified[0].Phase != incident.Resolved {
			t.Errorf("%d told", f.count())
		}
		if x.Pending()["f"] != 0 {
			t.Errorf("%v", x.Pending())
		}
	})
}

func TestTheOtherSideIsGivenTheTimeItAsksFor_F90(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Duration
		start := time.Now()
		f := &fake{name: "f", do: func(context.Context, incident.Incident) error {
			tries = append(tries, time.Since(start))
			if len(tries) == 1 {
				return &notify.Failure{Err: errors.New("429"), After: 30 * time.Second}
			}
			return nil
		}}
		x := outbox(t, t.TempDir(), nil, f)
		defer notifytest.Running(t, x)()
		x.Tell(notifytest.Trouble())
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(tries) != 2 || tries[1] < 30*time.Second || tries[1] > 31*time.Second {
			t.Errorf("tries at %v", tries)
		}
	})
}

func TestARefusalIsNotRepeatedAndIsOnTheReceipt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		f := &fake{name: "f", do: func(context.Context, incident.Incident) error {
			tries++
			return &notify.Failure{Err: errors.New("channel_not_found"), Final: true}
		}}
		var got incident.Receipt
		x := outbox(t, t.TempDir(), func(_, _ string, r incident.Receipt) { got = r }, f)
		defer notifytest.Running(t, x)()
		x.Tell(notifytest.Trouble())
		time.Sleep(time.Hour)
		synctest.Wait()
		if tries != 1 || got.Error != "channel_not_found" {
			t.Errorf("%d tries, receipt %+v", tries, got)
		}
	})
}

func TestWhatWaitsSurvivesARestart_F34(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		down := &fake{name: "f", do: func(context.Context, incident.Incident) error { return errors.New("down") }}
		x := outbox(t, dir, nil, down)
		stop := notifytest.Running(t, x)
		x.Tell(notifytest.Trouble())
		time.Sleep(time.Second)
		stop()
		up := &fake{name: "f"}
		y := outbox(t, dir, nil, up)
		defer notifytest.Running(t, y)()
		time.Sleep(2 * time.Minute)
		if up.count() != 1 {
			t.Errorf("%d told after the restart", up.count())
		}
	})
}

// threeSides are PagerDuty, Slack and the status page, for an outbox.
func threeSides(t *testing.T) (*recorders.Recorder, []notify.Notifier) {
	t.Helper()
	rec, cfg := notifytest.Sides(t)
	ns, err := receivers.FromConfig(cfg, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return rec, notifytest.Unpaced(ns)
}

func TestAReceiptFromAnotherReplicaIsBelieved(t *testing.T) {
	rec, ns := threeSides(t)
	i := notifytest.Trouble()
	receipts := map[string]incident.Receipt{}
	for range 2 { // the second time Slack hears of what the others were told
		for _, n := range ns {
			r := notifytest.Tell(t, n, i, receipts[n.Name()])
			r.At = notifytest.T0
			receipts[n.Name()] = r
		}
		i.Receipts = maps.Clone(receipts)
	}
	before := len(rec.Snapshot().Requests)
	got := make(chan struct{}, 8)
	x := outbox(t, t.TempDir(), func(string, string, incident.Receipt) { got <- struct{}{} }, ns...)
	stop := notifytest.Running(t, x)
	x.Tell(i)
	stop()
	if after := len(rec.Snapshot().Requests); after != before {
		t.Errorf("%d messages became %d: the successor told it all again", before, after)
	}
}

// While all that fires is silenced, no receiver hears of the beginning; once it has
// heard, it is kept up to date.
func TestWhatIsSilencedIsToldWhenTheSilenceEnds(t *testing.T) {
	hush := func(i incident.Incident, at time.Duration, by string) incident.Incident {
		i.Alerts = append([]incident.Alert(nil), i.Alerts...)
		i.Alerts[0].Silenced, i.UpdatedAt = by, notifytest.T0.Add(at)
		return i
	}
	synctest.Test(t, func(t *testing.T) {
		f := &fake{name: "f"}
		dir := t.TempDir()
		x := outbox(t, dir, nil, f)
		stop := notifytest.Running(t, x)
		notified := func(want int, when string) {
			t.Helper()
			synctest.Wait()
			if f.count() != want || x.Pending()["f"] != 0 {
				t.Errorf("%s: told %d times, want %d; %d wait", when, f.count(), want, x.Pending()["f"])
			}
		}
		i := notifytest.Trouble()
		x.Tell(hush(i, 0, "silenced by a"))
		notified(0, "silenced from the beginning")
		i.Paged = true
		x.Tell(hush(i, time.Minute, "silenced by a"))
		notified(0, "a person must act, and it is silenced")
		stop()
		x = outbox(t, dir, nil, f)
		defer notifytest.Running(t, x)()
		notified(0, "after a restart")
		x.Tell(hush(i, 2*time.Minute, ""))
		notified(1, "the silence is over")
		x.Tell(hush(i, 3*time.Minute, "silenced by b"))
		notified(2, "silenced after it was told")
		other := notifytest.Over(hush(i, 0, "silenced by a"))
		other.ID, other.Alerts[0].Firing = "other", false
		x.Tell(other)
		notified(3, "resolved: the receiver itself says nothing of what it never heard of")
	})
}

// What waits by the receiver's own will gives way to news; what the other side asked for does not.
func TestTheOthersQuietIsKeptAfterAnOwnWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Duration
		began := time.Now()
		f := &fake{name: "f", do: func(context.Context, incident.Incident) error {
			tries = append(tries, time.Since(began).Round(time.Second))
			switch len(tries) {
			case 1:
				return &notify.Failure{Err: errors.New("not yet"), After: 15 * time.Second, Own: true}
			case 2:
				return &notify.Failure{Err: errors.New("429"), After: time.Minute}
			}
			return nil
		}}
		x := outbox(t, t.TempDir(), nil, f)
		defer notifytest.Running(t, x)()
		i := notifytest.Trouble()
		for range 4 {
			x.Tell(i)
			time.Sleep(20 * time.Second)
			i.UpdatedAt = i.UpdatedAt.Add(time.Second)
		}
		synctest.Wait()
		if want := []time.Duration{0, 15 * time.Second, 75 * time.Second}; !slices.Equal(tries[:min(len(tries), 3)],
			want) {
			t.Errorf("tries at %v, want %v", tries, want)
		}
	})
}

// A lane that takes longer to find what is to be done than it may write to disk at a time
// sends all the same.
func TestALaneThatIsSlowToDecideSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		f := &fake{name: "f"}
		x := outbox(t, t.TempDir(), nil, f)
		x.Escalate(func(string, incident.Severity) (int, bool) {
			if slow.Load() {
				time.Sleep(2 * flushTime)
			}
			return 0, false
		})
		x.Tell(notifytest.Trouble())
		slow.Store(true)
		stop := notifytest.Running(t, x)
		time.Sleep(time.Minute)
		if n := f.count(); n != 1 {
			t.Errorf("told %d times", n)
		}
		slow.Store(false)
		time.Sleep(time.Minute) // the lock is free again
		stop()
	})
}
