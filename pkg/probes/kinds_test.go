package probes

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"watchdog.io/watchdog/pkg/config"
)

func TestHealthSaysWhatTheDocumentSays(t *testing.T) {
	at := time.Now().Truncate(time.Second)
	conf := config.HealthProbe{HTTPClient: serve(t, respond(200, healthBody(at.Add(-5*time.Second)))), Version: "2.1.0"}
	probe, err := NewHealth(conf, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := probe(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]float64{
		`watchdog_health_timestamp_skew_seconds`:   5,
		`watchdog_dependency_up{check="database"}`: 1,
		`watchdog_dependency_up{check="redis"}`:    0,
		`watchdog_dependency_up{check="agents"}`:   0,
		`watchdog_health_uptime_seconds`:           86400,
		`watchdog_health_restarts_total`:           0,
		`watchdog_health_info{version="2.2.0"}`:    1,
		`watchdog_health_version_mismatch`:         1,
	}, values(got.Samples)); diff != "" {
		t.Error(diff)
	}
	if want := "healthy, agents unhealthy, external_apis fine, redis degraded"; got.Detail != want {
		t.Errorf("detail: got %q, want %q", got.Detail, want)
	}
}

func TestA503SaysWhichDependencyIsDown(t *testing.T) {
	at := time.Now()
	for _, row := range []struct {
		age  time.Duration
		want int
	}{{0, 3}, {time.Hour, 0}} {
		conf := serve(t, respond(503, healthBody(at.Add(-row.age))))
		probe, err := NewHealth(config.HealthProbe{HTTPClient: conf}, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := probe(t.Context(), at)
		if err != nil || got.State != Bad || len(got.Samples) != row.want {
			t.Errorf("aged %s: got %v, %v; want bad with %d samples", row.age, got, err, row.want)
		}
	}
}

func TestAStaleDocumentLeavesOnlyItsSkew(t *testing.T) {
	at := time.Now().Truncate(time.Second)
	probe, err := NewHealth(config.HealthProbe{HTTPClient: serve(t, respond(200, healthBody(at.Add(-time.Hour))))}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := probe(t.Context(), at)
	if err != nil || got.State != Unknown {
		t.Fatalf("got %v, %v; want unknown", got, err)
	}
	if diff := cmp.Diff(map[string]float64{`watchdog_health_timestamp_skew_seconds`: 3600},
		values(got.Samples)); diff != "" {
		t.Error(diff)
	}
}

func TestRestartsAreCountedOnce(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	var seen starts
	for i, row := range []struct {
		after, uptime time.Duration
		want          float64
		why           string
	}{
		{0, 1000, 0, "first look"},
		{15, 1015, 0, "grown"},
		{30, 400, 0, "another pod, older than the first look"},
		{45, 5, 1, "started since"},
		{60, 1060, 1, "the old pod again"},
		{75, 34, 1, "the new pod again, a second off"},
		{90, 0, 2, "started just now"},
	} {
		if got := seen.seen(start.Add(row.after*time.Second), row.uptime*time.Second); got != row.want {
			t.Errorf("look %d (%s): got %v restarts, want %v", i, row.why, got, row.want)
		}
	}
}

func TestSLAIsInBaseUnits(t *testing.T) {
	at := time.Now()
	full := map[string]float64{
		`watchdog_sla_uptime_ratio`:                           0.9998,
		`watchdog_sla_requests`:                               1200,
		`watchdog_sla_window_seconds`:                         60,
		`watchdog_sla_error_ratio`:                            0.0002,
		`watchdog_sla_response_time_seconds{quantile="0.5"}`:  0.02,
		`watchdog_sla_response_time_seconds{quantile="0.95"}`: 0.48,
		`watchdog_sla_response_time_seconds{quantile="0.99"}`: 0.9,
	}
	quiet := map[string]float64{
		`watchdog_sla_uptime_ratio`: 0.9998, `watchdog_sla_requests`: 0, `watchdog_sla_window_seconds`: 60,
	}
	for _, row := range []struct {
		name string
		edit []string
		at   time.Time
		want map[string]float64 // nil: unknown
	}{
		{"full", nil, at, full},
		{"no traffic", []string{"1200", "0", "0.02}", "null}", `"p50":20,"p95":480,"p99":900`,
			`"p50":null,"p95":null,"p99":null`}, at, quiet},
		{"no traffic at all", []string{"1200", "0", "0.02}", "null}", `{"p50":20,"p95":480,"p99":900}`, `null`}, at,
			quiet},
		{"a minute old", nil, at.Add(time.Minute), full},
		{"stale", nil, at.Add(5 * time.Minute), nil},
		{"no quantile", []string{`"p95":480,`, ""}, at, nil},
		{"quantiles out of order", []string{"480", "980"}, at, nil},
		{"uptime above 100", []string{"99.98", "100.1"}, at, nil},
		{"errors below 0", []string{"0.02}", "-1}"}, at, nil},
		{"text for a number", []string{"1200", `"NaN"`}, at, nil},
		{"no window", []string{"window_seconds", "window"}, at, nil},
		{"window of nothing", []string{`"window_seconds":60`, `"window_seconds":0`}, at, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			body := strings.NewReplacer(append(row.edit, "\x00", "")...).Replace(slaBody(at))
			probe, err := NewSLA(config.SLAProbe{HTTPClient: serve(t, respond(200, body))}, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := probe(t.Context(), row.at)
			if row.want == nil {
				if err == nil {
					t.Fatalf("got %v, want an error", got)
				}
				return
			}
			if err != nil || got.State != OK {
				t.Fatalf("got %v, %v; want ok", got, err)
			}
			near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })
			if diff := cmp.Diff(row.want, values(got.Samples), near); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAgentsAreCounted(t *testing.T) {
	for _, row := range []struct {
		name, body string
		want       map[string]float64
	}{
		{"two", agentsBody, map[string]float64{"watchdog_agents_active": 1, "watchdog_agents_desired": 2}},
		{"no list", `{"active":0,"desired":2}`, map[string]float64{"watchdog_agents_active": 0,
			"watchdog_agents_desired": 2}},
		{"more active than listed", `{"agents":[],"active":3,"desired":3}`, nil},
		{"half an agent", `{"active":1.5,"desired":2}`, nil},
		{"negative", `{"active":-1,"desired":2}`, nil},
		{"no count", `{"agents":[],"desired":2}`, nil},
		{"list of numbers", `{"agents":[1],"active":1,"desired":1}`, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			probe, err := NewAgents(config.AgentsProbe{HTTPClient: serve(t, respond(200, row.body))}, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := probe(t.Context(), time.Now())
			if (err != nil) != (row.want == nil) {
				t.Fatalf("got %v, %v", got, err)
			}
			if row.want != nil {
				if diff := cmp.Diff(row.want, values(got.Samples)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestHTTPIsJudgedByStatusAndTime(t *testing.T) {
	for _, row := range []struct {
		status   int
		statuses []int
		limit    time.Duration
		want     State
	}{
		{200, nil, 0, OK},
		{401, []int{200, 401}, 0, OK},
		{401, nil, 0, Bad},
		{503, []int{503}, 0, OK},
		{302, []int{302}, 0, OK},
		{304, nil, 0, Unknown},
		{204, []int{200}, 0, Bad},
		{200, nil, time.Nanosecond, Bad},
		{200, nil, time.Hour, OK},
	} {
		conf := config.HTTPProbe{
			HTTPClient: serve(t, respond(row.status,
				"")), Statuses: row.statuses, MaxDuration: model.Duration(row.limit),
		}
		probe, err := NewHTTP(conf, nil)
		if err != nil {
			t.Fatal(err)
		}
		if state, detail := lookOnce(t, probe, time.Now(), time.Minute); state != row.want {
			t.Errorf("%+v: got %s %q", row, state, detail)
		}
	}
}

func TestTheTokenIsReadOnEachLook(t *testing.T) {
	var got []string
	conf := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		got = append(got, r.Host+" "+r.Header.Get("Authorization")+" "+r.Header.Get("X-Key"))
	})
	conf.BearerTokenFile = filepath.Join(t.TempDir(), "token")
	conf.Headers = map[string]string{"host": "shop.example", "X-Key": "k"}
	probe, err := NewHTTP(config.HTTPProbe{HTTPClient: conf}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"one\n", "two"} {
		if err := os.WriteFile(conf.BearerTokenFile, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := probe(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"shop.example Bearer one k", "shop.example Bearer two k"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheCAFileIsReadOnEachLook(t *testing.T) {
	conf := serveTLS(t, respond(200, ""))
	right, err := os.ReadFile(conf.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	probe, err := NewHTTP(config.HTTPProbe{HTTPClient: conf}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		ca   []byte
		want State
	}{{right, OK}, {[]byte("none"), Unknown}, {right, OK}} {
		if err := os.WriteFile(conf.CAFile, row.ca, 0o600); err != nil {
			t.Fatal(err)
		}
		if state, detail := lookOnce(t, probe, time.Now(), time.Minute); state != row.want {
			t.Errorf("got %s %q, want %s", state, detail, row.want)
		}
	}
}

func TestAWorkloadIsJudgedByItsPods(t *testing.T) {
	at := time.Now()
	share, nan := 0.5, math.NaN()
	for _, row := range []struct {
		name  string
		seen  Workload
		err   error
		state State
		says  string
		want  map[string]float64 // some of the samples; NaN: absent
	}{
		{"fine", Workload{Desired: 3, Ready: 3, HasEndpoints: true, EndpointsReady: 3,
			Usage: []Usage{{"p", "c", share, nan}}, HPA: &HPA{2, 3, 3}}, nil, OK, "3 of 3 ready",
			map[string]float64{"watchdog_workload_ready_ratio": 1, "watchdog_workload_hpa_at_max": 1,
				"watchdog_workload_cpu_usage_ratio": .5, "watchdog_workload_memory_usage_ratio": nan}},
		{"none ready", Workload{Desired: 3}, nil, Bad, "0 of 3 ready",
			map[string]float64{"watchdog_workload_ready_ratio": 0, "watchdog_workload_endpoints_ready": nan}},
		{"new pods crash", Workload{Desired: 3, Ready: 3, NewestWaiting: 1,
			Waiting: map[string]int{"CrashLoopBackOff": 1}}, nil, Bad, "CrashLoopBackOff",
			map[string]float64{"watchdog_workload_crash_looping_pods": 1,
				`watchdog_workload_waiting_pods{reason="CrashLoopBackOff"}`: 1}},
		{"no endpoints", Workload{Desired: 1, Ready: 1, HasEndpoints: true}, nil, Bad, "endpoint",
			map[string]float64{"watchdog_workload_endpoints_ready": 0}},
		{"scaled to zero", Workload{HasEndpoints: true, Usage: []Usage{{"p", "c", nan, nan}}}, nil, OK, "zero",
			map[string]float64{"watchdog_workload_ready_ratio": nan, "watchdog_workload_cpu_usage_ratio": nan}},
		{"stale", Workload{Desired: 1, Ready: 1, ObservedAt: at.Add(-2 * time.Minute)}, nil, Unknown, "stale", nil},
		{"missing", Workload{}, fmt.Errorf("get: %w", apierrors.NewNotFound(schema.GroupResource{}, "x")), Unknown,
			"create it, or correct", nil},
		{"forbidden", Workload{}, apierrors.NewForbidden(schema.GroupResource{}, "x", nil), Unknown, "service account",
			nil},
		{"cut off", Workload{}, errors.New("no connection"), Unknown, "shop/deployment/web: no connection", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			probe, err := NewKubernetes("shop", "Deployment/web", func(namespace, kind, name string) (Workload, error) {
				if namespace+kind+name != "shopdeploymentweb" {
					t.Errorf("asked for %s/%s/%s", namespace, kind, name)
				}
				return row.seen, row.err
			})
			if err != nil {
				t.Fatal(err)
			}
			if state, detail := lookOnce(t, probe, at, time.Minute); state != row.state ||
				!strings.Contains(detail, row.says) {
				t.Errorf("got %s %q, want %s and %q", state, detail, row.state, row.says)
			}
			got, _ := probe(t.Context(), at)
			for name, want := range row.want {
				if value, ok := values(got.Samples)[name]; ok == math.IsNaN(want) || ok && value != want {
					t.Errorf("%s: got %v (%v), want %v", name, value, ok, want)
				}
			}
		})
	}
}

func TestEntriesComeFromTheConfiguration(t *testing.T) {
	client := config.HTTPClient{URL: "http://shop/health"}
	target := &config.Target{Name: "shop", Namespace: "shop", Workload: "deployment/web", Probes: []config.Probe{
		{Health: &config.HealthProbe{HTTPClient: client, Look: config.Look{Failures: 2, Window: 4}}},
		{SLA: &config.SLAProbe{HTTPClient: client}},
		{Agents: &config.AgentsProbe{HTTPClient: client, Look: config.Look{Interval: model.Duration(2 * time.Second)}}},
		{HTTP: &config.HTTPProbe{HTTPClient: client}},
		{TCP: &config.TCPProbe{Address: "shop:80", Look: config.Look{Name: "port"}}},
	}}
	read := func(string, string, string) (Workload, error) { return Workload{}, nil }
	entries, err := FromConfig(target, Deps{Workload: read})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, fmt.Sprintf("%s %s %s %s %s %v", e.Target, e.Name, e.Kind, e.Interval, e.Timeout, e.Damping))
	}
	if diff := cmp.Diff([]string{
		"shop health health 15s 5s {2 4 3}",
		"shop sla sla 30s 5s {3 5 3}",
		"shop agents agents 2s 2s {3 5 3}",
		"shop http http 15s 5s {3 5 3}",
		"shop port tcp 15s 5s {3 5 3}",
		"shop kubernetes kubernetes 15s 5s {3 5 3}",
	}, got); diff != "" {
		t.Error(diff)
	}
	again, err := FromConfig(target, Deps{Workload: read})
	if err != nil {
		t.Fatal(err)
	}
	target.Probes[0].Health.Headers = map[string]string{"X-Key": "k"}
	changed, err := FromConfig(target, Deps{Workload: read})
	if err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		if !entries[i].same(again[i]) {
			t.Errorf("%s: not the same the second time", entries[i].Name)
		}
		if entries[i].same(changed[i]) != (i != 0) {
			t.Errorf("%s: same as after the change: %v", entries[i].Name, i == 0)
		}
	}
}

func TestWrongProbesAreAllReported(t *testing.T) {
	target := &config.Target{Name: "shop", Probes: []config.Probe{
		{HTTP: &config.HTTPProbe{HTTPClient: config.HTTPClient{URL: "file:///etc/passwd"}}},
		{HTTP: &config.HTTPProbe{HTTPClient: config.HTTPClient{URL: "http://user:geheim@%zz"}}},
		{TCP: &config.TCPProbe{Address: "nowhere"}},
		{TCP: &config.TCPProbe{Address: "a:1"}},
		{TCP: &config.TCPProbe{Address: "b:1"}},
		{TCP: &config.TCPProbe{Address: "c:1", Look: config.Look{Name: "c", Failures: 6, Window: 5}}},
		{},
	}}
	_, err := FromConfig(target, Deps{})
	if err == nil || strings.Count(err.Error(), "\n") != 5 {
		t.Errorf("got %v, want six errors", err)
	}
	if strings.Contains(err.Error(), "geheim") {
		t.Errorf("a secret is told: %v", err)
	}
}
