package web

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestAnOddAlertIsCountedAndLoggedOnce_X05: the critical alert beside it is taken.
func TestAnOddAlertIsCountedAndLoggedOnce_X05(t *testing.T) {
	var log bytes.Buffer
	h := newHook(t, func(o *AlertmanagerOptions) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	good := `{"status":"firing","labels":{"alertname":"A","severity":"critical"},"startsAt":"2026-01-01T12:00:00Z"}`
	odd := `{"status":"firing","labels":{},"startsAt":"2026-01-01T12:00:00Z"},{"status":"firing",` +
		`"labels":{"alertname":"B","x":"\u001b[31mred"},"startsAt":"2026-01-01T12:00:00Z"}`
	for range 3 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, post(`{"version":"4","groupKey":"g","receiver":"r","alerts":[`+odd+`,`+good+`]}`))
		if w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if len(h.taken) != 6 || h.taken[1].Labels["severity"] != "critical" || h.taken[0].Labels["x"] != "red" {
		t.Errorf("%+v", h.taken)
	}
	if err := testutil.GatherAndCompare(h.reg, strings.NewReader(`
# HELP watchdog_webhook_odd_alerts_total Alerts that were changed or rejected: cleaned (control characters removed, `+
		`long texts truncated) or dropped (unreadable). The rest of their group was accepted.
# TYPE watchdog_webhook_odd_alerts_total counter
watchdog_webhook_odd_alerts_total{result="cleaned"} 3
watchdog_webhook_odd_alerts_total{result="dropped"} 3
`), "watchdog_webhook_odd_alerts_total"); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "Changed or dropped an alert"); n != 2 {
		t.Errorf("logged %d times, want each of the two once:\n%s", n, &log)
	}
}

// TestAPathMayEndWithASlash_X06: people write addresses both ways.
func TestAPathMayEndWithASlash_X06(t *testing.T) {
	h := newHook(t)
	r := post(oneAlert)
	r.URL.Path += "/"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 200 || len(h.taken) != 1 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	r = post(oneAlert)
	r.URL.Path += "/x"
	w = httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 404 {
		t.Errorf("another path: %d", w.Code)
	}
}
