package web

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/pkg/incident"
)

// TestAFollowerPassesReadsOn_X99: through the Service every second read was 503.
func TestAFollowerPassesReadsOn_X99(t *testing.T) {
	var authorization string
	page := func(leads error, f *Forward) http.Handler {
		return Handler(Options{Logger: slog.New(slog.DiscardHandler), Gatherer: prometheus.NewRegistry(), Forward: f, Incidents: func() ([]incident.Incident, error) { return []incident.Incident{{ID: "i1"}}, leads }})
	}
	leads := page(nil, &Forward{Leader: func() (string, bool) { return "", true }})
	leader := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorization = r.Header.Get("Authorization")
		leads.ServeHTTP(w, r)
	}))
	defer leader.Close()
	follows := errors.New("this replica follows")
	ask := func(h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Authorization", "Basic eDp5")
		for k := 0; k+1 < len(headers); k += 2 {
			r.Header.Set(headers[k], headers[k+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	follower := page(follows, &Forward{Leader: func() (string, bool) { return leader.URL, false }, Client: http.DefaultClient})
	for path, want := range map[string]int{"/api/v1/incidents": 200, "/api/v1/incidents/i1": 200, "/api/v1/incidents/none": 404} {
		w := ask(follower, path)
		if w.Code != want || want == 200 && !strings.Contains(w.Body.String(), `"i1"`) || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if authorization != "Basic eDp5" {
		t.Errorf("credentials that were passed on: %q", authorization)
	}
	if w := ask(follower, "/api/v1/incidents", forwardedHeader, "1"); w.Code != 503 {
		t.Errorf("passed on twice: %d", w.Code)
	}
	nobody := page(follows, &Forward{Leader: func() (string, bool) { return "", false }, Client: http.DefaultClient})
	if w := ask(nobody, "/api/v1/incidents"); w.Code != 503 || !strings.Contains(w.Body.String(), "follows") {
		t.Errorf("nobody leads: %d %s", w.Code, w.Body)
	}
	leader.Close()
	if w := ask(follower, "/api/v1/incidents"); w.Code != 503 || !strings.Contains(w.Body.String(), "does not answer") {
		t.Errorf("the leader is gone: %d %s", w.Code, w.Body)
	}
}
