package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/pkg/incident"
)

func TestEveryRouteSaysWhatItKnows(t *testing.T) {
	ready, reload, stored := error(nil), error(nil), error(nil)
	o := Options{
		Logger: slog.New(slog.DiscardHandler), Gatherer: prometheus.NewRegistry(),
		Ready: func() error { return ready }, Reload: func() error { return reload },
		Incidents: func(context.Context) ([]incident.Incident, error) {
			return []incident.Incident{{ID: "i1"}},
				stored
		},
		Targets: func() any { return []string{"shop"} },
	}
	h := Handler(o)
	for _, tc := range []struct {
		name, method, path string
		before             func()
		status             int
		body               string
	}{
		{"alive without anything else", "GET", "/-/healthy", func() { ready = errors.New("no leader yet") }, 200,
			"alive"},
		{"not ready says why", "GET", "/-/ready", nil, 503, "no leader yet"},
		{"ready", "GET", "/-/ready", func() { ready = nil }, 200, "ready"},
		{"reload needs POST", "GET", "/-/reload", nil, 405, ""},
		{"reload", "POST", "/-/reload", nil, 200, "loaded"},
		{"a bad reload says that the old one stays", "POST", "/-/reload",
			func() { reload = errors.New("watchdog.yaml:3:1: unknown field") }, 500,
			"reload failed, keeping the previous configuration:\nwatchdog.yaml:3:1"},
		{"incidents", "GET", "/api/v1/incidents", nil, 200, `"id":"i1"`},
		{"one incident", "GET", "/api/v1/incidents/i1", nil, 200, `"status":"success"`},
		{"an unknown incident", "GET", "/api/v1/incidents/nope", nil, 404, `no incident \"nope\"`},
		{"the API server is away", "GET", "/api/v1/incidents",
			func() { stored = errors.New("list incidents: timed out") }, 503, "list incidents: timed out"},
		{"targets", "GET", "/api/v1/targets", nil, 200, "shop"},
		{"no profiles unless asked for", "GET", "/debug/pprof/", nil, 404, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.before != nil {
				tc.before()
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(tc.method, tc.path, nil))
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.body) {
				t.Errorf("%s %s: %d %q, want %d with %q", tc.method, tc.path, w.Code, w.Body.String(), tc.status,
					tc.body)
			}
		})
	}
}

func TestAPanicInOneRequestEndsOnlyThatRequest_INV52(t *testing.T) {
	srv := httptest.NewServer(Handler(Options{Logger: slog.New(slog.DiscardHandler), Gatherer: prometheus.NewRegistry(),
		Targets: func() any { panic("boom") }}))
	defer srv.Close()
	for range 2 {
		r, err := http.Get(srv.URL + "/api/v1/targets")
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != 500 || strings.Contains(string(b), "boom") {
			t.Fatalf("%d %s", r.StatusCode, b)
		}
	}
}
