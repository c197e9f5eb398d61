package notify

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

// What PagerDuty took without our knowing it is resolved there, also by a process
// that began since.
func TestAPageWhoseAnswerWasLostIsResolved_INV42(t *testing.T) {
	for _, restart := range []bool{false, true} {
		rec := recorders.New(recorders.Options{})
		srv := httptest.NewServer(rec)
		defer srv.Close()
		file := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(file, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := newPagerDuty("pagerduty", &config.PagerDuty{URL: srv.URL + "/pagerduty", RoutingKeyFile: file, Severities: []incident.Severity{incident.P1}}, about{})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		x := outbox(t, dir, nil, p)
		l := x.lanes["pagerduty"]
		rec.Set(recorders.PagerDuty, recorders.Applied500)
		x.Tell(trouble())
		l.deliver(t.Context(), "01inc")
		l.flush(0)
		if restart {
			x = outbox(t, dir, nil, p)
			l = x.lanes["pagerduty"]
		}
		rec.Set(recorders.PagerDuty, recorders.OK)
		i := over(trouble())
		i.UpdatedAt = t0.Add(time.Hour)
		x.Tell(i)
		l.deliver(t.Context(), "01inc")
		if got := rec.PagerDutyIncidents()["01inc/P1"]; got.State != "resolved" {
			t.Errorf("restart %v: at PagerDuty it is %+v %+v", restart, got, rec.PagerDutyIncidents())
		}
	}
}
