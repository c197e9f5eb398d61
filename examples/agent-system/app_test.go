package main

import (
	"context"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ask makes one request of the replica.
func ask(a *app, method, path string) (int, string) {
	w := httptest.NewRecorder()
	a.routes().ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func get(t *testing.T, a *app, path string) map[string]any {
	t.Helper()
	code, body := ask(a, "GET", path)
	m := map[string]any{}
	if err := json.Unmarshal([]byte(body), &m); err != nil || code != 200 {
		t.Fatalf("%s: %d %s", path, code, body)
	}
	return m
}

// release is a replica of a release, as its environment makes it; all failing
// requests of FAULT=errors do fail.
func release(t *testing.T, set ...string) *app {
	t.Helper()
	vars := map[string]string{"ERROR_RATE": "100"}
	for i := 0; i+1 < len(set); i += 2 {
		vars[set[i]] = set[i+1]
	}
	s, err := fromEnv(func(name string) string { return vars[name] })
	if err != nil {
		t.Fatal(err)
	}
	return newApp(s)
}

// together makes n requests of /work at once.
func together(a *app, n int) (codes map[int]int) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes = map[int]int{}
	for range n {
		wg.Go(func() {
			code, _ := ask(a, "GET", "/work")
			mu.Lock()
			defer mu.Unlock()
			codes[code]++
		})
	}
	wg.Wait()
	return codes
}

func TestDocumentsAreInTheShapesThatWereAgreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := release(t)
		time.Sleep(90*time.Minute + 700*time.Millisecond)
		together(a, 4) // 2 slots: two take 20 ms, two 40 ms
		for path, want := range map[string]string{
			"/health": `{"status":"healthy","timestamp":"2000-01-01T01:30:00Z","version":"2.2.0",` +
				`"uptime":5400,"checks":{"database":"healthy","redis":"healthy","agents":"healthy",` +
				`"external_apis":"healthy"}}`,
			"/metrics/sla": `{"timestamp":"2000-01-01T01:30:00Z","window_seconds":60,"requests":4,` +
				`"uptime_percent":100,"response_time_ms":{"p50":20,"p95":40,"p99":40},"error_rate_percent":0}`,
			"/api/v2/agents/status": `{"agents":[{"id":"agent-1","status":"healthy",` +
				`"last_seen":"2000-01-01T01:30:00Z"},{"id":"agent-2","status":"healthy",` +
				`"last_seen":"2000-01-01T01:30:00Z"},{"id":"agent-3","status":"healthy",` +
				`"last_seen":"2000-01-01T01:30:00Z"}],"active":3,"desired":3}`,
			"/api/v2/metrics": `{"version":"2.2.0","agents":{"active":3,"desired":3,"tasks_coordinated":4},"requests":4,"waiting":0}`,
		} {
			if _, got := ask(a, "GET", path); got != want {
				t.Errorf("%s\n got %s\nwant %s", path, got, want)
			}
		}
	})
}

func TestNoTrafficIsNoData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := release(t, "SLA_WINDOW", "5s")
		const want = `{"timestamp":"2000-01-01T00:00:00Z","window_seconds":5,"requests":0,"uptime_percent":100,` +
			`"response_time_ms":{"p50":null,"p95":null,"p99":null},"error_rate_percent":null}`
		if _, got := ask(a, "GET", "/metrics/sla"); got != want {
			t.Errorf("before traffic: %s", got)
		}
		together(a, 4)
		time.Sleep(6 * time.Second)
		if d := get(t, a, "/metrics/sla"); d["error_rate_percent"] != nil || d["requests"] != 0.0 {
			t.Errorf("a window later: %v", d)
		}
	})
}

func TestEachFaultShowsWhereItShould(t *testing.T) {
	for fault, check := range map[string]string{"database": "database", "redis": "redis", "external": "external_apis",
		"agents": "agents"} {
		byRelease, byAdmin := release(t, "FAULT", fault), release(t)
		if code, body := ask(byAdmin, "POST", "/admin/fault?kind="+fault+"&on=true"); code != 200 {
			t.Errorf("%s: %d %s", fault, code, body)
		}
		for _, a := range []*app{byRelease, byAdmin} {
			want := map[string]any{"database": "healthy", "redis": "healthy", "agents": "healthy",
				"external_apis": "healthy"}
			want[check] = "unhealthy"
			if d := get(t, a, "/health"); d["status"] != "degraded" || !maps.Equal(d["checks"].(map[string]any), want) {
				t.Errorf("%s: %v", fault, d)
			}
		}
		ask(byAdmin, "POST", "/admin/fault?kind=none")
		if d := get(t, byAdmin, "/health"); d["status"] != "healthy" {
			t.Errorf("after %s: %v", fault, d)
		}
	}
	if d := get(t, release(t, "FAULT", "agents"), "/api/v2/agents/status"); d["active"] != 1.0 || d["desired"] != 3.0 {
		t.Errorf("%v", d)
	}
	if code, _ := ask(release(t, "FAULT", "never-ready"), "GET", "/ready"); code != 503 {
		t.Errorf("never ready answers %d", code)
	}
}

func TestOnlyUnhealthyIsAnsweredWith503(t *testing.T) {
	a := release(t, "FAULT", "database,redis,agents")
	if code, body := ask(a, "GET", "/health"); code != 200 || !strings.Contains(body, `"status":"degraded"`) {
		t.Errorf("degraded: %d %s", code, body)
	}
	ask(a, "POST", "/admin/fault?kind=external")
	if code, body := ask(a, "GET", "/health"); code != 503 || !strings.Contains(body, `"status":"unhealthy"`) {
		t.Errorf("unhealthy: %d %s", code, body)
	}
}

func TestAFaultThatDoesNotExistIsRefused(t *testing.T) {
	for name, value := range map[string]string{"FAULT": "slwo", "ERROR_RATE": "130", "SLOTS": "0", "SLA_WINDOW": "5",
		"QUEUE": "-1"} {
		_, err := fromEnv(func(n string) string { return map[string]string{name: value}[n] })
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
	for _, query := range []string{"kind=slwo", "kind=crash", "", "kind=slow&on=yes"} {
		if code, _ := ask(release(t), "POST", "/admin/fault?"+query); code != 400 {
			t.Errorf("%q: %d", query, code)
		}
	}
}

func TestTheFaultFileReachesProcessesAndARestartBringsAgentsBack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "fault")
	write := func(kind string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(file, []byte(kind+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	old := release(t, "FAULT_FILE", file)
	write("agents", old.started.Add(time.Minute))
	restarted := release(t, "FAULT_FILE", file)
	restarted.started = old.started.Add(2 * time.Minute)
	active := func(a *app) int { a.readFault(); return a.activeAgents() }
	if was, is := active(old), active(restarted); was != 1 || is != 3 {
		t.Errorf("%d agents in the old process, %d in the new one", was, is)
	}
	write("database", old.started.Add(time.Minute))
	if old.readFault(); !old.has("database") {
		t.Error("the database is there")
	}
	if restarted.readFault(); !restarted.has("database") {
		t.Error("a restart brought the database back")
	}
	write("database!", old.started)
	if old.readFault(); !old.has("database") {
		t.Error("a slip of the pen mended the database")
	}
	write("", old.started)
	if old.readFault(); old.has("database") {
		t.Error("an empty file left the fault in force")
	}
}

// p95 is what 40 requests at once see at a replica with so many slots.
func p95(t *testing.T, slots string) float64 {
	a := release(t, "SLOTS", slots)
	together(a, 40)
	return *a.sla.document(time.Now()).ResponseTimeMS.P95
}

func TestLatencyFallsWithCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// 38 of 40 are served within 19 rounds of two, or 5 of eight; a round takes 20 ms.
		if few, many := p95(t, "2"), p95(t, "8"); few != 380 || many != 100 {
			t.Errorf("p95 %v ms with 2 slots, %v ms with 8", few, many)
		}
	})
}

func TestQuantilesAreNearestRank(t *testing.T) {
	var took []time.Duration
	for ms := range 10 {
		took = append(took, time.Duration(ms+1)*time.Millisecond)
	}
	for q, want := range map[float64]float64{0.5: 5, 0.95: 10, 0.99: 10} {
		if got := *quantile(took, q); got != want {
			t.Errorf("quantile %v of 1 to 10 ms is %v ms, want %v", q, got, want)
		}
	}
	if got := *quantile(took[:1], 0.5); got != 1 {
		t.Errorf("the median of one is %v", got)
	}
}

func TestAFullQueueRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if diff := cmp.Diff(map[int]int{200: 7, 503: 3}, together(release(t, "QUEUE", "5"), 10)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestASlowReleaseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := release(t, "FAULT", "slow")
		together(a, 2)
		if p := *a.sla.document(time.Now()).ResponseTimeMS.P50; p != 400 {
			t.Errorf("p50 %v ms", p)
		}
	})
}

func TestErrorsAreCountedAndDegradeHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := release(t, "FAULT", "errors", "FAULT_AFTER", "1s")
		if diff := cmp.Diff(map[int]int{200: 20}, together(a, 20)); diff != "" {
			t.Error(diff)
		}
		time.Sleep(2 * time.Minute)
		if diff := cmp.Diff(map[int]int{500: 20}, together(a, 20)); diff != "" {
			t.Error(diff)
		}
		if d := get(t, a, "/metrics/sla"); d["error_rate_percent"] != 100.0 || d["requests"] != 20.0 {
			t.Errorf("%v", d)
		}
		if d := get(t, a, "/health"); d["status"] != "degraded" {
			t.Errorf("%v", d)
		}
		if _, text := ask(a, "GET", "/metrics"); !strings.Contains(text, `http_requests_total{code="500"} 20`) {
			t.Error("the errors are not in /metrics")
		}
	})
}

func TestAClientThatLeavesIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := release(t, "SLOTS", "1", "SERVICE_MS", "1000")
		go together(a, 1)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		a.routes().ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/work", nil))
		time.Sleep(2 * time.Second)
		if d := get(t, a, "/metrics/sla"); d["requests"] != 1.0 || d["error_rate_percent"] != 0.0 {
			t.Errorf("%v", d)
		}
	})
}

func TestALeakTakesMemoryUpToItsBound(t *testing.T) {
	a := release(t, "FAULT", "leak", "LEAK_MB_PER_S", "4", "LEAK_MAX_MB", "3")
	for range 20 {
		a.leakSome()
	}
	if n := len(a.leaked); n != 3 || len(a.leaked[0]) != 1<<20 {
		t.Errorf("%d parts of memory", n)
	}
}

func TestACrashingReleaseEndsWithAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err := run(t.Context(), release(t, "FAULT", "crash").settings)
		if err != errCrash || time.Since(start) != crashAfter {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

// wire is a listener whose connections stay in the process, so that a test owns the clock.
type wire struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newWire() *wire { return &wire{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

func (w *wire) Close() error   { w.once.Do(func() { close(w.closed) }); return nil }
func (w *wire) Addr() net.Addr { return &net.UnixAddr{Name: "wire"} }

func (w *wire) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			select {
			case w.conns <- theirs:
				return ours, nil
			case <-w.closed:
				return nil, net.ErrClosed
			}
		}}}
}

func (w *wire) get(path string) int {
	resp, err := w.client().Get("http://app" + path)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestAStoppingProcessFinishesWhatItHas(t *testing.T) {
	for name, c := range map[string]struct {
		service string
		status  int
		ends    time.Duration
	}{"in time": {"2000", 200, 2 * time.Second}, "too late": {"9000", 0, endTime}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancel(t.Context())
				l, ended, answered := newWire(), make(chan error, 1), make(chan int, 1)
				start := time.Now()
				go func() { ended <- serve(ctx, l, release(t, "SERVICE_MS", c.service)) }()
				go func() { answered <- l.get("/work") }()
				synctest.Wait()
				stop()
				synctest.Wait()
				if ready, live := l.get("/ready"), l.get("/live"); ready != 503 || live != 200 {
					t.Errorf("while stopping, ready %d, live %d", ready, live)
				}
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if status := <-answered; status != c.status {
					t.Errorf("the request was answered with %d, want %d", status, c.status)
				}
				if took := time.Since(start).Truncate(time.Second); took != c.ends {
					t.Errorf("ended after %s, want %s", took, c.ends)
				}
				time.Sleep(10 * time.Second) // the work itself ends, though nobody waits for it
			})
		})
	}
}
