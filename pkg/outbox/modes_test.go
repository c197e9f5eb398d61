package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/notify/receivers"
)

// oneSide is one receiver over TLS, with a server of its own.
func oneSide(t testing.TB, kind string) (*recorders.Recorder, notify.Notifier) {
	t.Helper()
	rec, cfg := notifytest.Side(t, kind)
	ns, err := receivers.FromConfig(cfg, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return rec, notifytest.Unpaced(ns)[0]
}

// answers is what each fault means: for a receiver that has it, for all others.
type answers struct {
	mode  recorders.Mode
	taken bool          // told, and no error
	final bool          // not tried again
	after time.Duration // when the next attempt is; 0: after a back-off of about a second
	says  string        // in the error
	twice bool          // the other side has it although it is tried again
}

var faults = []answers{
	{mode: recorders.OK, taken: true},
	{mode: recorders.Slow, taken: true},
	{mode: recorders.Limited, after: time.Second, says: "429"},
	{mode: recorders.Broken, says: "500"},
	{mode: recorders.Applied500, says: "500", twice: true},
	{mode: recorders.Hang},
	{mode: recorders.Reset},
	{mode: recorders.Refused, final: true, says: "refused"},
	{mode: recorders.Expired, says: "expired"},
}

// in is what a fault looks like in a protocol.
func (a answers) in(kind string) answers {
	if kind == recorders.Email {
		a.after = 0 // SMTP does not say when
		a.says = map[recorders.Mode]string{recorders.Limited: "450", recorders.Broken: "451",
			recorders.Applied500: "451"}[a.mode]
	}
	if kind == recorders.Slack && a.mode == recorders.Limited {
		a.says = "rate limit"
	}
	return a
}

// TestEachReceiverWithEachFault asks every receiver once, and reads what it makes of
// the answer: whether it is tried again, and when.
func TestEachReceiverWithEachFault(t *testing.T) {
	for _, k := range receivers.Kinds() {
		for _, a := range faults {
			kind, a := k.Name, a.in(k.Name)
			t.Run(fmt.Sprintf("%s %s", kind, a.mode), func(t *testing.T) {
				t.Parallel()
				rec, n := oneSide(t, kind)
				rec.Set(kind, a.mode)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				if a.mode == recorders.Hang {
					ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
				}
				defer cancel()
				r, err := n.Notify(ctx, notifytest.Trouble(), incident.Receipt{})
				var f *notify.Failure
				errors.As(err, &f)
				if f == nil {
					f = &notify.Failure{}
				}
				if (err == nil) != a.taken || f.Final != a.final || f.After != a.after || a.says != "" &&
					!strings.Contains(fmt.Sprint(err), a.says) {
					t.Fatalf("%v: final %v, after %s; want taken %v, final %v, after %s, %q", err, f.Final, f.After,
						a.taken, a.final, a.after, a.says)
				}
				if got := rec.Attempts(kind) == 2; a.mode == recorders.Refused && got != k.Shortens {
					t.Errorf("%d attempts although Shortens of its row in receivers.Kinds is %v", rec.Attempts(kind), k.Shortens)
				}
				if notify.Notified(r) != a.taken {
					t.Errorf("receipt %+v", r)
				}
				wait := pause(f, 1)
				if a.after > 0 && wait != a.after || a.after == 0 && (wait < firstRetry/2 || wait > 2*firstRetry) {
					t.Errorf("tried again after %s", wait)
				}
				if got := len(rec.Requests(kind)) == 1; got != (a.taken || a.twice) {
					t.Errorf("the other side has %v", rec.Requests(kind))
				}
				// Once it is well, it is told; where there is a key, or it is looked for, an answer that was lost is
				// one incident.
				rec.Set(kind, recorders.OK)
				_, err = n.Notify(t.Context(), notifytest.Trouble(), r)
				if quiet := kind == recorders.Statuspage && a.after > 0; quiet != (err != nil) {
					t.Errorf("well again: %v; Statuspage is left in peace as long as it asked", err)
				}
				if a.twice {
					keys := map[string]bool{}
					for _, q := range rec.Requests(kind) {
						keys[q.Key] = true
					}
					if k.Keyed != (len(keys) == 1) {
						t.Errorf("Keyed of its row in receivers.Kinds is %v; the other side has %d messages: %v", k.Keyed,
							len(keys), keys)
					}
				}
			})
		}
	}
}

// TestAFaultOfOneReceiverIsNobodyElses runs all receivers in an outbox, one of them
// ill: the others are told meanwhile, and it is told once it is well.
func TestAFaultOfOneReceiverIsNobodyElses_INV43(t *testing.T) {
	for _, k := range receivers.Kinds() {
		for _, a := range faults {
			if !slices.Contains([]recorders.Mode{recorders.Hang, recorders.Refused, recorders.Expired}, a.mode) {
				continue // to the outbox they are like one of these
			}
			ill, a := k.Name, a.in(k.Name)
			t.Run(fmt.Sprintf("%s %s", ill, a.mode), func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				defer cancel()
				all := map[string]*recorders.Recorder{}
				var ns []notify.Notifier
				for _, k := range receivers.Kinds() {
					rec, n := oneSide(t, k.Name)
					all[k.Name], ns = rec, append(ns, n)
				}
				all[ill].Set(ill, a.mode)
				x := outbox(t, t.TempDir(), nil, ns...)
				defer notifytest.Running(t, x)()
				i := notifytest.Trouble()
				i.UpdatedAt = notifytest.T0
				x.Tell(i)
				has := func(kind string, n int) {
					t.Helper()
					if err := all[kind].WaitFor(ctx,
						func(s recorders.Snapshot) bool { return len(s.Of(kind)) >= n }); err != nil {
						t.Errorf("%s: %v", kind, err)
					}
				}
				for kind := range all {
					if kind != ill {
						has(kind, 1)
					}
				}
				if a.final && ill != recorders.Statuspage { // that is read first, which is no attempt
					tries := 1
					if k.Shortens {
						tries = 2
					}
					if err := all[ill].WaitFor(ctx,
						func(recorders.Snapshot) bool { return all[ill].Attempts(ill) == tries }); err != nil {
						t.Error(err)
					}
				}
				all[ill].Set(ill, recorders.OK)
				// What was refused for good is told with the next news.
				i.Severity, i.Unanswered, i.UpdatedAt = incident.P0, 1, notifytest.T0.Add(time.Minute)
				x.Tell(i)
				has(ill, 1)
			})
		}
	}
}
