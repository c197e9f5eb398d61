package selfwatch

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"watchdog.io/watchdog/pkg/incident"
)

// X103: a hold that is older than a day is told once, by its beginning and not its age.
func TestAForgottenHoldIsTold_X103(t *testing.T) {
	begin := time.Date(2026, 3, 6, 12, 0, 0, 0, time.UTC)
	now := begin
	h := NewHolds(prometheus.NewRegistry(), func() time.Time { return now })
	all := []Hold{{What: "cart", Reason: "migration (ada)", Since: begin, Lift: "shop/cart"},
		{What: "front", Reason: "no reason given", Lift: "shop/front"}}
	kill := &incident.Attribution{Reason: "data centre move", At: begin.Add(12 * time.Hour)}
	alarm := func(after time.Duration, everything *incident.Attribution, targets ...Hold) incident.Alert {
		now = begin.Add(after)
		return h.Alarm(func() []Hold { return targets }, everything)
	}
	if a := alarm(0, kill, all...); a.Firing || a.Verdict != incident.OK {
		t.Fatalf("%+v", a)
	}
	a := alarm(25*time.Hour, kill, all...)
	if !a.Firing || a.Severity != incident.P3 || len(a.Ladder) > 0 ||
		!strings.Contains(a.Reason, "cart since 2026-03-06 12:00 UTC (migration (ada)): `watchdog resume shop/cart`") ||
		!strings.Contains(a.Reason, "watchdog resume shop/front") || strings.Contains(a.Reason, "everything") {
		t.Errorf("%+v", a)
	}
	if again := alarm(30*time.Hour, kill, all...); again.Reason != a.Reason || !again.ActiveAt.Equal(a.ActiveAt) {
		t.Errorf("told anew: %q", again.Reason)
	}
	if a := alarm(40*time.Hour, kill, all...); !strings.Contains(a.Reason,
		"everything since 2026-03-07 00:00 UTC (data centre move): `watchdog resume --all`") {
		t.Errorf("%q", a.Reason)
	}
	for scope, want := range map[string]float64{"target": 40 * 3600, "everything": 28 * 3600} {
		if got := testutil.ToFloat64(h.oldest.WithLabelValues(scope)); got != want {
			t.Errorf("%s: %v, want %v", scope, got, want)
		}
	}
	if a := alarm(41*time.Hour, nil); a.Firing || testutil.ToFloat64(h.oldest.WithLabelValues("target")) != 0 {
		t.Errorf("%+v", a)
	}
}
