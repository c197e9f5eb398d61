package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/responder"
	"watchdog.io/watchdog/pkg/responder/inbound"
	"watchdog.io/watchdog/pkg/web"
)

// wordCluster is a cluster in which there is one incident, and alice may answer.
type wordCluster struct {
	mu      sync.Mutex
	object  []byte
	version int
}

func (c *wordCluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	const own = "/apis/watchdog.io/v1alpha1/namespaces/watchdog"
	switch r.Method + " " + r.URL.Path {
	case "GET " + own + "/incidents":
		fmt.Fprintf(w, `{"kind":"IncidentList","apiVersion":"watchdog.io/v1alpha1",`+
			`"metadata":{"resourceVersion":"1"},"items":[%s]}`, c.object)
	case "PATCH " + own + "/incidents/01inc":
		var p struct {
			Metadata struct{ ResourceVersion string }
		}
		_ = json.Unmarshal(body, &p)
		if p.Metadata.ResourceVersion != fmt.Sprint(c.version) {
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Conflict","code":409}`)
			return
		}
		c.version++
		c.object, _ = jsonpatch.MergePatch(c.object, body)
		fallthrough
	case "GET " + own + "/incidents/01inc":
		b, _ := jsonpatch.MergePatch(c.object, fmt.Appendf(nil, `{"metadata":{"resourceVersion":"%d"}}`, c.version))
		_, _ = w.Write(b)
	case "POST /apis/authorization.k8s.io/v1/namespaces/watchdog/localsubjectaccessreviews":
		allowed := bytes.Contains(body, []byte("alice@example.com"))
		fmt.Fprintf(w, `{"kind":"LocalSubjectAccessReview","apiVersion":"authorization.k8s.io/v1","status":{"allowed":%v}}`, allowed)
	case "POST /apis/authentication.k8s.io/v1/tokenreviews":
		fmt.Fprintf(w, `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"authenticated":%v,`+
			`"audiences":["watchdog"],"user":{"username":"alice@example.com"}}}`,
			bytes.Contains(body, []byte("t-alice")) && bytes.Contains(body, []byte("watchdog")))
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
	}
}

// spec is what people have written.
func (c *wordCluster) spec(t *testing.T) (spec struct {
	Acknowledged incident.Attribution
	Approvals    map[string]map[string]incident.Approval
}) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var o struct{ Spec json.RawMessage }
	if err := json.Unmarshal(c.object, &o); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(o.Spec, &spec); err != nil {
		t.Fatal(err)
	}
	return spec
}

const wordConfig = `
targets:
  - { name: shop, namespace: shop, workload: deployment/shop, probes: [{ health: { url: "http://127.0.0.1:1/" } }] }
api: { control: true }
receivers:
  slack:
    url: %[1]s/slack/api/
    token_file: %[2]s
    channel: "#incidents"
    interaction:
      signing_secret_file: %[3]s
      users:
        - { id: U0ALICE, user: alice@example.com, groups: [sre] }
        - { id: U0CAROL, user: carol@example.com }
`

// From the button on the recorded message to the word on the incident and the record,
// on a replica that follows (SEC-07, F-99).
func TestAButtonOnTheMessageBecomesAWordOnTheIncident(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	now := time.Now().UTC()
	inc := incident.Incident{
		ID: "01inc", Target: incident.Target{Name: "shop", Namespace: "shop", Kind: "deployment", Workload: "shop"},
		Phase: incident.Open, Severity: incident.P1, Lead: "errors", OpenedAt: now, UpdatedAt: now, Paged: true,
		Asked: &incident.Request{Op: "op1", Until: now.Add(time.Hour), Quorum: 1,
			Plan: incident.Plan{Action: "rollback", Summary: "roll back shop", Hash: strings.Repeat("3f9a", 8)}},
	}
	status, err := json.Marshal(inc)
	if err != nil {
		t.Fatal(err)
	}
	cluster := &wordCluster{version: 7, object: fmt.Appendf(nil,
		`{"kind":"Incident","apiVersion":"watchdog.io/v1alpha1","metadata":{"name":"01inc","resourceVersion":"7"},`+
			`"spec":{},"status":%s}`, status)}
	api := httptest.NewServer(cluster)
	defer api.Close()
	slack := recorders.New(recorders.Options{})
	there := httptest.NewServer(slack)
	defer there.Close()

	a, err := newApp(Options{
		ConfigFile: file("watchdog.yaml", fmt.Sprintf(wordConfig, there.URL, file("token", "xoxb-1"),
			file("secret", "s3cret"))), DataDir: dir, Namespace: "watchdog", Identity: "w-1",
		Kubeconfig: file("kubeconfig",
			fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c",`+
				`"cluster":{"server":%q}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"c"}}],`+
				`"users":[{"name":"c","user":{}}]}`, api.URL)),
		Logger: slog.New(slog.DiscardHandler),
	}, 15*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer a.record.Close()
	defer a.ingester.Close()
	cfg, err := config.Load(a.o.ConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.use(cfg); err != nil {
		t.Fatal(err)
	}
	a.client.Fence(t.Context()) // another replica leads
	watchdog := httptest.NewServer(web.Handler(a.pages()))
	defer watchdog.Close()

	if _, err := a.built.Load().notifiers[0].Notify(t.Context(), inc, incident.Receipt{}); err != nil {
		t.Fatal(err)
	}
	message := slack.Snapshot().Of(recorders.Slack)[0].Key
	click := func(user string, verb responder.Action, id string) {
		t.Helper()
		c, err := slack.Snapshot().Button(message, responder.Button{Action: verb}.ActionID())
		if err != nil {
			t.Fatal(err)
		}
		c.User, c.ID = user, id
		req, err := c.Request(t.Context(), watchdog.URL+"/webhook/slack", "s3cret", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != http.StatusOK {
			t.Fatalf("%s by %s: %d", verb, user, resp.StatusCode)
		}
	}
	click("U0CAROL", responder.Approve, "1")
	click("U0EVE", responder.Approve, "2")
	if s := cluster.spec(t); len(s.Approvals) != 0 || s.Acknowledged.By != "" {
		t.Fatalf("written for somebody who may not: %+v", s)
	}
	click("U0ALICE", responder.Approve, "3")
	s := cluster.spec(t)
	if yes := s.Approvals["op1"]["alice@example.com"]; yes.By != "alice@example.com" ||
		yes.Plan != inc.Asked.Plan.Hash || yes.Denied || yes.Source != "slack" ||
		s.Acknowledged.By != "alice@example.com" {
		t.Errorf("%+v", s)
	}

	var told []string
	for _, q := range slack.Snapshot().Of(recorders.Slack) {
		if q.Action == "ephemeral" {
			told = append(told, q.Key+" "+q.Summary)
		}
	}
	if len(told) != 3 || !strings.Contains(told[0], "U0CAROL Refused: carol@example.com is not allowed") ||
		!strings.Contains(told[1], "U0EVE Refused: Slack user U0EVE is not listed") ||
		!strings.Contains(told[2], "U0ALICE approved by alice@example.com") {
		t.Errorf("%q", told)
	}
	b, err := os.ReadFile(filepath.Join(dir, "audit", "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var record []string
	for line := range strings.Lines(string(b)) {
		var r struct {
			Kind, Actor string
			Data        struct{ Source, Action, Result string }
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Kind == "responder" {
			record = append(record, r.Actor+" "+r.Data.Source+" "+r.Data.Action+" "+r.Data.Result)
		}
	}
	if want := []string{"carol@example.com slack approve forbidden", "slack user U0EVE slack approve forbidden",
		"alice@example.com slack approve applied"}; !slices.Equal(record, want) {
		t.Errorf("on record: %q", record)
	}

	// By HTTP it is the same service: what was said in Slack is known.
	for token, want := range map[string]int{"t-alice": http.StatusConflict, "t-eve": http.StatusUnauthorized} {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost,
			watchdog.URL+"/api/v1/incidents/01inc/ack", strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", token, resp.StatusCode, want)
		}
	}
}

// Every word that the API takes is described, and nothing else is.
func TestTheDescriptionOfTheAPIIsComplete(t *testing.T) {
	server := httptest.NewServer(web.Handler(web.Options{Logger: slog.New(slog.DiscardHandler),
		Gatherer: prometheus.NewRegistry()}))
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/api/v1/openapi.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var doc struct {
		Paths map[string]map[string]any
	}
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	var described, taken []string
	for path, verbs := range doc.Paths {
		if verbs["post"] != nil {
			described = append(described, "POST "+path)
		}
	}
	for pattern := range inbound.API(inbound.APIOptions{}) {
		taken = append(taken, pattern)
	}
	slices.Sort(described)
	slices.Sort(taken)
	if !slices.Equal(described, taken) {
		t.Errorf("described: %v\ntaken: %v", described, taken)
	}
}
