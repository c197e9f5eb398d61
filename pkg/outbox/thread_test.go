package outbox

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
)

// halting tells the message, and its thread at the third try.
type halting struct{ refs []string }

func (*halting) Name() string { return "halting" }

func (h *halting) Notify(_ context.Context, _ incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	h.refs = append(h.refs, prev.Ref)
	now := incident.Receipt{Ref: "C1/1", Digest: "d"}
	if len(h.refs) < 3 {
		return now, &notify.Failure{Err: errors.New("later"), After: time.Second}
	}
	now.Told = 1
	return now, nil
}

// What was told before the thread failed is not told again: the outbox keeps it.
func TestAThreadThatFailsDoesNotRepeatTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &halting{}
		var kept []incident.Receipt
		x, err := New(Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
			Registerer: prometheus.NewRegistry(), Delivered: func(_, _ string,
				r incident.Receipt) {
				kept = append(kept, r)
			}})
		if err != nil {
			t.Fatal(err)
		}
		x.Replace([]notify.Notifier{n})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- x.Run(ctx) }()
		x.Tell(notifytest.Trouble())
		time.Sleep(3 * time.Second)
		stop()
		<-ended
		if !slices.Equal(n.refs, []string{"", "C1/1", "C1/1"}) {
			t.Errorf("called with %q", n.refs)
		}
		if len(kept) < 2 || kept[0].Ref != "C1/1" || kept[len(kept)-1].Told != 1 {
			t.Errorf("kept %+v", kept)
		}
	})
}

// Whoever stands in for a receiver is not told because a thread waits for its turn.
func TestAThreadThatWaitsIsNoReasonForTheFallback(t *testing.T) {
	for name, f := range map[string]notify.Failure{"waits": {After: time.Second, Delivered: true},
		"is refused": {Final: true, Delivered: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				good := &threadless{f: f}
				spare := standIn{fake: &fake{name: "spare"}}
				x := outbox(t, t.TempDir(), nil, good, spare)
				stop := notifytest.Running(t, x)
				x.Tell(notifytest.Trouble())
				time.Sleep(5 * time.Minute)
				if n := spare.count(); n != 0 {
					t.Errorf("the fallback was told %d times", n)
				}
				stop()
			})
		})
	}
}

// threadless tells the incident and never its thread.
type threadless struct{ f notify.Failure }

func (*threadless) Name() string { return "primary" }

func (w *threadless) Notify(_ context.Context, _ incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	f := w.f
	f.Err = errors.New("the thread has to wait")
	return incident.Receipt{Ref: "C1/1", Digest: "d"}, &f
}
