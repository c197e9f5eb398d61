package selfwatch

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"watchdog.io/watchdog/pkg/incident"
)

// What is refused because it is beyond a bound is said, once, and not paged (SEC-29).
func TestWhatIsBeyondABoundIsSaid_SEC29(t *testing.T) {
	r := prometheus.NewRegistry()
	samples := promauto.With(r).NewCounterVec(prometheus.CounterOpts{Name: "watchdog_store_samples_refused_total"},
		[]string{"reason"})
	connections := promauto.With(r).NewCounterVec(
		prometheus.CounterOpts{Name: "watchdog_http_refused_connections_total"}, []string{"listener", "reason"})
	webhooks := promauto.With(r).NewCounterVec(prometheus.CounterOpts{Name: "watchdog_webhook_requests_total"},
		[]string{"result"})
	b, now := &Bounds{}, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) incident.Alert {
		b.Look(r, now.Add(d))
		return b.Alarm(now.Add(d))
	}
	samples.WithLabelValues("out_of_order").Add(9)
	webhooks.WithLabelValues("accepted").Add(9)
	webhooks.WithLabelValues("unauthenticated").Add(9)
	if a := at(0); a.Firing || a.Verdict != incident.OK {
		t.Errorf("nothing is beyond a bound: %+v", a)
	}
	samples.WithLabelValues("too_many_names").Inc()
	if a := at(boundsLook / 2); a.Firing {
		t.Errorf("read too early: %+v", a)
	}
	a := at(boundsLook)
	if !a.Firing || a.Severity != incident.P3 || len(a.Ladder) != 0 || !a.ActiveAt.Equal(now.Add(boundsLook)) ||
		!strings.Contains(a.Reason, "samples (too many names, watchdog_store_samples_refused_total)") {
		t.Errorf("%+v", a)
	}
	connections.WithLabelValues("web", "address").Inc()
	webhooks.WithLabelValues("busy").Inc()
	a = at(2 * boundsLook)
	for _, want := range []string{"samples (too many names", "connections (web: address", "webhooks (busy"} {
		if !strings.Contains(a.Reason, want) {
			t.Errorf("%q lacks %q", a.Reason, want)
		}
	}
	// The text stays: what changes is told again.
	samples.WithLabelValues("too_many_names").Inc()
	if again := at(3 * boundsLook); again.Reason != a.Reason || !again.ActiveAt.Equal(now.Add(boundsLook)) {
		t.Errorf("%q became %q", a.Reason, again.Reason)
	}
	if a := at(3*boundsLook + boundsCalm - boundsLook); !a.Firing {
		t.Error("over before the calm")
	}
	if a := at(3*boundsLook + boundsCalm); a.Firing {
		t.Errorf("not over: %+v", a)
	}
}
