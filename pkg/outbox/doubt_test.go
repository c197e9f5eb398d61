package outbox

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
