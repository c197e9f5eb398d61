package web

import (
	"context"
	"fmt"
	"net"
	"net/http"
)

// registerHealth adds the pages that the kubelet's probes ask.
func registerHealth(mux *http.ServeMux, o Options) {
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "watchdog is alive") })
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) {
		if err := o.Ready(); err != nil {
			text(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		text(w, http.StatusOK, "watchdog is ready")
	})
}

// ServeHealth serves the health pages and nothing else, without TLS and
// authentication: the kubelet has neither a password nor a client certificate. Its
// limit on connections is its own: who fills the other listener stops no probe.
func ServeHealth(ctx context.Context, o Options, address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("serve health on %s: %w", address, err)
	}
	return serveHealthOn(ctx, o, l)
}

func serveHealthOn(ctx context.Context, o Options, l net.Listener) error {
	mux := http.NewServeMux()
	registerHealth(mux, o)
	return serve(ctx, o, bound(l, "health", o), recovered(o.Logger, mux), "")
}
