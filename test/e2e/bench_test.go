//go:build integration

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/demo"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
)

// runs is how often the way from detection to action is measured.
const runs = 30

// BenchmarkDetectionToAction measures, on the real control plane, the time from
// the moment that completes `for` to the conditional write in the API server's
// audit log: planning, guards, ledger, evidence, recheck, record and write.
//
//	go test -tags integration -run '^$' -bench DetectionToAction -benchtime 1x ./test/e2e
func BenchmarkDetectionToAction(b *testing.B) {
	// The cooldown doubles with each incident on the target, up to the period of the quarantine: with one of an hour,
	// the eighteenth incident waits for more than a minute.
	s := benchScene(b, "latency", func(text string) string {
		return strings.NewReplacer("for: 10s", "for: 1s", "clear_for: 5s", "clear_for: 1s", "settle: 3s",
			"settle: 100ms", "cooldown: 30s", "cooldown: 1ms\n  quarantine: 100000/1s\n  own_change: 1ms", "interval: 1s, timeout: 1s",
			"interval: 200ms, timeout: 200ms").Replace(text) +
			"budget: { per_target: 1000/1h, per_namespace: 1000/1h, cluster: 1000/1h, min_interval: 1ms }\n"
	})
	measured := map[string]bool{}
	for b.Loop() {
		var took []time.Duration
		for n := range runs {
			if err := s.Fault("agents"); err != nil {
				b.Fatal(err)
			}
			// A resolved alert has no ActiveAt any more.
			due := time.Time{}
			inc, err := s.WaitIncident(b.Context(), fmt.Sprintf("acting, run %d", n), func(i incident.Incident) bool {
				if measured[i.ID] || i.Phase == incident.Resolved || len(i.Alerts) == 0 {
					return false
				}
				due = i.Alerts[0].ActiveAt.Add(time.Second)
				return !i.Alerts[0].ActiveAt.IsZero()
			})
			if err != nil {
				b.Fatal(err)
			}
			inc, err = s.WaitIncident(b.Context(), fmt.Sprintf("resolved, run %d", n), func(i incident.Incident) bool {
				return i.ID == inc.ID && i.Phase == incident.Resolved && len(i.Attempts) == 1 &&
					i.Attempts[0].Verdict == incident.Helped
			})
			if err != nil {
				b.Fatal(err)
			}
			measured[inc.ID] = true
			took = append(took, written(b, s, inc).Sub(due))
			if err := s.Fault(""); err != nil {
				b.Fatal(err)
			}
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "p50-ms")
		b.ReportMetric(float64(took[(len(took)*99+99)/100-1].Milliseconds()), "p99-ms")
		b.ReportMetric(float64(took[len(took)-1].Milliseconds()), "max-ms")
	}
}

// written is when the API server received the incident's first write.
func written(b *testing.B, s *demo.Scene, inc incident.Incident) time.Time {
	b.Helper()
	raw, err := os.ReadFile(filepath.Join(tb.Dir, "audit.log"))
	if err != nil {
		b.Fatal(err)
	}
	for l := range strings.Lines(string(raw)) {
		if !strings.Contains(l, inc.Attempts[0].OpID) || !strings.Contains(l, `"resource":"deployments"`) {
			continue
		}
		var r request
		if json.Unmarshal([]byte(l), &r) == nil && r.mutates() && r.ResponseStatus.Code < 300 {
			return r.Received
		}
	}
	b.Fatalf("no write of op %s in the audit log", inc.Attempts[0].OpID)
	return time.Time{}
}

// BenchmarkMemory reports the resident memory of the leader: idle with one
// target, and with a thousand targets that are probed every 15 seconds.
//
//	go test -tags integration -run '^$' -bench Memory -benchtime 1x ./test/e2e
func BenchmarkMemory(b *testing.B) {
	for _, targets := range []int{1, 1000} {
		b.Run(fmt.Sprintf("targets=%d", targets), func(b *testing.B) {
			s := benchScene(b, fmt.Sprintf("memory-%d", targets),
				func(text string) string { return manyTargets(text, targets) })
			for b.Loop() {
				// Several rounds of probes and rules.
				<-time.After(100 * time.Second)
				pid := pidOf(s, leaderOf(b, s))
				rss, cpu := usage(b, pid)
				b.ReportMetric(rss, "MiB-RSS")
				b.ReportMetric(cpu, "CPU-s")
			}
		})
	}
}

// BenchmarkWebhook floods the leader, as the chart installs it, with alerts on a
// target that it watches, from many connections. The control plane shares the cores.
//
//	go test -tags integration -run '^$' -bench Webhook -benchtime 1x ./test/e2e
func BenchmarkWebhook(b *testing.B) {
	const connections, distinct, lasts = 64, 40_000, 30 * time.Second
	s := benchScene(b, "webhook", func(text string) string {
		return text[:strings.Index(text, "thresholds:")] +
			"thresholds: []\nalertmanager: { senders: [{ name: flood, token_file: " +
			"/etc/watchdog/secrets/alertmanager/alertmanager }] }\n"
	})
	url, err := s.WatchdogURL(b.Context(), "/webhook/alertmanager")
	if err != nil {
		b.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}, Timeout: 20 * time.Second}
	for b.Loop() {
		var mu sync.Mutex
		var all []time.Duration
		refused := map[string]int{}
		ctx, cancel := context.WithTimeout(b.Context(), lasts)
		var senders sync.WaitGroup
		for c := range connections {
			senders.Go(func() {
				for n := c; ctx.Err() == nil; n += connections {
					began := time.Now()
					said := postPod(client, url, n%distinct, n/distinct%2 == 1)
					mu.Lock()
					if said == "" {
						all = append(all, time.Since(began))
					} else {
						refused[said]++
					}
					mu.Unlock()
				}
			})
		}
		senders.Wait()
		cancel()
		rss, cpu := usage(b, pidOf(s, leaderOf(b, s)))
		b.Logf("not accepted: %v", refused)
		slices.Sort(all)
		b.ReportMetric(float64(len(all))/lasts.Seconds(), "POST/s")
		b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
		b.ReportMetric(float64(all[(len(all)*99+99)/100-1].Microseconds())/1000, "p99-ms")
		b.ReportMetric(rss, "MiB-RSS")
		b.ReportMetric(cpu, "CPU-s")
	}
}

// postPod tells of one pod of the target, as Alertmanager would; it returns why it
// was not accepted.
func postPod(client *http.Client, url string, n int, over bool) string {
	status, end := "firing", "0001-01-01T00:00:00Z"
	if over {
		status, end = "resolved", time.Now().UTC().Format(time.RFC3339)
	}
	body := fmt.Sprintf(`{"version":"4","groupKey":"g","receiver":"w","status":%[1]q,"alerts":[{"status":%[1]q,`+
		`"labels":{"alertname":"PodErrors","pod":"agent-system-6d5f7c9b8-x%[2]d","target":"agent-system",`+
		`"severity":"critical","cluster":"eu-1"},"annotations":{"summary":"31%% of the requests fail",`+
		`"runbook":"https://runbooks.example/pods"},"startsAt":%[3]q,"endsAt":%[4]q,`+
		`"generatorURL":"http://prometheus.monitoring:9090/graph?g0.expr=up","fingerprint":"%016[2]x"}]}`,
		status, n, began.Format(time.RFC3339), end)
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+demo.WebhookToken)
	resp, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(resp.Body)
	if resp.StatusCode == http.StatusOK {
		return ""
	}
	return string(said)
}

// began is when the alerts of the flood are said to have begun.
var began = time.Now().UTC().Add(-time.Minute)

// manyTargets repeats the target under other names, at everyday intervals.
func manyTargets(text string, n int) string {
	head, rest, _ := strings.Cut(text, "  - name: agent-system\n")
	target, tail, _ := strings.Cut(rest, "guards:\n")
	target = strings.NewReplacer("interval: 1s, timeout: 1s", "interval: 15s, timeout: 5s").Replace(target)
	var b strings.Builder
	b.WriteString(strings.Replace(head, "evaluation_interval: 1s", "evaluation_interval: 15s", 1))
	for i := range n {
		fmt.Fprintf(&b, "  - name: agent-system-%d\n%s", i, target)
	}
	guards, _, _ := strings.Cut(tail, "thresholds:")
	return b.String() + "guards:\n" + guards // and the shipped rules
}

func benchScene(b *testing.B, name string, edit func(string) string) *demo.Scene {
	b.Helper()
	s, err := demo.NewScene(b.Context(), tb, root, "bench-"+name)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		s.Close()
		_, _ = s.Run(contextForCleanup(), "", "helm", "uninstall", "watchdog", "-n", s.Watchdog)
	})
	text, err := s.Config("agents")
	if err != nil {
		b.Fatal(err)
	}
	if err := s.InstallWatchdog(b.Context(), edit(text)); err != nil {
		b.Fatal(err)
	}
	return s
}

func leaderOf(b *testing.B, s *demo.Scene) string {
	b.Helper()
	out, err := s.Run(b.Context(), "", "kubectl", "-n", s.Watchdog,
		"get", "lease", "watchdog", "-o", "jsonpath={.spec.holderIdentity}")
	if err != nil {
		b.Fatal(err)
	}
	name, _ := kube.Replica(strings.TrimSpace(out))
	return name
}

// usage reads resident memory in MiB and CPU time in seconds of a process.
func usage(b *testing.B, pid int) (rss, cpu float64) {
	b.Helper()
	rss = memory(b, pid, "VmRSS")
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return rss, (user + system) / 100
}

// memory reads one of the sizes in a process' status (VmRSS, VmHWM), in MiB.
func memory(b *testing.B, pid int, which string) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for l := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(l, which+":"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(v)[0], 64)
			return kib / 1024
		}
	}
	b.Fatalf("/proc/%d/status has no %s", pid, which)
	return 0
}
