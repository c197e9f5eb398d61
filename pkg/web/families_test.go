package web

import (
	"compress/gzip"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestMetricsAreServedFamilyByFamily: what is gathered apart is part of the same answer.
func TestMetricsAreServedFamilyByFamily(t *testing.T) {
	gauge := func(name string) prometheus.Collector {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: "A test."})
	}
	own := prometheus.NewRegistry()
	own.MustRegister(gauge("own"))
	var before string // what was written before the family that is gathered
	w := httptest.NewRecorder()
	watching := prometheus.CollectorFunc(func(out chan<- prometheus.Metric) {
		before = w.Body.String()
		broken(out)
	})
	h := Handler(Options{Logger: slog.New(slog.DiscardHandler), Gatherer: own,
		Families: Families([]prometheus.Collector{gauge("one"), watching, gauge("two")})})
	for _, c := range []struct{ query, encoding, want string }{
		{"", "", "own one two"},
		{"", "br, gzip;q=0.8", "own one two"},
		{"?name[]=two&name[]=own", "", "own two"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/metrics"+c.query, nil)
		r.Header.Set("Accept-Encoding", c.encoding)
		w = httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var body io.Reader = w.Body
		if zipped := w.Header().Get("Content-Encoding") == "gzip"; zipped != (c.encoding != "") {
			t.Errorf("%q is answered with %v", c.encoding, w.Header())
		} else if zipped {
			var err error
			if body, err = gzip.NewReader(w.Body); err != nil {
				t.Fatal(err)
			}
		}
		text, err := io.ReadAll(body)
		if err != nil || w.Code != http.StatusOK ||
			!strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
			t.Errorf("%s: %d %v %v", c.query, w.Code, w.Header(), err)
		}
		var got []string
		for line := range strings.Lines(string(text)) {
			if name, _, _ := strings.Cut(line, " "); name != "#" {
				got = append(got, name)
			}
		}
		if all := strings.Join(got, " "); all != c.want {
			t.Errorf("%s: %s, want %s", c.query, all, c.want)
		}
		if c.encoding == "" && c.query == "" && !strings.Contains(before, "one 0") {
			t.Errorf("one family is gathered before the one before it is written: %q", before)
		}
	}
}

func TestOwnMetricsThatCannotBeGatheredAreAnError(t *testing.T) {
	own := prometheus.NewRegistry()
	own.MustRegister(prometheus.CollectorFunc(broken))
	w := httptest.NewRecorder()
	Handler(Options{Logger: slog.New(slog.DiscardHandler), Gatherer: own}).ServeHTTP(w,
		httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "broken") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func broken(out chan<- prometheus.Metric) {
	out <- prometheus.NewInvalidMetric(prometheus.NewDesc("broken", "A test.", nil, nil), errors.New("broken"))
}
