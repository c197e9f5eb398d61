package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/responder"
)

var (
	errNobody = errors.New("nobody's token")
	errAway   = errors.New("the API server is away")
)

// gated returns all pages behind a gate: t-reader may read, t-admin may reload, too,
// t-nobody may nothing, t-away cannot be told.
func gated(t *testing.T, set func() GateSettings, bend ...func(*GateOptions)) (http.Handler, *Gate) {
	t.Helper()
	may := func(names ...string) func(context.Context, responder.Person) error {
		return func(_ context.Context, p responder.Person) error {
			for _, n := range names {
				if p.Name == n {
					return nil
				}
			}
			return &responder.Refused{Forbidden: true, Reason: p.Name + " may not: the request needs the verb"}
		}
	}
	o := GateOptions{
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Settings: set,
		Who: func(_ context.Context, token string) (responder.Person, error) {
			name, ok := strings.CutPrefix(token, "t-")
			switch {
			case name == "away":
				return responder.Person{}, errAway
			case !ok:
				return responder.Person{}, errNobody
			}
			return responder.Person{Name: name}, nil
		},
		Unknown: func(err error) bool { return errors.Is(err, errNobody) },
		MayRead: may("reader", "admin"), MayReload: may("admin"),
	}
	for _, b := range bend {
		b(&o)
	}
	g := NewGate(o)
	registry := prometheus.NewRegistry()
	return Handler(Options{
		Logger: slog.New(slog.DiscardHandler), Gatherer: registry, Gate: g, Profiling: true,
		Ready: func() error { return nil }, Reload: func() error { return nil }, Targets: func() any { return "shop" },
		Incidents: func(context.Context) ([]incident.Incident, error) { return []incident.Incident{{ID: "i1"}}, nil },
		Rules:     func() []RuleGroup { return nil },
		PromQL:    nothing(),
	}), g
}

// behindTheGate are all pages that say something of the cluster.
var behindTheGate = []string{
	"/metrics", "/api/v1/targets", "/api/v1/incidents", "/api/v1/incidents/i1", "/api/v1/rules", "/api/v1/alerts",
	"/api/v1/query?query=1",
	"/api/v1/query_range?query=1&start=0&end=1&step=1",
	"/api/v1/series?match[]=up", "/api/v1/labels", "/api/v1/label/job/values", "/api/v1/metadata",
	"/api/v1/status/buildinfo", "/api/v1/format_query?query=1", "/debug/pprof/cmdline",
}

func askWith(h http.Handler, method, path, authorization string,
	bend ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Host = "10.0.0.7:9095"
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	for _, b := range bend {
		b(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestNobodyReadsWithoutTheRight_S04_SEC04(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("grafana-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h, g := gated(t, func() GateSettings { return GateSettings{TokenFiles: []string{file}} })
	for _, tt := range []struct {
		name, authorization string
		want                int
		says                string
	}{
		{"nothing", "", 401, "kubectl create token NAME --audience watchdog"},
		{"a password that nobody has set", "Basic eDp5", 401, "Bearer TOKEN"},
		{"an empty token", "Bearer ", 401, "Bearer TOKEN"},
		{"a token of a megabyte", "Bearer t-" + strings.Repeat("x", 1<<20), 401, "Bearer TOKEN"},
		{"nobody's token", "Bearer x", 401, "nobody's token"},
		{"somebody who may not", "Bearer t-nobody", 403, "nobody may not: the request needs the verb"},
		{"nobody can be asked", "Bearer t-away", 503, "cannot authenticate the token"},
		{"who may", "Bearer t-reader", 200, ""},
		{"written otherwise", "bEARER  t-reader", 200, ""},
		{"a token that may read", "Bearer grafana-token", 200, ""},
	} {
		for _, path := range behindTheGate {
			w := askWith(h, http.MethodGet, path, tt.authorization)
			if w.Code != tt.want || !strings.Contains(w.Body.String(), tt.says) {
				t.Errorf("%s: GET %s: %d %s, want %d", tt.name, path, w.Code, w.Body, tt.want)
			}
		}
		if w := askWith(h, http.MethodPost, "/api/v1/query?query=1", tt.authorization); w.Code != tt.want {
			t.Errorf("%s: a question that is posted: %d", tt.name, w.Code)
		}
	}
	asked := float64(len(behindTheGate) + 1)
	for reason, want := range map[string]float64{noProof: 5 * asked, noRight: asked, noAnswer: asked, foreignHost: 0} {
		if got := testutil.ToFloat64(g.refused.WithLabelValues(reason)); got != want {
			t.Errorf("refused for %s: counted %v, want %v", reason, got, want)
		}
	}
	for _, path := range []string{"/", "/-/healthy", "/-/ready", "/api/v1/openapi.json"} {
		if w := askWith(h, http.MethodGet, path, ""); w.Code != 200 {
			t.Errorf("GET %s, which tells nothing: %d", path, w.Code)
		}
	}
}

func TestAReloadTakesARightOfItsOwn_S04(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("grafana-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, open := range []bool{false, true} {
		h, _ := gated(t, func() GateSettings { return GateSettings{Open: open, TokenFiles: []string{file}} })
		for authorization, want := range map[string]int{"": 401, "Bearer grafana-token": 401, "Bearer t-reader": 403,
			"Bearer t-away": 503, "Bearer t-admin": 200} {
			if w := askWith(h, http.MethodPost, "/-/reload", authorization); w.Code != want {
				t.Errorf("open %t, %q: %d %s, want %d", open, authorization, w.Code, w.Body, want)
			}
		}
	}
}

// A stranger's page makes a browser ask: for what changes something, and, by a name that
// it makes resolve to watchdog's address, for what everybody on the network may read.
func TestAStrangersPageReadsAndChangesNothing_S04(t *testing.T) {
	config := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(config, []byte("basic_auth_users: { x: "+rightHash+" }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	open, g := gated(t, func() GateSettings {
		return GateSettings{Open: true, Hosts: []string{"watchdog.example.com", "watchdog.ops"}}
	})
	password, _ := gated(t, func() GateSettings { return GateSettings{} },
		func(o *GateOptions) { o.WebConfig = config })
	for host, want := range map[string]int{
		"evil.example": 421, "evil.example:9095": 421, "watchdog.evil.example": 421, "svc": 200,
		"x.svc.evil.example": 421, "": 421, "127.0.0.1.evil.example": 421,
		"localhost": 200, "localhost:9095": 200, "127.0.0.1:9095": 200, "[::1]:9095": 200, "fd00::7": 200,
		"10.0.0.7:9095": 200, "watchdog": 200,
		"watchdog.watchdog.svc": 200, "watchdog.watchdog.svc:9095": 200, "watchdog.watchdog.svc.cluster.local.": 200,
		"Watchdog.Example.COM": 200, "watchdog.ops:9095": 200,
	} {
		as := func(r *http.Request) { r.Host = host }
		if w := askWith(open, http.MethodGet, "/api/v1/incidents", "", as); w.Code != want {
			t.Errorf("everybody may read, host %q: %d %s, want %d", host, w.Code, w.Body, want)
		}
		if w := askWith(open, http.MethodGet, "/api/v1/incidents", "Bearer t-reader", as); want == 421 &&
			w.Code != 421 {
			t.Errorf("host %q with a token where everybody may read: %d", host, w.Code)
		}
		if strings.Contains(strings.ToLower(host), "example.com") || strings.Contains(host, "ops") {
			continue
		}
		if w := askWith(password, http.MethodGet, "/api/v1/incidents", "Basic eDp5", as); w.Code != want {
			t.Errorf("a password that the browser sends by itself, host %q: %d, want %d", host, w.Code, want)
		}
	}
	if got := testutil.ToFloat64(g.refused.WithLabelValues(foreignHost)); got == 0 {
		t.Error("not counted")
	}
	closed, _ := gated(t, func() GateSettings { return GateSettings{} })
	if w := askWith(closed, http.MethodGet, "/api/v1/incidents", "Bearer t-reader",
		func(r *http.Request) { r.Host = "watchdog.anything.example" }); w.Code != 200 {
		t.Errorf("a token, which no stranger's page has, by any name: %d", w.Code)
	}
	for name, bend := range map[string]func(*http.Request){
		"another origin":      func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"no origin":           func(r *http.Request) { r.Header.Set("Origin", "null") },
		"the browser says so": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
	} {
		for _, path := range []string{"/-/reload", "/api/v1/query?query=1"} {
			if w := askWith(open, http.MethodPost, path, "Bearer t-admin", bend); w.Code != 403 {
				t.Errorf("%s: POST %s: %d", name, path, w.Code)
			}
		}
	}
}

func TestMetricsAreReadByAddressOrAKnownName_S04(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		done <- serveMetricsOn(ctx, Options{Logger: slog.New(slog.DiscardHandler), Gatherer: prometheus.NewRegistry(),
			Hosts: func() []string { return []string{"watchdog.example.com"} }}, l)
	}()
	for host, want := range map[string]int{"": 200, "watchdog.example.com": 200, "evil.example": 421} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("host %q: %d %s", host, resp.StatusCode, b)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func BenchmarkReadBehindTheGate(b *testing.B) {
	g := NewGate(GateOptions{
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
		Settings: func() GateSettings { return GateSettings{} },
		Who: func(context.Context, string) (responder.Person, error) {
			return responder.Person{Name: "alice"},
				nil
		},
		MayRead: func(context.Context, responder.Person) error { return nil },
	})
	h := g.read(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest(http.MethodGet, "/api/v1/incidents", nil)
	r.Header.Set("Authorization", "Bearer "+strings.Repeat("x", 1000))
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}
