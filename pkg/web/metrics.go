package web

import (
	"context"
	"fmt"
	"net"
	"net/http"
)

// registerHealth adds the pages that the kubelet's probes ask.
func registerHealth(mux *http.ServeMux, o Options) {
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter,
		_ *http.Request) {
		text(w, http.StatusOK, "watchdog is alive")
	})
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) {
		if err := o.Ready(); err != nil {
			text(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		state := "watchdog is ready"
		if late := o.Late; late != nil && late() != "" {
			state += ", but late: " + late()
		}
		text(w, http.StatusOK, state)
	})
}

// ServeMetrics serves the health pages and the metrics, and nothing else, without TLS and
// authentication: the kubelet has neither a password nor a client certificate, and
// Prometheus scrapes by address. Its limit on connections is its own: who fills the other
// listener stops no probe.
func ServeMetrics(ctx context.Context, o Options, address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("serve health and metrics on %s: %w", address, err)
	}
	return serveMetricsOn(ctx, o, l)
}

func serveMetricsOn(ctx context.Context, o Options, l net.Listener) error {
	mux, metrics := http.NewServeMux(), http.NewServeMux()
	registerHealth(mux, o)
	registerMetrics(metrics, o)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		var more []string
		if o.Hosts != nil {
			more = o.Hosts()
		}
		if !ownHost(r.Host, more) {
			fail(w, http.StatusMisdirectedRequest, foreign(r.Host))
			return
		}
		metrics.ServeHTTP(w, r)
	})
	return serve(ctx, o, bound(l, "metrics", o), recovered(o.Logger, strangersPages(mux)), "")
}
