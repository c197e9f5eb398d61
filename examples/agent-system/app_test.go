package main

import (
	"encoding/json"
	"maps"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func get(t *testing.T, a *app, path string) map[string]any {
	t.Helper()
	w := httptest.NewRecorder()
	a.routes().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	m := map[string]any{}
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code != 200 {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return m
}

func release(fault string) settings {
	return settings{version: "2.2.0", slots: 2, queue: 50, service: 20 * time.Millisecond, errorRate: 1, window: time.Minute, agents: 3, fault: fault}
}

func TestTheHealthDocumentIsTheRunbooks(t *testing.T) {
	d := get(t, newApp(release("")), "/health")
	if got := slices.Sorted(maps.Keys(d)); !slices.Equal(got, []string{"checks", "status", "timestamp", "uptime", "version"}) {
		t.Errorf("fields %v", got)
	}
	if got := slices.Sorted(maps.Keys(d["checks"].(map[string]any))); !slices.Equal(got, []string{"agents", "database", "external_apis", "redis"}) {
		t.Errorf("checks %v", got)
	}
	if d["status"] != "healthy" || d["version"] != "2.2.0" {
		t.Errorf("%v", d)
	}
}

func TestEachFaultShowsWhereItShould(t *testing.T) {
	for fault, check := range map[string]string{"database": "database", "redis": "redis", "external": "external_apis", "agents": "agents"} {
		d := get(t, newApp(release(fault)), "/health")
		if d["status"] != "degraded" || d["checks"].(map[string]any)[check] != "unhealthy" {
			t.Errorf("%s: %v", fault, d)
		}
	}
	if d := get(t, newApp(release("agents")), "/api/v2/agents/status"); d["active"] != 1.0 || d["desired"] != 3.0 {
		t.Errorf("%v", d)
	}
	a := newApp(release("never-ready"))
	w := httptest.NewRecorder()
	a.routes().ServeHTTP(w, httptest.NewRequest("GET", "/ready", nil))
	if w.Code != 503 {
		t.Errorf("never ready answers %d", w.Code)
	}
}

func TestNoTrafficIsNoData(t *testing.T) {
	d := get(t, newApp(release("")), "/metrics/sla")
	if d["error_rate_percent"] != nil || d["response_time_ms"].(map[string]any)["p95"] != nil || d["requests"] != 0.0 {
		t.Errorf("%v", d)
	}
}

// p95 is what 40 requests at once see at a replica with so many slots.
func p95(t *testing.T, slots int) float64 {
	s := release("")
	s.slots = slots
	a := newApp(s)
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			a.routes().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/work", nil))
		})
	}
	wg.Wait()
	return *a.sla.document(time.Now()).ResponseTimeMS.P95
}

func TestLatencyFallsWithCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		few, many := p95(t, 2), p95(t, 8)
		if few != 400 || many != 100 {
			t.Errorf("p95 %v ms with 2 slots, %v ms with 8", few, many)
		}
	})
}

func TestErrorsAreCountedAndDegradeHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(release("errors"))
		time.Sleep(time.Second)
		for range 20 {
			a.routes().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/work", nil))
		}
		if d := get(t, a, "/metrics/sla"); d["error_rate_percent"] != 100.0 || d["requests"] != 20.0 {
			t.Errorf("%v", d)
		}
		if d := get(t, a, "/health"); d["status"] != "degraded" {
			t.Errorf("%v", d)
		}
	})
}
