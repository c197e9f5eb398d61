package kube

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

var shopCart = incident.Target{Name: "cart", Namespace: "shop", Kind: "deployment", Workload: "cart"}

// shop is a namespace with a deployment of two revisions and all that belongs to it.
func shop(a *api) {
	a.put("/api/v1/namespaces/shop",
		`{"metadata":{"name":"shop","annotations":{"watchdog.io/hold":"moving"}},"status":{"phase":"Active"}}`)
	a.put(cartPath, `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"cart","namespace":"shop","uid":"u1","generation":4,
		"labels":{"a":"b"},
		"managedFields":[
			{"manager":"kubectl-edit","time":"2026-01-01T10:00:00Z","fieldsV1":{"f:spec":{"f:template":{"f:spec":{}}}}},
			{"manager":"kubectl","subresource":"scale","time":"2026-01-01T11:00:00Z","fieldsV1":{"f:spec":{"f:replicas":{}}}},
			{"manager":"kube-controller-manager","time":"2026-01-01T12:00:00Z","fieldsV1":{"f:status":{}}}]},
		"spec":{"replicas":3,"selector":{"matchLabels":{"app":"cart"}},"strategy":{"type":"RollingUpdate",
			"rollingUpdate":{"maxSurge":"25%","maxUnavailable":"50%"}},
			"template":{"metadata":{"labels":{"app":"cart"}},"spec":{"futureField":123456789012345,
				"containers":[{"name":"c","image":"cart:2"}]}}},
		"status":{"observedGeneration":4,"readyReplicas":2,"updatedReplicas":3,"availableReplicas":2,"unavailableReplicas":1}}`)
	rs := func(name, uid, number, owner string) {
		a.put("/apis/apps/v1/namespaces/shop/replicasets/"+name, `{"metadata":{"name":"`+name+`","uid":"`+uid+`","labels":{"app":"cart"},
			"annotations":{"deployment.kubernetes.io/revision":"`+number+`"},
			"ownerReferences":[{"kind":"Deployment","name":"cart","uid":"`+owner+`","controller":true}]},
			"spec":{"replicas":1,"template":{"metadata":{"labels":{"app":"cart","pod-template-hash":"x"}},
				"spec":{"futureField":123456789012345,"containers":[{"name":"c","image":"cart:`+number+`"}]}}},
				"status":{"readyReplicas":1}}`)
	}
	rs("cart-1", "rs1", "9", "u1")
	rs("cart-2", "rs2", "10", "u1")
	rs("cart-other", "rs3", "11", "somebody else")
	pod := func(name, owner, phase, status string) {
		a.put("/api/v1/namespaces/shop/pods/"+name, `{"metadata":{"name":"`+name+`","uid":"`+name+`","labels":{"app":"cart"},
			"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"hunter2"},
			"ownerReferences":[{"kind":"ReplicaSet","uid":"`+owner+`","controller":true}]},
			"spec":{"nodeName":"n1","containers":[{"name":"c","env":[{"name":"PASSWORD","value":"hunter2"}]}]},
				"status":{"phase":"`+phase+`",`+status+`}}`)
	}
	pod("a", "rs1", "Running", `"conditions":[{"type":"Ready","status":"True"}]`)
	pod("b", "rs2", "Running",
		`"containerStatuses":[{"name":"c","restartCount":4,"state":{"waiting":{"reason":"CrashLoopBackOff"}},`+
			`"lastState":{"terminated":{"exitCode":137,"reason":"OOMKilled"}}}]`)
	pod("c", "rs2", "Failed", `"reason":"Evicted"`)
	pod("d", "rs3", "Running", `"conditions":[]`)
	a.put("/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/other",
		`{"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"StatefulSet","name":"cart"},"maxReplicas":5}}`)
	a.put("/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/cart",
		`{"metadata":{"name":"cart","uid":"h1"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment",`+
			`"name":"cart"},"maxReplicas":5},"status":{"currentReplicas":3,"desiredReplicas":4}}`)
	a.put("/apis/policy/v1/namespaces/shop/poddisruptionbudgets/cart",
		`{"metadata":{"name":"cart"},"spec":{"selector":{"matchLabels":{"app":"cart"}}},"status":{"disruptionsAllowed":1}}`)
	a.put("/apis/policy/v1/namespaces/shop/poddisruptionbudgets/db",
		`{"metadata":{"name":"db"},"spec":{"selector":{"matchLabels":{"app":"db"}}}}`)
	a.put("/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/v4",
		`{"metadata":{"name":"v4","labels":{"kubernetes.io/service-name":"cart"}},"addressType":"IPv4",`+
			`"endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true},"targetRef":{"kind":"Pod",`+
			`"name":"a"}},{"addresses":["10.0.0.2"],"conditions":{"ready":false},"targetRef":{"kind":"Pod",`+
			`"name":"b"}}]}`)
	a.put("/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/v6",
		`{"metadata":{"name":"v6","labels":{"kubernetes.io/service-name":"cart"}},"addressType":"IPv6",`+
			`"endpoints":[{"addresses":["::1"],"conditions":{"ready":true},"targetRef":{"kind":"Pod","name":"a"}}]}`)
}

func TestAWorkloadIsReadWithAllThatBelongsToIt(t *testing.T) {
	a, c := newAPI(t)
	shop(a)
	w, err := NewReader(c).Workload(t.Context(), shopCart, "cart")
	if err != nil {
		t.Fatal(err)
	}
	if w.Target.UID != "u1" || w.Target.Name != "cart" || w.ResourceVersion == "" || w.Desired != 3 || w.Ready != 2 ||
		w.Updated != 3 || w.Unavailable != 1 || w.Generation != 4 || w.Observed != 4 {
		t.Errorf("the object: %+v", w)
	}
	if w.MaxUnavailable != 1 || w.MaxSurge != 1 {
		t.Errorf("of 3: max unavailable %d (50%% rounds down), max surge %d (25%% rounds up)", w.MaxUnavailable,
			w.MaxSurge)
	}
	if !strings.Contains(string(w.Template), `"futureField":123456789012345`) ||
		!strings.Contains(string(w.Revisions[0].Template), `"futureField":123456789012345`) {
		t.Errorf("a field that is not known was lost: %s, %s", w.Template, w.Revisions[0].Template)
	}
	if strings.Contains(string(w.Revisions[0].Template), "pod-template-hash") {
		t.Errorf("the controller's label is still there: %s", w.Revisions[0].Template)
	}
	if len(w.Revisions) != 2 || w.Revisions[0].Number != 10 || w.Revisions[1].UID != "rs1" ||
		w.Revisions[0].Images[0] != "cart:10" {
		t.Errorf("revisions: %+v", w.Revisions)
	}
	if len(w.Pods) != 2 || w.Pods[0].Name != "b" || w.Pods[0].Waiting != "CrashLoopBackOff" ||
		w.Pods[0].LastExit != "exit 137 (OOMKilled)" || w.Pods[0].Restarts != 4 || !w.Pods[1].Ready {
		t.Errorf("pods: %+v", w.Pods)
	}
	if w.HPA == nil || w.HPA.UID != "h1" || w.HPA.Min != 1 || w.HPA.Max != 5 || w.HPA.Current != 3 ||
		w.HPA.Desired != 4 || w.HPA.ResourceVersion == "" {
		t.Errorf("hpa: %+v", w.HPA)
	}
	if d := cmp.Diff([]remediate.Budget{{Name: "cart", Allowed: 1}}, w.Budgets); d != "" {
		t.Error(d)
	}
	if w.EndpointsReady != 1 || w.NamespaceAnnotations["watchdog.io/hold"] != "moving" || w.NamespaceTerminating {
		t.Errorf("around it: %d endpoints, namespace %v", w.EndpointsReady, w.NamespaceAnnotations)
	}
	names := []string{}
	for _, m := range w.Managers {
		names = append(names, m.Name)
	}
	if d := cmp.Diff([]string{"kube-controller-manager", "kubectl", "kubectl-edit"}, names); d != "" ||
		!w.Managers[1].Replicas || w.Managers[1].Template || !w.Managers[2].Template || w.Managers[0].Replicas {
		t.Errorf("managers: %+v", w.Managers)
	}
	if w, err := NewReader(c).Workload(t.Context(), shopCart, ""); err != nil || w.EndpointsReady != -1 {
		t.Errorf("without a Service: %d, %v", w.EndpointsReady, err)
	}
}

// A read that waits for one request after the other hangs here.
func TestWhatBelongsToAWorkloadIsReadBesideEachOther(t *testing.T) {
	a, c := newAPI(t)
	shop(a)
	began := map[string]chan struct{}{"services": make(chan struct{}), "replicasets": make(chan struct{}),
		"pods": make(chan struct{}), "endpointslices": make(chan struct{})}
	await := map[string][]string{"cart": {"services"}, "replicasets": {"pods", "endpointslices"},
		"pods": {"replicasets", "endpointslices"}}
	a.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		what := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		if ch, ok := began[what]; ok {
			close(ch)
		}
		for _, other := range await[what] {
			<-began[other]
		}
		return false
	}
	a.put("/api/v1/namespaces/shop/services/cart", `{"metadata":{"name":"cart"},"spec":{"selector":{"app":"cart"}}}`)
	w, err := NewReader(c).Workload(t.Context(), shopCart, "")
	if err != nil || len(w.Pods) != 2 || len(w.Services) != 1 {
		t.Errorf("%d pods, services %+v, %v", len(w.Pods), w.Services, err)
	}
}

func TestEveryReadIsAQuorumRead(t *testing.T) {
	a, c := newAPI(t)
	shop(a)
	if _, err := NewReader(c).Workload(t.Context(), shopCart, "cart"); err != nil {
		t.Fatal(err)
	}
	for _, r := range a.requests {
		if strings.Contains(r.query, "resourceVersion") {
			t.Errorf("%s?%s may be answered from a cache", r.path, r.query)
		}
	}
}

func TestAPartThatCannotBeReadIsAnErrorThatSaysWhatToGrant(t *testing.T) {
	for _, part := range []string{"deployments/cart", "replicasets", "pods", "namespaces/shop",
		"horizontalpodautoscalers", "poddisruptionbudgets", "endpointslices"} {
		t.Run(part, func(t *testing.T) {
			a, c := newAPI(t)
			shop(a)
			a.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasSuffix(r.URL.Path, "/"+part) {
					refuse(w, 403, "Forbidden", "no")
					return true
				}
				return false
			}
			_, err := NewReader(c).Workload(t.Context(), shopCart, "cart")
			resource, _, _ := strings.Cut(part, "/")
			if err == nil || !strings.Contains(err.Error(), "forbidden: grant the verb") ||
				!strings.Contains(err.Error(), resource) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestOwnersAreRecognised(t *testing.T) {
	for name, test := range map[string]struct{ meta, want string }{
		"nobody": {`{}`, ""},
		"helm alone": {`{"labels":{"app.kubernetes.io/managed-by":"Helm","app.kubernetes.io/instance":"shop"}}`,
			""},
		"argo cd": {`{"annotations":{"argocd.argoproj.io/tracking-id":"shop:apps/Deployment:shop/cart"}}`,
			"Argo CD application shop"},
		"argo cd, by label": {`{"labels":{"app.kubernetes.io/instance":"shop"},` +
			`"annotations":{"argocd.argoproj.io/sync-wave":"1"}}`, "Argo CD application shop"},
		"flux": {`{"labels":{"kustomize.toolkit.fluxcd.io/name":"shop",` +
			`"kustomize.toolkit.fluxcd.io/namespace":"apps"}}`, "Flux kustomization apps/shop"},
		"flux helm": {`{"labels":{"helm.toolkit.fluxcd.io/name":"shop",` +
			`"helm.toolkit.fluxcd.io/namespace":"apps"}}`, "Flux helm release apps/shop"},
		"rollout": {`{"ownerReferences":[{"apiVersion":"argoproj.io/v1alpha1","kind":"Rollout",` +
			`"name":"shop","controller":true}]}`, "Rollout shop"},
		"olm": {`{"ownerReferences":[{"kind":"ClusterServiceVersion","name":"op.v1"}]}`,
			"OLM ClusterServiceVersion op.v1"},
		"flagger": {`{"ownerReferences":[{"apiVersion":"flagger.app/v1beta1","kind":"Canary","name":"shop",` +
			`"controller":true}]}`, "Flagger canary shop"},
		"an operator": {`{"ownerReferences":[{"kind":"Kafka","name":"k","controller":true}]}`, "Kafka k"},
		"argo, by manager": {`{"managedFields":[{"manager":"argocd-controller",` +
			`"fieldsV1":{"f:spec":{"f:template":{}}}}]}`, "Argo CD (field manager argocd-controller)"},
	} {
		t.Run(name, func(t *testing.T) {
			w, _, err := decodeWorkload("deployment", []byte(`{"metadata":`+test.meta+`,"spec":{"template":{}}}`))
			if err != nil || w.Owner != test.want {
				t.Errorf("got %q, %v; want %q", w.Owner, err, test.want)
			}
		})
	}
}

func TestEvidenceHoldsWhatIsNeededAndNoSecret(t *testing.T) {
	a, c := newAPI(t)
	shop(a)
	a.put("/api/v1/namespaces/shop/events/1",
		`{"metadata":{"name":"1"},"involvedObject":{"uid":"u1"},"message":"scaled"}`)
	a.put("/api/v1/namespaces/shop/events/2",
		`{"metadata":{"name":"2"},"involvedObject":{"uid":"other"},"message":"not ours"}`)
	a.answer = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasSuffix(r.URL.Path, "/pods/a/log"):
			_, _ = w.Write([]byte("started with token=hunter2\n"))
		case strings.HasSuffix(r.URL.Path, "/log") && r.URL.Query().Get("previous") == "true":
			refuse(w, 400, "BadRequest", "previous terminated container not found")
		case strings.HasSuffix(r.URL.Path, "/log"):
			_, _ = w.Write([]byte(strings.Repeat("x", 3*captureBytes)))
		default:
			return false
		}
		return true
	}
	b, err := NewReader(c).Evidence(t.Context(), shopCart,
		EvidenceOptions{Redact: func(b []byte) []byte {
			return []byte(strings.ReplaceAll(string(b), "token=hunter2",
				"token=***"))
		}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"workload.json", "revisions.json", "events.json", "pod-a.json", "pod-b.json",
		"log-a-c.txt", "log-b-c.txt"} {
		if len(b.Files[name]) == 0 {
			t.Errorf("no %s", name)
		}
	}
	for name, content := range b.Files {
		if strings.Contains(string(content), "hunter2") {
			t.Errorf("%s holds a secret", name)
		}
		if len(content) > captureBytes+100 {
			t.Errorf("%s has %d bytes", name, len(content))
		}
	}
	if e := string(b.Files["events.json"]); !strings.Contains(e, "scaled") || strings.Contains(e, "not ours") {
		t.Errorf("events: %s", e)
	}
	if len(b.Gaps) != 1 || !strings.Contains(b.Gaps[0], "log-b-c-previous") {
		t.Errorf("gaps: %q", b.Gaps)
	}
	if _, err := NewReader(c).Evidence(t.Context(), shopCart, EvidenceOptions{}); err == nil {
		t.Error("evidence was taken without redaction")
	}
}
