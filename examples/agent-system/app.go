package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/pprof"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// app is one replica.
type app struct {
	settings
	started  time.Time
	slot     chan struct{}
	waiting  atomic.Int64
	sla      *window
	stopping atomic.Bool
	file     atomic.Pointer[string] // the fault that FAULT_FILE asks for
	leaked   [][]byte
	quiet    sync.Map // log line → when it was last written

	registry *prometheus.Registry
	requests *prometheus.CounterVec
	took     prometheus.Histogram
}

func newApp(s settings) *app {
	a := &app{settings: s, started: time.Now(), slot: make(chan struct{}, s.slots), sla: &window{span: s.window}, registry: prometheus.NewRegistry()}
	f := promauto.With(a.registry)
	a.requests = f.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total", Help: "Requests to /work by status code."}, []string{"code"})
	a.took = f.NewHistogram(prometheus.HistogramOpts{Name: "http_request_duration_seconds", Help: "Time to answer /work.", Buckets: prometheus.ExponentialBuckets(0.01, 2, 10)})
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "agents_active", Help: "Agents that are at work."}, func() float64 { return float64(a.activeAgents()) })
	f.NewGauge(prometheus.GaugeOpts{Name: "agent_system_build_info", Help: "The release.", ConstLabels: prometheus.Labels{"version": s.version}}).Set(1)
	return a
}

// has reports whether a fault is in force: by release, or by the fault file. What
// the file takes away does not come back to processes that were running then,
// except for things outside the process, which come back when the file is empty.
func (a *app) has(kind string) bool {
	if a.fault == kind && time.Now().After(a.faultFrom) {
		return true
	}
	f := a.file.Load()
	return f != nil && *f == kind
}

// live follows the fault file and leaks memory, if the release is one that does.
func (a *app) live(ctx context.Context) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		a.readFault()
		if a.has("leak") {
			b := make([]byte, a.leak<<20/4)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			a.leaked = append(a.leaked, b)
		}
	}
}

func (a *app) readFault() {
	if a.faultFile == "" {
		return
	}
	info, err := os.Stat(a.faultFile)
	if err != nil {
		return
	}
	b, err := os.ReadFile(a.faultFile)
	if err != nil {
		return
	}
	kind := strings.TrimSpace(string(b))
	if kind == "agents" && info.ModTime().Before(a.started) {
		kind = "" // agents died in the processes of that time; new ones start fresh
	}
	a.file.Store(&kind)
}

func (a *app) activeAgents() int {
	if a.has("agents") {
		return 1
	}
	return a.agents
}

func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", a.health)
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if a.has("never-ready") || a.stopping.Load() {
			http.Error(w, "migrations pending", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /live", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /work", a.work)
	mux.HandleFunc("GET /metrics/sla", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, a.sla.document(time.Now())) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /api/v2/agents/status", a.agentsStatus)
	mux.HandleFunc("GET /api/v2/metrics", a.metrics)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	return mux
}

// checks are the health document's, as the runbook's section 2.1 has them.
type checks struct {
	Database     string `json:"database"`
	Redis        string `json:"redis"`
	Agents       string `json:"agents"`
	ExternalAPIs string `json:"external_apis"`
}

type healthDocument struct {
	Status    string `json:"status"`
	Timestamp string `json:"timestamp"`
	Version   string `json:"version"`
	Uptime    int    `json:"uptime"`
	Checks    checks `json:"checks"`
}

// health answers 200 also when degraded: the trap that the runbook walks into.
func (a *app) health(w http.ResponseWriter, _ *http.Request) {
	word := func(bad bool) string {
		if bad {
			return "unhealthy"
		}
		return "healthy"
	}
	d := healthDocument{Status: "healthy", Timestamp: time.Now().UTC().Format(time.RFC3339), Version: a.version, Uptime: int(time.Since(a.started).Seconds()),
		Checks: checks{Database: word(a.has("database")), Redis: word(a.has("redis")), Agents: word(a.activeAgents() < 2), ExternalAPIs: word(a.has("external"))}}
	if d.Checks != (checks{"healthy", "healthy", "healthy", "healthy"}) || a.sla.errorShare(time.Now()) > 0.05 {
		d.Status = "degraded"
	}
	reply(w, http.StatusOK, d)
}

// slowService is what one request takes in a slow release.
const slowService = 400 * time.Millisecond

// work is one unit of work. A replica has a few slots, each unit holds one for
// its service time, and requests queue for them: capacity is real.
func (a *app) work(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	status := a.serve(r.Context())
	took := time.Since(start)
	a.sla.add(time.Now(), took, status >= 500)
	a.took.Observe(took.Seconds())
	a.requests.WithLabelValues(fmt.Sprint(status)).Inc()
	w.WriteHeader(status)
	fmt.Fprintln(w, a.version, os.Getenv("HOSTNAME"))
}

func (a *app) serve(ctx context.Context) int {
	if a.waiting.Add(1) > int64(a.queue) {
		a.waiting.Add(-1)
		a.complain("ERROR queue is full")
		return http.StatusServiceUnavailable
	}
	select {
	case a.slot <- struct{}{}:
	case <-ctx.Done():
		a.waiting.Add(-1)
		return http.StatusServiceUnavailable
	}
	a.waiting.Add(-1)
	defer func() { <-a.slot }()
	service := a.service
	if a.has("slow") {
		service = max(service, slowService)
	}
	time.Sleep(service)
	switch {
	case a.has("errors") && rand.Float64() < a.errorRate:
		a.complain("ERROR panic recovered in scheduler: assignment to entry in nil map")
		return http.StatusInternalServerError
	case a.has("database") && rand.Float64() < 0.3:
		a.complain("ERROR database connection refused: dial tcp 10.20.0.5:5432")
		return http.StatusInternalServerError
	}
	return http.StatusOK
}

// complain logs a line at most once a second.
func (a *app) complain(line string) {
	now := time.Now()
	if last, ok := a.quiet.Load(line); ok && now.Sub(last.(time.Time)) < time.Second {
		return
	}
	a.quiet.Store(line, now)
	log.Print(line)
}

func (a *app) agentsStatus(w http.ResponseWriter, _ *http.Request) {
	type agent struct {
		ID       string `json:"id"`
		Status   string `json:"status"`
		LastSeen string `json:"last_seen"`
	}
	agents := []agent{}
	for i := range a.agents {
		g := agent{ID: fmt.Sprintf("agent-%d", i+1), Status: "healthy", LastSeen: time.Now().UTC().Format(time.RFC3339)}
		if i >= a.activeAgents() {
			g.Status, g.LastSeen = "lost", a.started.UTC().Format(time.RFC3339)
		}
		agents = append(agents, g)
	}
	reply(w, http.StatusOK, map[string]any{"agents": agents, "active": a.activeAgents(), "desired": a.agents})
}

func (a *app) metrics(w http.ResponseWriter, _ *http.Request) {
	d := a.sla.document(time.Now())
	reply(w, http.StatusOK, map[string]any{"version": a.version, "requests": d.Requests, "waiting": a.waiting.Load(), "agents": map[string]any{"active": a.activeAgents(), "desired": a.agents}})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
