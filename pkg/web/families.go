package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

func registerMetrics(mux *http.ServeMux, o Options) {
	mux.Handle("GET /metrics", metrics(o))
}

// metrics serves all metrics, as promhttp does. It gathers the families one after the other: of a
// fleet there are too many samples to hold them all in memory.
func metrics(o Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own, err := o.Gatherer.Gather()
		if err != nil {
			http.Error(w, "could not gather the metrics:\n"+err.Error(), http.StatusInternalServerError)
			return
		}
		format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultAcceptedFormats()...)
		w.Header().Set("Content-Type", string(format))
		w.Header().Set("Vary", "Accept, Accept-Encoding")
		out, end := compressed(w, r)
		defer end()
		wanted := r.URL.Query()["name[]"]
		encoder := expfmt.NewEncoder(out, format)
		for families, more := own, o.Families; ; more = more[1:] {
			for _, f := range families {
				if len(wanted) > 0 && !slices.Contains(wanted, f.GetName()) {
					continue
				}
				if encoder.Encode(f) != nil {
					return // the client has disconnected
				}
			}
			if len(more) == 0 {
				return
			}
			if families, err = more[0].Gather(); err != nil {
				o.Logger.Warn("some metrics are left out", "err", err)
			}
		}
	})
}

// compressed returns where an answer is written to: with gzip if the client takes that.
func compressed(w http.ResponseWriter, r *http.Request) (out io.Writer, end func()) {
	for _, accepted := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		if name, _, _ := strings.Cut(strings.TrimSpace(accepted), ";"); name == "gzip" {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			return z, func() { _ = z.Close() }
		}
	}
	return w, func() {}
}

// Families makes a gatherer of each collector, for Options.Families.
func Families(all []prometheus.Collector) []prometheus.Gatherer {
	gatherers := make([]prometheus.Gatherer, 0, len(all))
	for _, c := range all {
		registry := prometheus.NewRegistry()
		registry.MustRegister(c)
		gatherers = append(gatherers, registry)
	}
	return gatherers
}
