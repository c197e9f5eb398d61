package kube

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
)

// api is a small API server: objects by path, resourceVersions, preconditions.
type api struct {
	t        *testing.T
	server   *httptest.Server
	mu       sync.Mutex
	version  int
	objects  map[string]map[string]any // by path
	requests []seen
	// oldDefinition: incidents have no status sub-resource.
	oldDefinition bool
	// answer may take a request over; it returns true if it did.
	answer func(w http.ResponseWriter, r *http.Request) bool
}

type seen struct {
	method, path, query, contentType string
	body                             []byte
}

func newAPI(t *testing.T) (*api, *Client) {
	t.Helper()
	a := &api{t: t, objects: map[string]map[string]any{}, version: 100}
	a.server = httptest.NewServer(a)
	t.Cleanup(a.server.Close)
	c, err := connect(&rest.Config{Host: a.server.URL,
		ContentConfig: rest.ContentConfig{ContentType: "application/json", AcceptContentTypes: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	return a, c
}

// put stores an object under its path and returns its version.
func (a *api) put(path, object string) string {
	a.t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(object), &o); err != nil {
		a.t.Fatalf("object for %s: %v", path, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.keep(path, o)
}

func (a *api) keep(path string, o map[string]any) string {
	a.version++
	meta, _ := o["metadata"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
		o["metadata"] = meta
	}
	meta["resourceVersion"] = strconv.Itoa(a.version)
	if meta["name"] == nil {
		meta["name"] = path[strings.LastIndex(path, "/")+1:]
	}
	if meta["uid"] == nil {
		meta["uid"] = fmt.Sprintf("uid-%s", meta["name"])
	}
	a.objects[path] = o
	return strconv.Itoa(a.version)
}

func (a *api) get(path string) map[string]any {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.objects[path]
}

// mutations returns the mutating requests seen.
func (a *api) mutations() []seen {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []seen
	for _, s := range a.requests {
		if mutating(s.method) {
			all = append(all, s)
		}
	}
	return all
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	a.mu.Lock()
	a.requests = append(a.requests, seen{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("Content-Type"), body})
	answer := a.answer
	a.mu.Unlock()
	if answer != nil && answer(w, r) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch r.Method {
	case http.MethodGet:
		a.read(w, r)
	case http.MethodPost:
		a.create(w, r, body)
	case http.MethodPut, http.MethodPatch:
		a.change(w, r, body)
	case http.MethodDelete:
		if a.objects[r.URL.Path] == nil {
			refuse(w, http.StatusNotFound, "NotFound", "gone")
			return
		}
		var o struct {
			Preconditions struct{ ResourceVersion string }
		}
		_ = json.Unmarshal(body, &o)
		is := a.objects[r.URL.Path]["metadata"].(map[string]any)["resourceVersion"]
		if v := o.Preconditions.ResourceVersion; v != "" && v != is {
			refuse(w, http.StatusConflict, "Conflict", "the object has been modified")
			return
		}
		delete(a.objects, r.URL.Path)
		reply(w, http.StatusOK, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Success"})
	}
}

func (a *api) read(w http.ResponseWriter, r *http.Request) {
	if o := a.objects[r.URL.Path]; o != nil {
		reply(w, http.StatusOK, o)
		return
	}
	last := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	kind := map[string]string{"pods": "v1/Pod", "services": "v1/Service", "replicasets": "apps/v1/ReplicaSet",
		"deployments": "apps/v1/Deployment", "horizontalpodautoscalers": "autoscaling/v2/HorizontalPodAutoscaler",
		"poddisruptionbudgets": "policy/v1/PodDisruptionBudget", "endpointslices": "discovery.k8s.io/v1/EndpointSlice",
		"events": "v1/Event", "incidents": "watchdog.io/v1alpha1/Incident",
		"ledgers":            "watchdog.io/v1alpha1/Ledger",
		"maintenancewindows": "watchdog.io/v1alpha1/MaintenanceWindow"}[last]
	if kind == "" {
		refuse(w, http.StatusNotFound, "NotFound", last+" not found")
		return
	}
	selector, _ := labels.Parse(r.URL.Query().Get("labelSelector"))
	items, next := []any{}, ""
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	for _, path := range slices.Sorted(maps.Keys(a.objects)) {
		if !strings.HasPrefix(path, r.URL.Path+"/") || !selector.Matches(labelsOf(a.objects[path])) ||
			path <= r.URL.Query().Get("continue") {
			continue
		}
		if items = append(items, a.objects[path]); len(items) == limit {
			next = path
			break
		}
	}
	cut := strings.LastIndex(kind, "/")
	reply(w, http.StatusOK, map[string]any{"kind": kind[cut+1:] + "List", "apiVersion": kind[:cut],
		"metadata": map[string]any{"resourceVersion": strconv.Itoa(a.version), "continue": next}, "items": items})
}

func labelsOf(o map[string]any) labels.Set {
	set := labels.Set{}
	meta, _ := o["metadata"].(map[string]any)
	l, _ := meta["labels"].(map[string]any)
	for k, v := range l {
		set[k] = fmt.Sprint(v)
	}
	return set
}

func (a *api) create(w http.ResponseWriter, r *http.Request, body []byte) {
	var o map[string]any
	if err := json.Unmarshal(body, &o); err != nil {
		refuse(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	path := fmt.Sprintf("%s/%v", r.URL.Path, o["metadata"].(map[string]any)["name"])
	if a.objects[path] != nil {
		refuse(w, http.StatusConflict, "AlreadyExists", "exists")
		return
	}
	if strings.HasSuffix(r.URL.Path, "/incidents") && !a.oldDefinition {
		delete(o, "status")
	}
	if r.URL.Query().Get("dryRun") == "" {
		a.keep(path, o)
	}
	reply(w, http.StatusCreated, o)
}

// change applies a patch or an update; what the result says of uid and
// resourceVersion must be what is stored, as in a real API server.
func (a *api) change(w http.ResponseWriter, r *http.Request, body []byte) {
	path, status := strings.CutSuffix(r.URL.Path, "/status")
	o := a.objects[path]
	if o == nil || status && a.oldDefinition {
		refuse(w, http.StatusNotFound, "NotFound", "gone")
		return
	}
	before, _ := json.Marshal(o)
	after := body
	var err error
	switch r.Header.Get("Content-Type") {
	case "application/merge-patch+json":
		after, err = jsonpatch.MergePatch(before, body)
	case "application/json-patch+json":
		var p jsonpatch.Patch
		if p, err = jsonpatch.DecodePatch(body); err == nil {
			after, err = p.Apply(before)
		}
	}
	var next map[string]any
	if err == nil {
		err = json.Unmarshal(after, &next)
	}
	if err != nil {
		code, reason := http.StatusBadRequest, "BadRequest"
		if r.Header.Get("Content-Type") == "application/json-patch+json" {
			code, reason = http.StatusUnprocessableEntity, "Invalid" // as a test that fails
		}
		refuse(w, code, reason, err.Error())
		return
	}
	if strings.Contains(path, "/incidents/") && !a.oldDefinition {
		part := "status" // is written by its sub-resource only, and nothing else by that
		if status {
			part = "spec"
		}
		if next[part] = o[part]; o[part] == nil {
			delete(next, part)
		}
	}
	was, is := o["metadata"].(map[string]any), next["metadata"].(map[string]any)
	if was["uid"] != is["uid"] || was["resourceVersion"] != is["resourceVersion"] {
		refuse(w, http.StatusConflict, "Conflict", "the object has been modified")
		return
	}
	if r.URL.Query().Get("dryRun") == "" {
		a.keep(path, next)
	}
	reply(w, http.StatusOK, next)
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, reason, message string) {
	reply(w, status, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status,
		"reason": reason, "message": message})
}
