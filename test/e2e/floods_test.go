//go:build integration

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/demo"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/incident"
)

// floodsLast is how long all floods have lasted when the real fault begins, and how long they go on after it.
const floodsLast = time.Minute

// BenchmarkEveryFloodAtOnce plays every flood of docs/threat-model.md at once on watchdog as
// the chart installs it: forged and valid alerts, bodies that cost memory, unknown tokens,
// questions, forged clicks and events, slow connections to both ports, and applications that
// make up names. A minute into it a target really fails, as P0; what is measured is the time until PagerDuty
// has the page, and the most resident memory of either replica. Attackers, watchdog and the
// control plane share the machine's cores.
//
//	go test -tags integration -run '^$' -bench EveryFlood -benchtime 1x ./test/e2e
func BenchmarkEveryFloodAtOnce(b *testing.B) {
	evil := httptest.NewServer(http.HandlerFunc(hostileDocuments))
	defer evil.Close()
	s := benchScene(b, "floods", func(text string) string {
		var targets strings.Builder
		for n := range 10 {
			fmt.Fprintf(&targets, `
  - name: evil-%[1]d
    mode: observe
    namespace: agent-system-bench-floods
    workload: deployment/agent-system
    probes:
      - health: { url: %[2]q, interval: 1s }
      - sla: { url: %[3]q, interval: 1s }
      - agents: { url: %[4]q, interval: 1s }`, n, evil.URL+"/health", evil.URL+"/sla", evil.URL+"/agents")
		}
		const (
			channel = `channel: "#incidents" `
			key     = "routing_key_file: /etc/watchdog/secrets/pagerduty/pagerduty "
			secret  = "/etc/watchdog/secrets/slack/signing"
		)
		return strings.NewReplacer(
			"targets:", "targets:"+targets.String(), "severity: P1", "severity: P0", "for: 10s", "for: 5s",
			"      - capture\n      - restart: { settle: 3s, verify: 60s }\n", "",
			channel, channel+", interaction: { signing_secret_file: "+secret+", users: [{ id: U0ALICE01, user: "+
				"alice@example.com }] }",
			key, key+", webhook: { secret_files: ["+secret+"], acknowledge: anybody }",
		).Replace(text) + "alertmanager: { senders: [{ name: flood, token_file: " +
			"/etc/watchdog/secrets/alertmanager/alertmanager }] }\n"
	})
	before := replicas(b, s)
	token := account(b, s, "reads", "watchdog-reader")
	for b.Loop() {
		ctx, stop := context.WithCancel(b.Context())
		f := &floods{ctx: ctx, said: map[string]map[string]int{}}
		for _, r := range before {
			f.start(r.ip, token)
		}
		after(b.Context(), floodsLast)
		if err := s.Fault("agents"); err != nil {
			b.Fatal(err)
		}
		inc, err := s.WaitIncident(b.Context(), "the P0 that is real", func(i incident.Incident) bool {
			return i.Target.Name == "agent-system" && i.Paged && len(i.Alerts) > 0
		})
		if err != nil {
			b.Fatal(err)
		}
		due := inc.Alerts[0].ActiveAt.Add(5 * time.Second)
		var paged time.Time
		if err := s.Receivers.WaitFor(b.Context(), func(shot recorders.Snapshot) bool {
			for _, q := range shot.Of(recorders.PagerDuty) {
				if q.Action == "trigger" && strings.Contains(string(q.Body), inc.ID) {
					paged = q.At
					return true
				}
			}
			return false
		}); err != nil {
			b.Fatal(err)
		}
		after(b.Context(), floodsLast)
		stop()
		f.all.Wait()
		most := 0.0
		for _, r := range before {
			if pidOf(s, r.pod) != r.pid {
				b.Errorf("replica %s did not live through the floods", r.pod)
				continue
			}
			rss := memory(b, r.pid, "VmHWM")
			fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.pid))
			b.Logf("%s: most resident memory %.0f MiB, %d descriptors, goroutines %s", r.pod, rss, len(fds),
				sampleOf(b, r.ip, "go_goroutines"))
			most = max(most, rss)
		}
		f.report(b)
		b.ReportMetric(paged.Sub(due).Seconds(), "s-to-page")
		b.ReportMetric(most, "max-MiB-RSS")
		b.ReportMetric(0, "ns/op")
	}
}

func after(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

type replica struct {
	pod, ip string
	pid     int
}

func replicas(b *testing.B, s *demo.Scene) []replica {
	b.Helper()
	out, err := s.Run(b.Context(), "", "kubectl", "-n", s.Watchdog,
		"get", "pods", "-l", "app.kubernetes.io/name=watchdog", "-o",
		`jsonpath={range .items[*]}{.metadata.name} {.status.podIP}{"\n"}{end}`)
	if err != nil {
		b.Fatal(err)
	}
	var all []replica
	for l := range strings.Lines(out) {
		name, ip, ok := strings.Cut(strings.TrimSpace(l), " ")
		if !ok {
			continue
		}
		all = append(all, replica{pod: name, ip: "127." + strings.SplitN(ip, ".", 2)[1], pid: pidOf(s, name)})
	}
	if len(all) != 2 {
		b.Fatalf("replicas: %+v, want two", all)
	}
	return all
}

// sampleOf is the value of a metric without labels.
func sampleOf(b *testing.B, ip, metric string) string {
	b.Helper()
	resp, err := http.Get("http://" + ip + ":9096/metrics")
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	for l := range strings.Lines(string(body)) {
		if v, ok := strings.CutPrefix(l, metric+" "); ok {
			return strings.TrimSpace(v)
		}
	}
	return "not exported"
}

// documents counts the answers of the hostile applications: each has other names.
var documents atomic.Int64

func hostileDocuments(w http.ResponseWriter, r *http.Request) {
	n := documents.Add(1)
	w.Header().Set("Content-Type", "application/json")
	list := func(item func(i int) string) string {
		var all []string
		for i := range 2000 {
			all = append(all, item(i))
		}
		return strings.Join(all, ",")
	}
	at := time.Now().UTC().Format(time.RFC3339)
	switch r.URL.Path {
	case "/health":
		fmt.Fprintf(w, `{"status":"healthy","timestamp":%q,"version":"v%d","uptime":1,"checks":{%s}}`, at, n,
			list(func(i int) string { return fmt.Sprintf(`"check-%d-%d":"healthy"`, n, i) }))
	case "/sla":
		fmt.Fprintf(w, `{"timestamp":%q,"window_seconds":60,"requests":1200,"uptime_percent":99.98,`+
			`"response_time_ms":{"p50":20,"p95":480,"p99":900},"error_rate_percent":0.02,%s}`, at,
			list(func(i int) string { return fmt.Sprintf(`"metric_%d_%d":%d`, n, i, i) }))
	default:
		fmt.Fprintf(w, `{"timestamp":%q,"agents":[%s]}`, at,
			list(func(i int) string { return fmt.Sprintf(`{"id":"agent-%d-%d","status":"active"}`, n, i) }))
	}
}

// floods are the attackers, each from an address of its own.
type floods struct {
	ctx  context.Context
	all  sync.WaitGroup
	mu   sync.Mutex
	said map[string]map[string]int // by flood and answer
	from atomic.Int32
}

func (f *floods) start(ip, token string) {
	main := "http://" + ip + ":9095"
	sender := "Bearer " + demo.WebhookToken
	alert := func(n int, name string, over bool) string {
		status, end := "firing", "0001-01-01T00:00:00Z"
		if over {
			status, end = "resolved", time.Now().UTC().Format(time.RFC3339)
		}
		return fmt.Sprintf(`{"version":"4","groupKey":"g%[2]d","receiver":"w","status":%[1]q,`+
			`"alerts":[{"status":%[1]q,"labels":{"alertname":%[5]q,"n":"%[2]d","severity":"critical"},`+
			`"annotations":{"summary":"forged <!channel>"},"startsAt":%[3]q,"endsAt":%[4]q}]}`,
			status, n, began.Format(time.RFC3339), end, name)
	}
	f.requests("forged alerts", 16, func(n int) (string, string, string, http.Header) {
		return http.MethodPost, main + "/webhook/alertmanager", alert(n,
			"Forged", false), http.Header{"Authorization": {"Bearer guess" + strconv.Itoa(n)}}
	})
	f.requests("alerts of a sender that went mad", 16, func(n int) (string, string, string, http.Header) {
		return http.MethodPost, main + "/webhook/alertmanager", alert(n,
			"Mad", n%3 == 2), http.Header{"Authorization": {sender}}
	})
	f.requests("40 alerts that flap", 4, func(n int) (string, string, string, http.Header) {
		return http.MethodPost, main + "/webhook/alertmanager", alert(n/2%40,
			"Flapping", n%2 == 1), http.Header{"Authorization": {sender}}
	})
	costly := strings.Repeat(`{"status":"firing","startsAt":"2026-01-01T12:00:00Z","labels":{"n":"0"`+
		strings.Repeat(`,"a":""`, 60)+`}},`, 7000)
	f.requests("bodies that cost memory", 4, func(int) (string, string, string, http.Header) {
		return http.MethodPost, main + "/webhook/alertmanager", `{"version":"4","alerts":[` +
			strings.TrimSuffix(costly, ",") + `]}`, http.Header{"Authorization": {sender}}
	})
	f.requests("reads with unknown tokens", 16, func(n int) (string, string, string, http.Header) {
		return http.MethodGet, main + "/api/v1/incidents", "", http.Header{"Authorization": {"Bearer unknown" +
			strconv.Itoa(n)}}
	})
	questions := []string{
		"/api/v1/query?query=count_over_time(vector(1)[9000000s:1s])",
		"/api/v1/query?query=" + strings.Repeat("(", 3000) + "1" + strings.Repeat(")", 3000),
		"/api/v1/query_range?query=sum_over_time({__name__!=''}[1h])&start=0&end=2000000000&step=1",
		"/api/v1/query?query={__name__!=''}",
		"/api/v1/query?query=" + strings.Repeat("sum_over_time(", 40) + "vector(1)" + strings.Repeat("[1h:1s])", 40),
		"/api/v1/series?match[]={__name__!=''}",
		"/api/v1/incidents",
		"/api/v1/targets",
	}
	f.requests("questions of somebody who may read", 16, func(n int) (string, string, string, http.Header) {
		return http.MethodGet, main + questions[n%len(questions)], "", http.Header{"Authorization": {"Bearer " + token}}
	})
	large := strings.Repeat("payload=", 6000) // within the limit, so that the signature is checked
	f.requests("forged clicks and events", 8, func(n int) (string, string, string, http.Header) {
		if n%2 == 0 {
			return http.MethodPost, main +
				"/webhook/pagerduty", large, http.Header{"X-PagerDuty-Signature": {"v1=" + strings.Repeat("0", 64)}}
		}
		return http.MethodPost, main + "/webhook/slack", large, http.Header{"X-Slack-Signature": {"v0=" +
			strings.Repeat("0", 64)}, "X-Slack-Request-Timestamp": {strconv.FormatInt(time.Now().Unix(), 10)}}
	})
	f.requests("reads of metrics", 8, func(int) (string, string, string, http.Header) {
		return http.MethodGet, "http://" + ip + ":9096/metrics", "", nil
	})
	for _, port := range []string{"9095", "9096"} {
		for range 8 {
			f.slow(ip+":"+port, 150)
		}
	}
}

// address is one that nobody else of this machine uses as a source.
func (f *floods) address() *net.TCPAddr {
	n := f.from.Add(1)
	return &net.TCPAddr{IP: net.IPv4(127, 99, byte(n>>8), byte(n))}
}

func (f *floods) count(flood, answer string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.said[flood] == nil {
		f.said[flood] = map[string]int{}
	}
	f.said[flood][answer]++
}

// requests sends what next returns over n connections until the floods end.
func (f *floods) requests(flood string, n int, next func(k int) (method, url, body string, header http.Header)) {
	dialer := net.Dialer{LocalAddr: f.address(), Timeout: 5 * time.Second}
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: dialer.DialContext,
		MaxIdleConnsPerHost: n}}
	for c := range n {
		f.all.Go(func() {
			for k := c; f.ctx.Err() == nil; k += n {
				method, url, body, header := next(k)
				req, err := http.NewRequestWithContext(f.ctx, method, url, bytes.NewReader([]byte(body)))
				if err != nil {
					f.count(flood, err.Error())
					return
				}
				req.Header = header.Clone()
				if req.Header == nil {
					req.Header = http.Header{}
				}
				req.Header.Set("Content-Type", "application/json")
				resp, err := client.Do(req)
				if err != nil {
					f.count(flood, "cut off")
					after(f.ctx, 10*time.Millisecond)
					continue
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				f.count(flood, strconv.Itoa(resp.StatusCode))
			}
		})
	}
}

// slow holds n connections of one address open, a byte of a header each second.
func (f *floods) slow(to string, n int) {
	dialer := net.Dialer{LocalAddr: f.address(), Timeout: 5 * time.Second}
	for range n {
		f.all.Go(func() {
			for f.ctx.Err() == nil {
				conn, err := dialer.DialContext(f.ctx, "tcp", to)
				if err != nil {
					f.count("slow connections", "refused")
					after(f.ctx, time.Second)
					continue
				}
				f.count("slow connections", "opened")
				_, err = conn.Write([]byte("GET /-/healthy HTTP/1.1\r\nX-Slow: "))
				for err == nil && f.ctx.Err() == nil {
					after(f.ctx, time.Second)
					_, err = conn.Write([]byte("a"))
				}
				_ = conn.Close()
			}
		})
	}
}

func (f *floods) report(b *testing.B) {
	b.Helper()
	for flood, answers := range f.said {
		b.Logf("%s: %v", flood, answers)
	}
}
