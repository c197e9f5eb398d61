package app

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/storage"
)

func TestAnApplicationThatMakesUpNamesCannotFillTheMemory_S12(t *testing.T) {
	round := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		round++
		checks := map[string]string{}
		for i := range 100 {
			checks[fmt.Sprintf("check-%d-%d", round, i)] = "healthy"
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "healthy", "timestamp": time.Now().Format(time.RFC3339),
			"version": fmt.Sprint(round), "checks": checks})
	}))
	t.Cleanup(server.Close)
	store := storage.New(storage.Options{})
	looks, err := newLooks(slog.New(slog.DiscardHandler), prometheus.NewRegistry(), store, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := probes.FromConfig(&config.Target{Name: "shop",
		Probes: []config.Probe{{Health: &config.HealthProbe{HTTPClient: config.HTTPClient{URL: server.URL}}}}},
		probes.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if err := looks.Set(entries); err != nil {
		t.Fatal(err)
	}
	var last probes.Status
	for range 30 {
		seen, err := looks.LookNow(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		last = seen[0]
	}
	if last.State != probes.Unknown || !strings.HasPrefix(last.Detail,
		"101 new names are not stored: this probe has 500 series of the last 2h") {
		t.Errorf("got %s %q", last.State, last.Detail)
	}
	const others = 10 // without names: probe_success and the like
	if n := store.Len(); n > storage.MaxSeriesPerProbe+others {
		t.Errorf("%d series after 30 looks", n)
	}
}
