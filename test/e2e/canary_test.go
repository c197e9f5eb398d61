//go:build integration

package e2e

import (
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// echo answers every request with what it was sent: headers, URL and body, decoded where
// they are encoded, as careless servers do in their error pages. It keeps the bodies.
type echo struct {
	mu     sync.Mutex
	bodies []string
	paths  map[string]int
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	head, _ := httputil.DumpRequest(r, false)
	e.mu.Lock()
	e.bodies = append(e.bodies, string(body))
	e.paths[strings.SplitN(strings.Trim(r.URL.Path, "/"), "/", 2)[0]]++
	e.mu.Unlock()
	said := string(head)
	if _, encoded, ok := strings.Cut(r.Header.Get("Authorization"), "Basic "); ok {
		b, _ := base64.StdEncoding.DecodeString(encoded)
		said += "\nuser and password " + string(b)
	}
	w.WriteHeader(http.StatusBadRequest)
	fmt.Fprintf(w, "bad request: %s\n%s", said, body)
}

// TestNoPlantedSecretLeavesTheProcess_SEC21: 40 secrets are planted where installations have
// them. The other sides send back what they were sent, the application's log prints its
// own, and nothing that leaves watchdog holds one of them.
func TestNoPlantedSecretLeavesTheProcess_SEC21(t *testing.T) {
	s := stage(t, "canary")
	e := &echo{paths: map[string]int{}}
	side := httptest.NewServer(e)
	defer side.Close()

	n := 0
	planted := map[string]string{} // by where it is
	plant := func(where string) string {
		n++
		v := fmt.Sprintf("cnry%02d%s", n, strings.Repeat(string(rune('a'+n%26)), 20))
		planted[where] = v
		return v
	}
	// Those of watchdog itself, in files.
	args := []string{"kubectl", "-n", s.Watchdog, "create", "secret", "generic", "planted"}
	for _, key := range []string{"slack", "statuspage", "probe", "prometheus-password", "silences", "bearer", "sender",
		"reader", "signing", "pagerduty-webhook", "tenant"} {
		args = append(args, "--from-literal="+key+"="+plant("file "+key))
	}
	args = append(args, "--from-literal=pagerduty="+plant("file pagerduty"),
		"--from-literal=hook="+side.URL+"/hook/"+plant("URL of a webhook, its path"),
		"--from-literal=heartbeat="+side.URL+"/heartbeat/"+plant("URL of the heartbeat"),
		"--from-literal=hook-query="+side.URL+"/query?code="+plant("URL of a webhook, its query"))
	keys := plant("audit key") + strings.Repeat("0", 64)
	if _, err := s.Run(t.Context(), "", "kubectl", "create", "namespace", s.Watchdog); err != nil {
		t.Fatal(err)
	}
	for _, a := range [][]string{args, {"kubectl", "-n", s.Watchdog,
		"create", "secret", "generic", "audit", "--from-literal=keys=" + keys}} {
		if out, err := s.Run(t.Context(), "", a...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	// Those of the application: environment, arguments, headers of probes, annotations, its log.
	env := []string{"kubectl", "-n", s.Namespace, "set", "env", "deployment/agent-system"}
	for _, name := range []string{"DB_PASSWORD",
		"API_KEY", "AUTH_TOKEN", "CLIENT_SECRET", "SMTP_PASSWD", "SIGNING_KEY", "ACCESS_KEY", "OAUTH_CREDENTIALS"} {
		env = append(env, name+"="+plant("environment "+name))
	}
	env = append(env, "DATABASE_URL=postgres://app:"+plant("password in a URL of the environment")+"@db/app",
		"UPSTREAM=https://user:"+plant("another password in a URL")+"@upstream/",
		"SENTRY_DSN=https://"+plant("key in a URL of the environment")+"@sentry/1",
		"GREETING="+plant("environment, under a plain name"))
	if out, err := s.Run(t.Context(), "", env...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var arguments []string
	for _, name := range []string{"--db-password=%s", "--api-token=%s", "--secret=%s", "--auth-header=Bearer %s",
		"--license-key=%s"} {
		arguments = append(arguments, fmt.Sprintf("%q", fmt.Sprintf(name, plant("argument "+name))))
	}
	headers := fmt.Sprintf(`[{"name":"Authorization","value":"Bearer %s"},{"name":"X-Api-Key","value":"%s"},`+
		`{"name":"Cookie","value":"session=%s"}]`,
		plant("header of a probe"), plant("another header of a probe"), plant("cookie of a probe"))
	patch := fmt.Sprintf(`{"metadata":{"annotations":{"example.com/api-token":%q}},`+
		`"spec":{"template":{"metadata":{"annotations":{"example.com/password":%q}},`+
		`"spec":{"containers":[{"name":"agent-system","args":[%s],"readinessProbe":{"httpGet":{"httpHeaders":%s}}}]}}}}`,
		plant("annotation of the workload"), plant("annotation of its pods"), strings.Join(arguments, ","), headers)
	if out, err := s.Run(t.Context(), "", "kubectl", "-n", s.Namespace,
		"patch", "deployment", "agent-system", "--type=strategic", "-p", patch); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := s.RolledOut(within(t, time.Minute), 3); err != nil {
		t.Fatal(err)
	}
	// Those in the configuration, which belong into files, and are there all the same.
	text := s.Addressed(strings.NewReplacer("ECHO", side.URL,
		"INLINE1", plant("header of a probe in the configuration"),
		"INLINE2", plant("header of a webhook in the configuration")).Replace(canaryConfig))
	if n != 40 {
		t.Fatalf("%d secrets are planted, want 40", n)
	}
	installText(t, s, text, "receivers.planted.existingSecret=planted", "audit.existingSecret=audit")
	if err := s.Fault("agents"); err != nil {
		t.Fatal(err)
	}
	inc, err := s.WaitIncident(within(t, 90*time.Second), "that a person was to be told of",
		func(i incident.Incident) bool {
			return i.Target.Name == "agent-system" && i.Paged // nothing is done while Prometheus cannot be asked
		})
	if err != nil {
		t.Fatal(err)
	}
	// Every other side has been asked, and has answered with what it was sent.
	until(t, "every other side to have been asked", time.Minute, func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return !slices.ContainsFunc([]string{"probe",
			"prometheus", "slack", "pagerduty", "statuspage", "hook", "query", "bearer", "silences"},
			func(p string) bool { return e.paths[p] == 0 })
	})
	token := account(t, s, "reads", "watchdog-reader")
	outputs := map[string]string{}
	for _, ip := range pods(t, s) {
		for _, path := range []string{"/api/v1/incidents",
			"/api/v1/targets", "/api/v1/rules", "/api/v1/alerts", "/api/v1/series?match[]={__name__!=''}", "/metrics"} {
			outputs[ip+path] = fetch(t, "http://"+ip+":9095"+path, &http.Client{Transport: withToken(token)})
		}
	}
	for _, kind := range []string{"incidents.watchdog.io", "ledgers.watchdog.io", "events"} {
		for _, namespace := range []string{s.Watchdog, s.Namespace} {
			out, err := s.Run(t.Context(), "", "kubectl", "-n", namespace, "get", kind, "-o", "json")
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			outputs[kind+" in "+namespace] = out
		}
	}
	for name, args := range map[string][]string{
		"status": {"status", "-n", s.Watchdog}, "why": {"why", inc.ID, "-n", s.Watchdog},
		"review":    {"review", inc.ID, "-n", s.Watchdog, "-o", "json"},
		"incidents": {"incidents", "-n", s.Watchdog, "-o", "json"},
	} {
		out, err := s.Testbed.Watchdog(t.Context(), args...)
		outputs["watchdog "+name] = fmt.Sprint(out, err)
	}
	logs, _ := filepath.Glob(filepath.Join(tb.Dir, "logs", s.Watchdog+"_*"))
	for _, f := range logs {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		outputs["log "+filepath.Base(f)] = string(b)
	}
	kinds := map[string]int{}
	err = filepath.WalkDir(tb.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		for _, kind := range []string{"audit", "outbox", "evidence", "hints"} {
			if strings.Contains(path, "/var/lib/watchdog/"+kind+"/") {
				b, err := os.ReadFile(path)
				if err != nil {
					return nil // it was replaced meanwhile
				}
				kinds[kind]++
				outputs[path] = string(b)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if kinds["audit"] == 0 || kinds["outbox"] == 0 || kinds["evidence"] == 0 {
		t.Errorf("the data folders were not found: %v", kinds)
	}
	e.mu.Lock()
	// PagerDuty's and Slack's protocols have the secret in the body, too.
	protocol := strings.NewReplacer(`"routing_key":"`+planted["file pagerduty"]+`"`, "", "token="+planted["file slack"],
		"")
	for i, b := range e.bodies {
		outputs[fmt.Sprintf("message %d", i)] = protocol.Replace(b)
	}
	e.mu.Unlock()
	for _, where := range slices.Sorted(maps.Keys(planted)) {
		secret := planted[where]
		for _, output := range slices.Sorted(maps.Keys(outputs)) {
			for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))} {
				if i := strings.Index(outputs[output], form); i >= 0 {
					t.Errorf("%s is in %s: …%s…", where, output,
						outputs[output][max(0, i-120):min(len(outputs[output]), i+len(form)+20)])
				}
			}
		}
	}
	t.Logf("%d secrets, %d outputs, evidence of %d files", len(planted), len(outputs), kinds["evidence"])
}

const canaryConfig = `mode: auto
evaluation_interval: 1s
targets:
  - name: agent-system
    mode: auto
    namespace: NAMESPACE
    workload: deployment/agent-system
    service: agent-system-service
    probes:
      - health: { url: "http://agent-system-service.NAMESPACE/health", interval: 1s, timeout: 1s }
      - agents: { url: "http://agent-system-service.NAMESPACE/api/v2/agents/status", interval: 1s, timeout: 1s }
      - http:   { name: echo, url: "ECHO/probe", interval: 1s, timeout: 1s,
          bearer_token_file: /etc/watchdog/secrets/planted/probe, headers: { X-Api-Key: INLINE1 } }
guards: { cooldown: 30s, good_after: 5s, suspect_window: 5m, wait_limit: 60s }
prometheus: { url: "ECHO/prometheus", basic_auth: { username: u, password_file: /etc/watchdog/secrets/planted/prometheus-password },
    http_headers: { X-Tenant-Key: { files: [/etc/watchdog/secrets/planted/tenant] } } }
alertmanager:
  senders: [{ name: am, token_file: /etc/watchdog/secrets/planted/sender }]
  silences: { urls: ["ECHO/silences"], interval: 5s, bearer_token_file: /etc/watchdog/secrets/planted/silences }
api: { read_token_files: [/etc/watchdog/secrets/planted/reader] }
heartbeat: { url_file: /etc/watchdog/secrets/planted/heartbeat, interval: 10s }
receivers:
  pagerduty:  { url: "ECHO/pagerduty", routing_key_file: /etc/watchdog/secrets/planted/pagerduty,
      webhook: { secret_files: [/etc/watchdog/secrets/planted/pagerduty-webhook], acknowledge: anybody } }
  slack:      { url: "ECHO/slack/api/", token_file: /etc/watchdog/secrets/planted/slack, channel: "#incidents",
      interaction: { signing_secret_file: /etc/watchdog/secrets/planted/signing,
      users: [{ id: U0CANARY1, user: alice@example.com }] } }
  statuspage: { url: "ECHO/statuspage", page_id: demo, token_file: /etc/watchdog/secrets/planted/statuspage, publish: auto,
      pending_for: 2s, clear_after: 1s, min_update_interval: 1s }
  webhooks:
    - { name: hook, url_file: /etc/watchdog/secrets/planted/hook }
    - { name: query, url_file: /etc/watchdog/secrets/planted/hook-query }
    - { name: bearer, url: "ECHO/bearer", bearer_token_file: /etc/watchdog/secrets/planted/bearer, headers: { X-Auth-Token: INLINE2 } }
thresholds:
  - { name: asked_of_prometheus, expr: "up == 0", source: prometheus, above: 0, for: 1m, severity: P3, ladder: [page] }
  - metric: active_agents
    below: 2
    for: 5s
    clear_for: 5s
    severity: P1
    mode: auto
    ladder:
      - capture
      - restart: { settle: 3s, verify: 30s }
      - page
`
