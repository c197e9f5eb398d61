package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"watchdog.io/watchdog/pkg/incident"
)

// contested is an API server with an incident that two people write on at the same moment:
// the first reads of it are answered once both have asked.
type contested struct {
	shelf
	mu    sync.Mutex
	both  sync.WaitGroup
	reads int
	spec  map[string]any
	acked map[string]string
}

func (s *contested) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, one := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), strings.HasSuffix(r.URL.Path,
		"/incidents/"+s.incidents[0].ID)
	if one && r.Method == http.MethodGet {
		s.mu.Lock()
		s.reads++
		first := s.reads <= 2
		s.mu.Unlock()
		if first {
			s.both.Done()
			s.both.Wait()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := func(code int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v)
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/selfsubjectreviews"):
		user := map[string]any{"userInfo": map[string]any{"username": name}}
		answer(201, map[string]any{"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1",
			"status": user})
	case one && r.Method == http.MethodPatch:
		var patch struct {
			Metadata struct{ ResourceVersion string }
			Spec     map[string]any
		}
		if err := json.NewDecoder(r.Body).Decode(&patch); err != nil {
			s.t.Error(err)
		}
		if patch.Metadata.ResourceVersion != fmt.Sprint(s.version) {
			answer(409, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Conflict",
				"code": 409})
			return
		}
		s.version++
		s.spec = patch.Spec
		s.acked[name] = fmt.Sprint(patch.Spec)
		answer(200, s.object())
	case one:
		answer(200, s.object())
	default:
		s.shelf.ServeHTTP(w, r)
	}
}

func (s *contested) object() map[string]any {
	return map[string]any{
		"apiVersion": "watchdog.io/v1alpha1", "kind": "Incident", "spec": s.spec, "status": s.incidents[0],
		"metadata": map[string]any{"name": s.incidents[0].ID, "resourceVersion": fmt.Sprint(s.version)},
	}
}

// Two people take an incident on at the same moment: one has it, and the other one learns
// who.
func TestOfTwoWhoAcknowledgeAtOnceOneIsToldWhoHasIt(t *testing.T) {
	open := sample()
	open.Phase = incident.Escalated
	s := &contested{
		shelf: shelf{t: t, incidents: []incident.Incident{open}, version: 7},
		spec:  map[string]any{},
		acked: map[string]string{},
	}
	s.both.Add(2)
	srv := httptest.NewTLSServer(s) // no token goes over plain HTTP
	defer srv.Close()
	said := map[string]string{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, name := range []string{"alice", "bob"} {
		config := filepath.Join(t.TempDir(), name)
		text := fmt.Appendf(nil, `
apiVersion: v1
kind: Config
current-context: x
contexts: [{ name: x, context: { cluster: x, user: x } }]
clusters: [{ name: x, cluster: { server: %q, insecure-skip-tls-verify: true } }]
users: [{ name: x, user: { token: %q } }]
`, srv.URL, name)
		if err := os.WriteFile(config, text, 0o600); err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			var b bytes.Buffer
			root := newRoot()
			root.SetOut(&b)
			root.SetErr(&b)
			root.SetArgs([]string{"ack", open.ID, "-n", "watchdog", "--kubeconfig", config})
			err := root.Execute()
			mu.Lock()
			defer mu.Unlock()
			said[name] = fmt.Sprint(b.String(), err)
		})
	}
	all.Wait()
	has, other := "alice", "bob"
	if s.acked["bob"] != "" {
		has, other = other, has
	}
	if len(s.acked) != 1 || !strings.Contains(said[other], has) || strings.Contains(said[has], other) {
		t.Errorf("written by %v; said %q", s.acked, said)
	}
}
