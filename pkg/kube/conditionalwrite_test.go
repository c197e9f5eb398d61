package kube

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"watchdog.io/watchdog/pkg/incident"
)

const cartPath = "/apis/apps/v1/namespaces/shop/deployments/cart"

// cart stores a deployment and returns a plan that scales it.
func cart(a *api) incident.Plan {
	version := a.put(cartPath,
		`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"cart","namespace":"shop","uid":"u1",`+
			`"annotations":{"keep":"me"}},"spec":{"replicas":3}}`)
	return incident.Plan{
		Action: "scale", Patch: []byte(`{"spec":{"replicas":4}}`),
		Object: incident.Object{Group: "apps", Version: "v1", Resource: "deployments", Namespace: "shop", Name: "cart",
			UID: "u1", ResourceVersion: version},
	}
}

func TestAWriteIsOneRequestThatNamesUIDAndVersionAndCarriesTheOp(t *testing.T) {
	a, c := newAPI(t)
	plan := cart(a)
	outcome, err := NewWriter(c, "watchdog").Write(t.Context(), "op1", plan)
	if outcome != incident.Applied || err != nil {
		t.Fatalf("got %s, %v", outcome, err)
	}
	sent := a.mutations()
	if len(sent) != 1 {
		t.Fatalf("%d mutating requests, want 1", len(sent))
	}
	if want := "fieldManager=watchdog"; sent[0].query != want || sent[0].contentType != "application/merge-patch+json" {
		t.Errorf("sent with query %q as %q", sent[0].query, sent[0].contentType)
	}
	var body, want any
	_ = json.Unmarshal(sent[0].body, &body)
	_ = json.Unmarshal([]byte(`{"spec":{"replicas":4},"metadata":{"uid":"u1","resourceVersion":"`+plan.Object.ResourceVersion+
		`","annotations":{"watchdog.io/op":"op1","watchdog.io/managed-by":"watchdog"}}}`), &want)
	if d := cmp.Diff(want, body); d != "" {
		t.Error(d)
	}
	found, err := NewWriter(c, "watchdog").Find(t.Context(), "op1", plan)
	if !found || err != nil {
		t.Errorf("the op is not found again: %v, %v", found, err)
	}
	if found, err := NewWriter(c, "watchdog").Find(t.Context(), "op2", plan); found || err != nil {
		t.Errorf("another op is found: %v, %v", found, err)
	}
}

func TestAPlanThatCannotBeWrittenSafelyIsNotSent(t *testing.T) { // INV-03
	for name, spoil := range map[string]func(*incident.Plan){
		"no uid":             func(p *incident.Plan) { p.Object.UID = "" },
		"no version":         func(p *incident.Plan) { p.Object.ResourceVersion = "" },
		"no name":            func(p *incident.Plan) { p.Object.Name = "" },
		"nothing to write":   func(p *incident.Plan) { p.Patch = nil },
		"patch and create":   func(p *incident.Plan) { p.Create = []byte(`{}`) },
		"a secret":           func(p *incident.Plan) { p.Object.Group, p.Object.Resource = "", "secrets" },
		"metadata":           func(p *incident.Plan) { p.Patch = []byte(`{"metadata":{"finalizers":[]}}`) },
		"a new deployment":   func(p *incident.Plan) { p.Patch, p.Create = nil, []byte(`{}`) },
		"no object at all":   func(p *incident.Plan) { p.Patch = []byte(`[]`) },
		"a pod":              func(p *incident.Plan) { p.Object.Group, p.Object.Resource = "", "pods" },
		"an old API version": func(p *incident.Plan) { p.Object.Version = "v1beta1" },
	} {
		t.Run(name, func(t *testing.T) {
			a, c := newAPI(t)
			plan := cart(a)
			spoil(&plan)
			outcome, err := NewWriter(c, "watchdog").Write(t.Context(), "op1", plan)
			if outcome != incident.Unsent || err == nil || len(a.mutations()) != 0 {
				t.Errorf("got %s, %v after %d requests", outcome, err, len(a.mutations()))
			}
		})
	}
}

func TestEachAnswerOfTheAPIServerHasOneMeaning(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer func(w http.ResponseWriter)
		want   incident.Outcome
	}{
		{"conflict", func(w http.ResponseWriter) { refuse(w, 409, "Conflict", "changed") }, incident.Conflicted},
		{"gone", func(w http.ResponseWriter) { refuse(w, 404, "NotFound", "gone") }, incident.Conflicted},
		{"forbidden", func(w http.ResponseWriter) { refuse(w, 403, "Forbidden", "no") }, incident.Denied},
		{"unauthorized", func(w http.ResponseWriter) { refuse(w, 401, "Unauthorized", "no") }, incident.Denied},
		{"invalid", func(w http.ResponseWriter) { refuse(w, 422, "Invalid", "no") }, incident.Denied},
		{"uid is immutable", func(w http.ResponseWriter) {
			reply(w, 422, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 422,
				"reason": "Invalid", "details": map[string]any{"causes": []any{map[string]any{"field": "metadata.uid"}}}})
		}, incident.Conflicted},
		{"too many requests", func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "0")
			refuse(w, 429, "TooManyRequests", "slow down")
		}, incident.Unknown},
		{"internal error", func(w http.ResponseWriter) { refuse(w, 500, "InternalError", "webhook") },
			incident.Unknown},
		{"unavailable, try again", func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "0")
			refuse(w, 503, "ServiceUnavailable", "later")
		}, incident.Unknown},
		{"timeout of the server", func(w http.ResponseWriter) { refuse(w, 504, "Timeout", "etcd") }, incident.Unknown},
		{"connection cut", func(w http.ResponseWriter) { panic(http.ErrAbortHandler) }, incident.Unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, c := newAPI(t)
			plan := cart(a)
			a.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if mutating(r.Method) {
					test.answer(w)
					return true
				}
				return false
			}
			outcome, err := NewWriter(c, "watchdog").Write(t.Context(), "op1", plan)
			if outcome != test.want || err == nil {
				t.Errorf("got %s, %v; want %s", outcome, err, test.want)
			}
			if n := len(a.mutations()); n != 1 { // INV-02, INV-06: never a second request
				t.Errorf("%d requests were sent, want 1", n)
			}
		})
	}
}

func TestANoAnswerIsUnknownAndAnUnsentRequestIsUnsent(t *testing.T) {
	a, c := newAPI(t)
	plan := cart(a)
	arrived := make(chan struct{})
	a.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		close(arrived)
		<-r.Context().Done()
		return true
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	if outcome, err := NewWriter(c, "watchdog").Write(ctx, "op1", plan); outcome != incident.Unknown || err == nil {
		t.Errorf("cut while under way: got %s, %v", outcome, err)
	}
	if outcome, err := NewWriter(c, "watchdog").Write(ctx, "op1", plan); outcome != incident.Unsent || err == nil {
		t.Errorf("context ended before: got %s, %v", outcome, err)
	}
}

func TestAConflictLeavesAPersonsChangeAlone(t *testing.T) { // INV-26
	a, c := newAPI(t)
	plan := cart(a)
	a.put(cartPath, `{"metadata":{"name":"cart","namespace":"shop","uid":"u1"},"spec":{"replicas":7}}`)
	if outcome, _ := NewWriter(c, "w").Write(t.Context(), "op1", plan); outcome != incident.Conflicted {
		t.Errorf("got %s", outcome)
	}
	if got := a.get(cartPath)["spec"].(map[string]any)["replicas"]; got != 7.0 {
		t.Errorf("replicas are %v", got)
	}
}

func TestAnObjectMadeAnewCarriesNothingOfOurs(t *testing.T) {
	a, c := newAPI(t)
	plan := cart(a)
	a.put(cartPath, `{"metadata":{"name":"cart","uid":"u2","annotations":{"watchdog.io/op":"op1"}}}`)
	if found, err := NewWriter(c, "w").Find(t.Context(), "op1", plan); found || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
	plan.Object.Name = "gone"
	if found, err := NewWriter(c, "w").Find(t.Context(), "op1", plan); found || err != nil {
		t.Errorf("gone: found %v, %v", found, err)
	}
}

func TestAJobIsCreatedOnce(t *testing.T) {
	a, c := newAPI(t)
	job := incident.Plan{
		Action: "job", Create: []byte(`{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"watchdog-gc-op1",` +
			`"namespace":"shop","labels":{"watchdog.io/op":"op1"}}}`),
		Object: incident.Object{Group: "batch", Version: "v1", Resource: "jobs", Namespace: "shop",
			Name: "watchdog-gc-op1"},
	}
	w := NewWriter(c, "watchdog")
	for range 2 {
		if outcome, err := w.Write(t.Context(), "op1", job); outcome != incident.Applied || err != nil {
			t.Fatalf("got %s, %v", outcome, err)
		}
	}
	path := "/apis/batch/v1/namespaces/shop/jobs/watchdog-gc-op1"
	a.put(path, `{"metadata":{"name":"watchdog-gc-op1","labels":{"watchdog.io/op":"other"}}}`)
	if outcome, err := w.Write(t.Context(), "op1", job); outcome != incident.Conflicted || err == nil {
		t.Errorf("somebody else's job: got %s, %v", outcome, err)
	}
	job.Object.Name = "another"
	if outcome, err := w.Write(t.Context(), "op1", job); outcome != incident.Unsent || err == nil {
		t.Errorf("a job under another name: got %s, %v", outcome, err)
	}
}

func TestAFencedClientSendsNothingButItsLease(t *testing.T) { // INV-05
	a, c := newAPI(t)
	plan := cart(a)
	w := NewWriter(c, "watchdog")
	c.Fence(t.Context())
	outcome, err := w.Write(t.Context(), "op1", plan)
	if outcome != incident.Unsent || !errors.Is(err, ErrFenced) || len(a.mutations()) != 0 {
		t.Fatalf("got %s, %v after %d requests", outcome, err, len(a.mutations()))
	}
	if _, err := w.Find(t.Context(), "op1", plan); err != nil {
		t.Errorf("reading is fenced too: %v", err)
	}
	c.fence.extend(time.Now().Add(time.Minute))
	if outcome, err := w.Write(t.Context(), "op1", plan); outcome != incident.Applied {
		t.Errorf("after a renewal: got %s, %v", outcome, err)
	}
	c.fence.extend(time.Now().Add(-time.Nanosecond))
	if outcome, _ := w.Write(t.Context(), "op2", plan); outcome != incident.Unsent {
		t.Errorf("after the renew deadline: got %s", outcome)
	}
	c.Unfence()
	if outcome, _ := w.Write(t.Context(), "op2", plan); outcome != incident.Conflicted {
		t.Errorf("unfenced: got %s", outcome)
	}
}

func TestWhatTheFenceLetsPass(t *testing.T) {
	for path, want := range map[string]bool{
		"/apis/coordination.k8s.io/v1/namespaces/watchdog/leases/watchdog":       true,
		"/k8s/c-1/apis/coordination.k8s.io/v1/namespaces/watchdog/leases":        true,
		"/api/v1/namespaces/shop/events":                                         true,
		"/apis/apps/v1/namespaces/shop/deployments/cart":                         false,
		"/apis/apps/v1/namespaces/events/deployments/cart":                       false,
		"/apis/watchdog.io/v1alpha1/namespaces/watchdog/ledgers/watchdog":        false,
		"/apis/evil.io/v1/namespaces/watchdog/leases/watchdog":                   false,
		"/api/v1/namespaces/events":                                              false,
		"/apis/autoscaling/v2/namespaces/leases/horizontalpodautoscalers/events": false,
	} {
		if got := exempt(path); got != want {
			t.Errorf("%s: exempt %v, want %v", path, got, want)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	a, c := newAPI(t)
	plan := cart(a)
	a.answer = func(w http.ResponseWriter, _ *http.Request) bool { refuse(w, 403, "Forbidden", "no"); return true }
	_, err := NewWriter(c, "w").Write(t.Context(), "op1", plan)
	if want := `patch deployments.apps shop/cart: forbidden: grant the verb "patch" on "deployments.apps" in ` +
		`namespace "shop"`; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v", err)
	}
	for _, said := range []string{
		`deployments.apps "cart" is forbidden: ValidatingAdmissionPolicy 'watchdog.ops.workloads' with binding 'b' ` +
			`denied request: an image of another repository`,
		`admission webhook "gate" denied the request: frozen`,
	} {
		a.answer = func(w http.ResponseWriter, _ *http.Request) bool { refuse(w, 403, "Forbidden", said); return true }
		o, err := NewWriter(c, "w").Write(t.Context(), "op1", plan)
		if want := `patch deployments.apps shop/cart: denied by an admission policy or webhook, not by RBAC: make ` +
			`the change manually`; o != incident.Denied || err == nil ||
			!strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), said) {
			t.Errorf("%s: got %v", o, err)
		}
	}
	a.server.Close()
	_, err = NewWriter(c, "w").Find(t.Context(), "op1", plan)
	if err == nil || !strings.Contains(err.Error(), "no response from the API server: check its address") {
		t.Errorf("got %v", err)
	}
}
