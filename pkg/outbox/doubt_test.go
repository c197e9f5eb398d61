package outbox

import (
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/notify/pagerduty"
)

// What PagerDuty took without our knowing it is resolved there, also by a process
// that began since.
func TestAPageWhoseAnswerWasLostIsResolved_INV42(t *testing.T) {
	for _, c := range []struct{ restart, silenced bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
		rec := recorders.New(recorders.Options{})
		srv := httptest.NewServer(rec)
		defer srv.Close()
		file := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(file, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := pagerduty.New("pagerduty", &config.PagerDuty{URL: srv.URL + "/pagerduty", RoutingKeyFile: file,
			Severities: []incident.Severity{incident.P1}}, notify.QuickReference{})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		x := outbox(t, dir, nil, p)
		l := x.lanes["pagerduty"]
		rec.Set(recorders.PagerDuty, recorders.Applied500)
		x.Tell(notifytest.Trouble())
		attemptNow(t, l, "01inc")
		if c.silenced {
			// Before it was tried again: the receiver is told nothing, and may have the page.
			i := notifytest.Trouble()
			i.Alerts[0].Silenced, i.UpdatedAt = "silenced by x", notifytest.T0.Add(time.Minute)
			x.Tell(i)
			attemptNow(t, l, "01inc")
		}
		l.flush(0)
		if c.restart {
			x = outbox(t, dir, nil, p)
			l = x.lanes["pagerduty"]
		}
		rec.Set(recorders.PagerDuty, recorders.OK)
		i := notifytest.Over(notifytest.Trouble())
		i.UpdatedAt = notifytest.T0.Add(time.Hour)
		x.Tell(i)
		attemptNow(t, l, "01inc")
		if got := rec.PagerDutyIncidents()["01inc/P1"]; got.State != "resolved" {
			t.Errorf("%+v: at PagerDuty it is %+v %+v", c, got, rec.PagerDutyIncidents())
		}
	}
}

// attemptNow makes the next attempt without the pause after the one before.
func attemptNow(t *testing.T, l *lane, id string) {
	t.Helper()
	l.items[id].notBefore = time.Time{}
	a, wait := l.next()
	if a == nil {
		t.Fatalf("nothing is to be done for %s", wait)
	}
	l.act(t.Context(), *a)
}

// A fallback that failed to answer may have the page. The primary takes the incident, so the
// fallback is left out of it until the end: that it is told, and nothing of it is left.
func TestWhatAFallbackMayHaveIsResolvedThere_INV42(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var primaryDown, spareDown atomic.Bool
		primaryDown.Store(true)
		spareDown.Store(true)
		answer := func(down *atomic.Bool) error {
			if down.Load() {
				return errors.New("no answer")
			}
			return nil
		}
		primary := &fake{name: "primary", do: func(context.Context, incident.Incident) error {
			return answer(&primaryDown)
		}}
		inDoubt := false
		spare := standIn{fake: &fake{name: "spare", do: func(ctx context.Context, _ incident.Incident) error {
			inDoubt = notify.InDoubt(ctx)
			return answer(&spareDown)
		}}}
		dir := t.TempDir()
		x := outbox(t, dir, nil, primary, spare)
		stop := notifytest.Running(t, x)
		i := notifytest.Trouble()
		i.UpdatedAt = notifytest.T0
		x.Tell(i)
		time.Sleep(35 * time.Second) // both have tried
		primaryDown.Store(false)
		time.Sleep(5 * time.Minute)
		spareDown.Store(false)
		time.Sleep(5 * time.Minute)
		if primary.count() != 1 || spare.count() != 0 {
			t.Fatalf("the primary was told %d times, the fallback %d", primary.count(), spare.count())
		}
		i = notifytest.Over(i)
		i.UpdatedAt = notifytest.T0.Add(time.Hour)
		x.Tell(i)
		time.Sleep(5 * time.Minute)
		stop()
		if n := spare.count(); n != 1 || spare.notified[0].Phase != incident.Resolved || !inDoubt {
			t.Errorf("of the end the fallback was told %d times, in doubt %v", n, inDoubt)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*", "*.json"))
		if n := len(x.lanes["spare"].items); n != 0 || len(files) != 0 || err != nil {
			t.Errorf("%d items and %q are left, err %v", n, files, err)
		}
	})
}
