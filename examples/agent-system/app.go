package main

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/pprof"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// app is one replica.
type app struct {
	settings
	started  time.Time
	slot     chan struct{}
	waiting  atomic.Int64
	done     atomic.Int64 // tasks that agents finished
	sla      *window
	stopping atomic.Bool
	injected injected
	leaked   [][]byte
	quiet    sync.Map // log line → when it was last written

	registry *prometheus.Registry
	requests *prometheus.CounterVec
	took     prometheus.Histogram
}

func newApp(s settings) *app {
	a := &app{settings: s, started: time.Now(), slot: make(chan struct{}, s.slots), sla: &window{span: s.window},
		registry: prometheus.NewRegistry()}
	a.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	f := promauto.With(a.registry)
	a.requests = f.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total",
		Help: "Requests to /work by status code."}, []string{"code"})
	a.took = f.NewHistogram(prometheus.HistogramOpts{Name: "http_request_duration_seconds",
		Help: "Time to answer /work.", Buckets: prometheus.ExponentialBuckets(0.01, 2, 10)})
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "agents_active", Help: "Agents that are at work."},
		func() float64 { return float64(a.activeAgents()) })
	f.NewGauge(prometheus.GaugeOpts{Name: "agent_system_build_info", Help: "The release.",
		ConstLabels: prometheus.Labels{"version": s.version}}).Set(1)
	return a
}

// has reports whether a fault is in force, by release or since the start.
func (a *app) has(kind string) bool {
	return a.faults.has(kind) && time.Since(a.started) >= a.faultFrom || a.injected.has(kind)
}

// lookInterval is how often the fault file is read and memory leaked.
const lookInterval = 250 * time.Millisecond

// live follows the fault file and leaks memory, if the release is one that does.
func (a *app) live(ctx context.Context) {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		a.readFault()
		a.leakSome()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// leakSome takes a tick's share of memory and touches it, so that it is resident.
func (a *app) leakSome() {
	share := a.leak << 20 / int(time.Second/lookInterval)
	if !a.has(faultLeak) || share <= 0 || (len(a.leaked)+1)*share > a.leakMax<<20 {
		return
	}
	const page = 4096
	b := make([]byte, share)
	for i := 0; i < len(b); i += page {
		b[i] = 1
	}
	a.leaked = append(a.leaked, b)
}

func (a *app) activeAgents() int {
	if a.has(faultAgents) {
		return min(1, a.agents)
	}
	return a.agents
}

func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", a.health)
	mux.HandleFunc("GET /ready", a.ready)
	mux.HandleFunc("GET /live", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/work", a.work)
	mux.HandleFunc("GET /metrics/sla", func(w http.ResponseWriter,
		_ *http.Request) {
		reply(w, http.StatusOK, a.sla.document(time.Now()))
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /api/v2/agents/status", a.agentsStatus)
	mux.HandleFunc("GET /api/v2/metrics", a.metrics)
	mux.HandleFunc("POST /admin/fault", a.admin)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

func (a *app) ready(w http.ResponseWriter, _ *http.Request) {
	switch {
	case a.has(faultNeverReady):
		http.Error(w, "migrations pending", http.StatusServiceUnavailable)
	case a.stopping.Load():
		http.Error(w, "stopping", http.StatusServiceUnavailable)
	case time.Since(a.started) < a.startup:
		http.Error(w, "starting", http.StatusServiceUnavailable)
	}
}

// slowService is what one request takes at least in a slow release.
const slowService = 400 * time.Millisecond

// statusClientGone is what proxies log for a client that did not wait.
const statusClientGone = 499

// work is one unit of work. A replica has a few slots, each unit holds one for
// its service time, and requests queue for them: capacity is real.
func (a *app) work(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	status := a.serve(r.Context())
	took := time.Since(start)
	a.requests.WithLabelValues(strconv.Itoa(status)).Inc()
	if status == statusClientGone {
		return // nobody was served well or badly
	}
	a.sla.add(took, status >= 500)
	a.took.Observe(took.Seconds())
	w.WriteHeader(status)
	fmt.Fprintln(w, a.version, os.Getenv("HOSTNAME"))
}

func (a *app) serve(ctx context.Context) int {
	if status := a.takeSlot(ctx); status != http.StatusOK {
		return status
	}
	defer func() { <-a.slot }()
	time.Sleep(a.serviceTime())
	switch {
	case a.has(faultErrors) && rand.Float64() < a.errorRate:
		a.complain("ERROR panic recovered in scheduler: assignment to entry in nil map")
		return http.StatusInternalServerError
	case a.has(faultDatabase) && rand.Float64() < 0.3:
		a.complain("ERROR database connection refused: dial tcp 10.20.0.5:5432")
		return http.StatusInternalServerError
	}
	a.done.Add(1)
	return http.StatusOK
}

// takeSlot waits for one, if the queue has room.
func (a *app) takeSlot(ctx context.Context) int {
	select {
	case a.slot <- struct{}{}:
		return http.StatusOK
	default:
	}
	defer a.waiting.Add(-1)
	if a.waiting.Add(1) > int64(a.queue) {
		a.complain("ERROR queue is full, request refused")
		return http.StatusServiceUnavailable
	}
	select {
	case a.slot <- struct{}{}:
		return http.StatusOK
	case <-ctx.Done():
		return statusClientGone
	}
}

func (a *app) serviceTime() time.Duration {
	if a.has(faultSlow) {
		return max(a.service, slowService)
	}
	return a.service
}

// complain logs a line at most once a second.
func (a *app) complain(line string) {
	now := time.Now()
	last, again := a.quiet.Swap(line, now)
	if again && now.Sub(last.(time.Time)) < time.Second {
		a.quiet.Store(line, last)
		return
	}
	log.Print(line)
}
