package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// shelf is as much of an API server as reviews need: incidents to list, and ledgers.
type shelf struct {
	t         *testing.T
	incidents []incident.Incident
	ledgers   map[string]map[string]any
	version   int
	asked     []string // the incidents that were read, "list" for all
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/apis/watchdog.io/v1alpha1/namespaces/watchdog/")
	name := strings.TrimPrefix(path, "ledgers/")
	answer := func(code int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v)
	}
	keep := func(o map[string]any) {
		s.version++
		o["metadata"].(map[string]any)["resourceVersion"] = fmt.Sprint(s.version)
		s.ledgers[o["metadata"].(map[string]any)["name"].(string)] = o
		answer(200, o)
	}
	status := func(code int, reason string) {
		answer(code, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason,
			"code": code})
	}
	stored := func(i incident.Incident) map[string]any {
		return map[string]any{"apiVersion": "watchdog.io/v1alpha1", "kind": "Incident",
			"metadata": map[string]any{"name": i.ID}, "spec": map[string]any{}, "status": i}
	}
	one, single := strings.CutPrefix(path, "incidents/")
	switch {
	case single:
		s.asked = append(s.asked, one)
		k := slices.IndexFunc(s.incidents, func(i incident.Incident) bool { return i.ID == one })
		if k < 0 {
			status(404, "NotFound")
			return
		}
		answer(200, stored(s.incidents[k]))
	case path == "incidents":
		s.asked = append(s.asked, "list")
		items := []any{}
		for _, i := range s.incidents {
			items = append(items, stored(i))
		}
		answer(200, map[string]any{"kind": "IncidentList", "apiVersion": "watchdog.io/v1alpha1",
			"metadata": map[string]any{}, "items": items})
	case path == "ledgers" && r.Method == http.MethodGet:
		items := []any{}
		for _, o := range s.ledgers {
			items = append(items, o)
		}
		answer(200, map[string]any{"kind": "LedgerList", "apiVersion": "watchdog.io/v1alpha1",
			"metadata": map[string]any{}, "items": items})
	case path == "ledgers":
		var o map[string]any
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			s.t.Error(err)
		}
		keep(o)
	case strings.HasSuffix(r.URL.Path, "/selfsubjectreviews"):
		answer(201, map[string]any{"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1",
			"status": map[string]any{"userInfo": map[string]any{"username": "alice"}}})
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/leases/watchdog"):
		answer(200, map[string]any{"kind": "Lease", "apiVersion": "coordination.k8s.io/v1",
			"metadata": map[string]any{"name": "watchdog"}})
	case r.Method == http.MethodGet && s.ledgers[name] != nil:
		answer(200, s.ledgers[name])
	case r.Method == http.MethodPatch && s.ledgers[name] != nil:
		body, _ := io.ReadAll(r.Body)
		var ops []struct {
			Path  string
			Value any
		}
		if err := json.Unmarshal(body, &ops); err != nil || len(ops) != 2 || ops[1].Path != "/spec" {
			s.t.Errorf("patch %s: %v", body, err)
			return
		}
		o := s.ledgers[name]
		if ops[0].Value != o["metadata"].(map[string]any)["resourceVersion"] {
			status(409, "Conflict")
			return
		}
		o["spec"] = ops[1].Value
		keep(o)
	default:
		status(404, "NotFound")
	}
}

// kubeconfig is a file that leads to an API server.
func kubeconfig(t *testing.T, url string) string {
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"x","contexts":[{"name":"x",`+
		`"context":{"cluster":"x","user":"x"}}],"clusters":[{"name":"x","cluster":{"server":%q}}],`+
		`"users":[{"name":"x","user":{}}]}`, url)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAReviewFromTheListToItsLastActionItem(t *testing.T) {
	over := sample()
	over.Phase, over.ResolvedAt = incident.Resolved, time.Now().AddDate(0, 0, -30)
	s := &shelf{t: t, incidents: []incident.Incident{over}, ledgers: map[string]map[string]any{}}
	srv := httptest.NewServer(s)
	defer srv.Close()
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	config := kubeconfig(t, srv.URL)
	half := write("half.yaml", "root_cause: an index was dropped\n")
	full := write("full.yaml", "root_cause: an index was dropped\nimpact: 12 % of requests\naction_items:\n  - { "+
		"what: test migrations, owner: bob, due: 2026-02-01 }\n  - { what: alert on slow queries, owner: eve, due: "+
		"2999-01-01 }\n")
	for _, step := range []struct {
		args []string
		says []string
		fail bool
	}{
		{[]string{"list"}, []string{"01abc  P1        overdue"}, false},
		{[]string{"close", "01abc", "--notes", half}, []string{"incomplete; missing:", "impact assessment",
			"action items for prevention"}, true},
		{[]string{"done", "01abc", "1"}, []string{"no action items yet; close it first"}, true},
		{[]string{"close", "01abc", "--notes", full}, []string{"review closed, 2 action items"}, false},
		{[]string{"list"}, []string{"closed", "2, 1 overdue", "01abc 1: test migrations (bob, due 2026-02-01, overdue)",
			"01abc 2: alert on slow queries (eve, due 2999-01-01)"}, false},
		{[]string{"done", "01ab", "1"}, []string{"test migrations: done"}, false},
		{[]string{"done", "01abc", "1"}, []string{"is already done"}, true},
		{[]string{"list"}, []string{"1, 0 overdue"}, false},
		{[]string{"01abc", "--check"}, []string{"an index was dropped", "12 % of requests", "1. [x] test migrations",
			"2. [ ] alert on slow queries"}, false},
		{[]string{"close", "01abc", "--notes", half}, []string{"incomplete"}, true},
	} {
		root := newRoot()
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetArgs(append(append([]string{"review"}, step.args...), "--kubeconfig", config))
		err := root.ExecuteContext(t.Context())
		text := out.String()
		if err != nil {
			text += err.Error()
		}
		if (err != nil) != step.fail {
			t.Fatalf("%v: %v", step.args, err)
		}
		for _, want := range step.says {
			if !strings.Contains(text, want) {
				t.Errorf("%v: no %q in\n%s", step.args, want, text)
			}
		}
	}
	s.incidents = nil // deleted meanwhile
	root := newRoot()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetArgs([]string{"review", "list", "--kubeconfig", config})
	if err := root.ExecuteContext(t.Context()); err != nil ||
		!strings.Contains(out.String(), "01abc  P1        closed") {
		t.Errorf("of a deleted incident: %v\n%s", err, out.String())
	}
}
