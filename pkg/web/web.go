// Package web is watchdog's HTTP surface: its own health, its metrics, a read-only
// view of what it sees and does, and the webhook that alerts come in by.
//
// It owns routes, methods and encodings. It leaves every answer to functions it
// is handed and decides nothing.
//
// Its one rule: liveness depends on nothing outside the process (INV-54).
package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	toolkit "github.com/prometheus/exporter-toolkit/web"

	"watchdog.io/watchdog/pkg/incident"
)

// Options are what the pages are made of.
type Options struct {
	Logger   *slog.Logger
	Gatherer prometheus.Gatherer
	// Families are gathered after it, one at a time.
	Families []prometheus.Gatherer
	// Ready returns nil once the configuration is loaded and the leader is known;
	// else an error that says what is missing.
	Ready func() error
	// Late says that probes are skipped; empty: they are not. It is shown beside readiness and
	// takes nothing away from it: without endpoints, Alertmanager's alerts would not come in.
	Late func() string
	// Reload loads the configuration again; an error means that the old one stays.
	Reload func() error
	// Incidents returns the incidents, newest first.
	Incidents func(context.Context) ([]incident.Incident, error)
	// Gate says who may read, and reload; nil: everybody.
	Gate *Gate
	// Hosts are names by which the metrics may be read beside those that cannot be a
	// stranger's; nil: there are no others.
	Hosts func() []string
	// Targets returns what is seen of each target now; it must encode as JSON.
	Targets func() any
	// Alertmanager takes webhooks at AlertmanagerPath; nil: there is no such page.
	Alertmanager http.Handler
	// PromQL answers questions over watchdog's own samples, and Rules what is judged,
	// in the format of Prometheus' API; nil: there are no such pages.
	PromQL *PromQL
	Rules  func() []RuleGroup
	// Words are the pages that take responder actions, by pattern.
	Words map[string]http.Handler
	// RefusedConnections counts connections beyond the limits; nil: they are not counted.
	RefusedConnections *prometheus.CounterVec
	// Hide takes secrets out of an answer; nil: nothing does.
	Hide func(string) string
	// Profiling serves /debug/pprof.
	Profiling bool
}

// Limits of the server. Nothing that watchdog serves needs more. An answer may take
// longer than its request: an action waits up to 20 s for the API server, a profile takes 30 s.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second
	writeTimeout  = 60 * time.Second
	idleTimeout   = 60 * time.Second
	maxHeader     = 16 << 10
	stopTimeout   = 3 * time.Second
)

// Handler returns all routes. Health and what tells nothing is open; all that says
// something of the cluster is behind the gate; what posts words and alerts asks for its own
// proof.
func Handler(o Options) http.Handler {
	mux := http.NewServeMux()
	registerHealth(mux, o)
	mux.Handle("POST /-/reload", o.Gate.reload(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := o.Reload(); err != nil {
			text(w, http.StatusInternalServerError, "reload failed, keeping the previous configuration:\n"+err.Error())
			return
		}
		text(w, http.StatusOK, "configuration loaded")
	})))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		text(w, http.StatusOK, "watchdog\n\n/metrics\n/-/healthy\n/-/ready\n/-/reload "+
			"(POST)\n/api/v1/targets\n/api/v1/incidents\n/api/v1/incidents/{id}\n/api/v1/rules\n/api/v1/alerts\n/api/"+
			"v1/query\n/api/v1/query_range\n/api/v1/openapi.json\n/api/v1/incidents/{id}/{ack,approve,deny,hold,"+
			"severity,notes} (POST)\n/webhook/alertmanager (POST)\n/webhook/slack (POST)\n/webhook/pagerduty "+
			"(POST)\n")
	})
	mux.HandleFunc("GET /api/v1/openapi.json", openAPI)
	if o.Alertmanager != nil {
		mux.Handle(AlertmanagerPath, o.Alertmanager)
		mux.Handle(AlertmanagerPath+"/{$}", o.Alertmanager)
	}
	for pattern, h := range o.Words {
		mux.Handle(pattern, h)
		if strings.Contains(pattern, " /webhook/") {
			mux.Handle(pattern+"/{$}", h)
		}
	}
	gated := o.Gate.read(reads(o))
	mux.Handle("GET /metrics", gated)
	mux.Handle("/api/v1/", gated)
	mux.Handle("/debug/pprof/", gated)
	return recovered(o.Logger, strangersPages(hiding(o.Hide, mux)))
}

// reads are the pages behind the gate.
func reads(o Options) http.Handler {
	mux := http.NewServeMux()
	registerMetrics(mux, o)
	mux.HandleFunc("GET /api/v1/targets", func(w http.ResponseWriter, _ *http.Request) { data(w, o.Targets()) })
	mux.HandleFunc("GET /api/v1/incidents", func(w http.ResponseWriter, r *http.Request) {
		all, err := o.Incidents(r.Context())
		if err != nil {
			fail(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		data(w, all)
	})
	mux.HandleFunc("GET /api/v1/incidents/{id}", func(w http.ResponseWriter, r *http.Request) {
		all, err := o.Incidents(r.Context())
		if err != nil {
			fail(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		for _, i := range all {
			if i.ID == r.PathValue("id") {
				data(w, i)
				return
			}
		}
		fail(w, http.StatusNotFound, fmt.Sprintf("no incident %q", r.PathValue("id")))
	})
	if o.PromQL != nil {
		o.PromQL.register(mux)
	}
	if o.Rules != nil {
		registerRules(mux, o.Rules)
	}
	if o.Profiling {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	}
	return mux
}

// Serve listens on address until ctx ends. configFile is an exporter-toolkit web
// configuration (TLS, basic auth); empty for plain HTTP.
func Serve(ctx context.Context, o Options, address, configFile string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("serve HTTP on %s: %w", address, err)
	}
	return serveOn(ctx, o, l, configFile)
}

func serveOn(ctx context.Context, o Options, l net.Listener, configFile string) error {
	return serve(ctx, o, bound(l, "web", o), Handler(o), configFile)
}

func serve(ctx context.Context, o Options, l net.Listener, h http.Handler, configFile string) error {
	defer l.Close()
	srv := &http.Server{
		Handler: whole(h), ConnContext: withConnection, ConnState: idleAgain, ReadHeaderTimeout: headerTimeout,
		ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(o.Logger.Handler(),
			slog.LevelWarn),
		Protocols: new(http.Protocols),
	}
	// An HTTP/2 connection carries hundreds of requests at once, which the limits on
	// connections would not bound.
	srv.Protocols.SetHTTP1(true)
	failed := make(chan error, 1)
	go func() {
		failed <- toolkit.Serve(l, srv, &toolkit.FlagConfig{WebConfigFile: &configFile}, o.Logger)
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		return errors.Join(srv.Close(), fmt.Errorf("stop HTTP server: %w", err))
	}
	return nil
}

// recovered keeps a panic in one request from ending the process (INV-52).
func recovered(l *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				l.Error("panic while serving a request", "path", r.URL.Path, "panic", p)
				fail(w, http.StatusInternalServerError, "internal error; the log has the details")
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func text(w http.ResponseWriter, status int, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, s)
}

// data and fail use the envelope of Prometheus' HTTP API.
func data(w http.ResponseWriter, v any) {
	write(w, http.StatusOK, map[string]any{"status": "success", "data": v})
}

func fail(w http.ResponseWriter, status int, reason string) {
	write(w, status, map[string]any{"status": "error", "error": reason})
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
