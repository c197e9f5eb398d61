//go:build integration

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"watchdog.io/watchdog/internal/demo"
	"watchdog.io/watchdog/pkg/incident"
)

// tutorial returns the block of docs/prometheus.md that begins with the name of a
// file, for the scene's own names and addresses.
func tutorial(t *testing.T, s *demo.Scene, file string, pairs ...string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs", "prometheus.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "```yaml\n# "+file+"\n")
	block, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatalf("docs/prometheus.md has no block %s", file)
	}
	block = strings.NewReplacer("namespace: agent-system", "namespace: "+s.Namespace,
		".agent-system/", "."+s.Namespace+"/").Replace(block)
	return replaced(t, block, pairs...)
}

// TestFromScrapeToResolved follows docs/prometheus.md: Prometheus scrapes the application, its rule fires,
// Alertmanager posts the alert, watchdog asks Prometheus by the same rule, rolls
// the release back, sees the rule end, and Alertmanager says so, too.
func TestFromScrapeToResolved(t *testing.T) {
	s := stage(t, "pipeline")
	watched := watchThrough(t, s)
	good(t, s)
	target, err := s.URL(t.Context(), "/work")
	if err != nil {
		t.Fatal(err)
	}
	s.Load = demo.StartLoad(target, 8, 100*time.Millisecond)
	if err := s.Release(t.Context(), "v2.2.0"); err != nil { // fails 30 % of its requests
		t.Fatal(err)
	}
	inc, err := s.WaitIncident(within(t, 2*time.Minute), "resolved after a rollback", func(i incident.Incident) bool {
		return i.Target.Name == "agent-system" && i.Phase == incident.Resolved
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(inc.Attempts) != 1 || inc.Attempts[0].Action != "rollback" || inc.Attempts[0].Verdict != incident.Helped ||
		inc.Attempts[0].Rule != "AgentSystemErrors" {
		t.Errorf("attempts %+v", inc.Attempts)
	}
	if inc.Severity != incident.P1 || !explains(inc, "of the requests to agent-system fail") {
		t.Errorf("severity %s; %+v", inc.Severity, inc.Timeline)
	}
	wantEffects(t, s, 1)
	// Both the firing and the resolved notification were taken.
	until(t, "the webhook to have taken the alert and its end", time.Minute,
		func() bool { return watched.accepted(t) >= 2 })

	// watchdog speaks Prometheus' API itself.
	api, err := s.WatchdogURL(t.Context(), "/api/v1/query?query=probe_success")
	if err != nil {
		t.Fatal(err)
	}
	if body := fetch(t, api, reader(t, s)); !strings.Contains(body, `"target":"agent-system"`) {
		t.Errorf("GET %s: %s", api, body)
	}

	// What no target is on is told, and nothing is done about it.
	other, err := s.WaitIncident(within(t, time.Minute), "about the disk", func(i incident.Incident) bool {
		return strings.HasPrefix(i.Target.Name, "not watched: NodeDiskFillsUp")
	})
	if err != nil {
		t.Fatal(err)
	}
	if other.Paged || other.Severity != incident.P2 || len(other.Attempts) != 0 {
		t.Errorf("%+v", other)
	}
}

// TestWhoPostsAlertsActsOnNothing_SEC32: a sender with the right token may say what
// it likes; while watchdog's own eyes see nothing, nothing is done.
func TestWhoPostsAlertsActsOnNothing_SEC32(t *testing.T) {
	s := stage(t, "evil")
	text := config(t, s, "release")
	text = text[:strings.Index(text, "thresholds:")] + `thresholds: []
alertmanager: { senders: [{ name: evil, token_file: /etc/watchdog/secrets/alertmanager/alertmanager }] }
routes:
  - mode: auto
    ladder: [capture, {scale: { by: 1, max: 20 }}, restart, rollback, page]
`
	installText(t, s, text)
	url, err := s.WatchdogURL(t.Context(), "/webhook/alertmanager")
	if err != nil {
		t.Fatal(err)
	}
	if code := post(t, url, "", alertPost("firing", "Evil", s.Namespace)); code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", code)
	}
	for i := range 300 {
		name := fmt.Sprint("Evil", i%30)
		if code := post(t, url, demo.WebhookToken, alertPost([]string{"firing", "resolved"}[i%3/2], name,
			s.Namespace)); code != http.StatusOK {
			t.Fatalf("post %d: %d", i, code)
		}
	}
	if _, err := s.WaitIncident(within(t, time.Minute), "open because of what was posted, and held",
		func(i incident.Incident) bool {
			return i.Target.Name == "agent-system" && i.Phase != incident.Resolved &&
				explains(i, "watchdog's own data shows no problem")
		}); err != nil {
		t.Fatal(err)
	}
	// Long enough for every rung to have been considered.
	if _, err := s.WaitIncident(within(t, 2*time.Minute), "told to a person",
		func(i incident.Incident) bool { return i.Target.Name == "agent-system" && i.Paged }); err != nil {
		t.Fatal(err)
	}
	if got := attempts(t, s); len(got) != 0 {
		t.Errorf("watchdog tried to write: %s %s", got[0].Verb, got[0].RequestURI)
	}
}

// monitoring is a real Prometheus and a real Alertmanager around a scene.
type monitoring struct {
	scene        *demo.Scene
	prometheus   string
	alertmanager string
}

// watchThrough starts both and installs watchdog, all as docs/prometheus.md says.
func watchThrough(t *testing.T, s *demo.Scene) *monitoring {
	t.Helper()
	m := &monitoring{scene: s, prometheus: free(t), alertmanager: free(t)}
	dir := t.TempDir()
	rules := tutorial(t, s, "rules.yaml")
	m.serve(t, dir, rules)
	values := tutorial(t, s, "values.yaml", "http://prometheus.monitoring:9090", "http://"+m.prometheus,
		"secrets/alertmanager/token", "secrets/alertmanager/alertmanager")
	var doc struct {
		Config map[string]any `yaml:"config"`
	}
	if err := yaml.Unmarshal([]byte(values), &doc); err != nil {
		t.Fatal(err)
	}
	// The scene's receivers and short times are not the reader's.
	var base map[string]any
	text := config(t, s, "release")
	if err := yaml.Unmarshal([]byte(text[:strings.Index(text, "thresholds:")]), &base); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"receivers", "guards", "evaluation_interval"} {
		doc.Config[key] = base[key]
	}
	conf, err := yaml.Marshal(doc.Config)
	if err != nil {
		t.Fatal(err)
	}
	s.Values = map[string]any{"extraFiles": map[string]any{"rules.yaml": rules}}
	installText(t, s, string(conf))
	url, err := s.WatchdogURL(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "token"), demo.WebhookToken)
	write(t, filepath.Join(dir, "alertmanager.yml"), tutorial(t, s,
		"alertmanager.yml", "http://watchdog.watchdog:9095", url))
	process(t, dir, "alertmanager", "--config.file=alertmanager.yml", "--storage.path="+filepath.Join(dir, "am"),
		"--web.listen-address="+m.alertmanager, "--cluster.listen-address=")
	ready(t, "http://"+m.alertmanager+"/-/ready")
	return m
}

// serve starts Prometheus on the application's pods, of which its list is kept as
// service discovery would keep it.
func (m *monitoring) serve(t *testing.T, dir, rules string) {
	t.Helper()
	pods := filepath.Join(dir, "pods.json")
	write(t, filepath.Join(dir, "rules.yaml"), rules)
	write(t, filepath.Join(dir, "prometheus.yml"), fmt.Sprintf(`global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [rules.yaml]
alerting:
  alertmanagers: [{ static_configs: [{ targets: [%q] }] }]
scrape_configs:
  - { job_name: pods, file_sd_configs: [{ files: [%q], refresh_interval: 1s }] }
`, m.alertmanager, pods))
	done := make(chan struct{})
	go listPods(t, m.scene, pods, done)
	t.Cleanup(func() { close(done) })
	process(t, dir, "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path="+filepath.Join(dir, "tsdb"),
		"--web.listen-address="+m.prometheus)
	ready(t, "http://"+m.prometheus+"/-/ready")
}

// accepted is how many webhooks watchdog's replicas have put on disk.
func (m *monitoring) accepted(t *testing.T) int {
	t.Helper()
	return total(t, m.scene, `watchdog_webhook_requests_total{result="accepted"} `)
}

// pods are the addresses of the scene's watchdogs.
func pods(t *testing.T, s *demo.Scene) []string {
	t.Helper()
	out, err := s.Run(t.Context(), "", "kubectl", "-n", s.Watchdog,
		"get", "pods", "-l", "app.kubernetes.io/name=watchdog", "-o", "jsonpath={.items[*].status.podIP}")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, ip := range strings.Fields(out) {
		all = append(all, "127."+strings.SplitN(ip, ".", 2)[1])
	}
	return all
}

// process runs one of the real programs, of bin/ or installed, until the test ends.
func process(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	path := filepath.Join(root, "bin", name)
	if _, err := os.Stat(path); err != nil {
		if path, err = exec.LookPath(name); err != nil {
			t.Fatalf("there is no %s: run make bin/%s or hack/need", name, name)
		}
	}
	logs := filepath.Join(tb.Dir, "logs")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(logs, filepath.Base(t.Name())+"-"+name+".log"),
		os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		log.Close()
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			lines := strings.Split(string(b), "\n")
			t.Logf("%s:\n%s", name, strings.Join(lines[max(0, len(lines)-30):], "\n"))
		}
	})
}

func fetch(t *testing.T, url string, client ...*http.Client) string {
	t.Helper()
	resp, err := append(client, http.DefaultClient)[0].Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func ready(t *testing.T, url string) {
	t.Helper()
	until(t, url, 30*time.Second, func() bool {
		resp, err := http.Get(url)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// until waits for something that nothing announces.
func until(t *testing.T, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	ctx := within(t, limit)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %s for %s", patience*limit, what)
		case <-tick.C:
		}
	}
}

// free is an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func alertPost(status, name, namespace string) []byte {
	return fmt.Appendf(nil,
		`{"version":"4","groupKey":"g","receiver":"w","status":%[1]q,"alerts":[{"status":%[1]q,`+
			`"labels":{"alertname":%[2]q,"namespace":%[3]q,"deployment":"agent-system","severity":"critical"},`+
			`"annotations":{"summary":"do something"},"startsAt":%[4]q,"endsAt":"0001-01-01T00:00:00Z","fingerprint":""}]}`,
		status, name, namespace, time.Now().UTC().Format(time.RFC3339))
}

func post(t *testing.T, url, token string, body []byte) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
