package kube

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchdog.io/watchdog/pkg/remediate"
)

// Every Service that selects the pods counts, whichever the configuration names.
func TestServicesThatSelectThePods_X20(t *testing.T) {
	a, c := newAPI(t)
	shop(a)
	service := func(name, spec string) {
		a.put("/api/v1/namespaces/shop/services/"+name, `{"metadata":{"name":"`+name+`"},"spec":`+spec+`}`)
	}
	service("cart", `{"selector":{"app":"cart"}}`)
	service("other", `{"selector":{"app":"cart","version":"v2"}}`)
	service("written-by-hand", `{}`)
	service("elsewhere", `{"type":"ExternalName","externalName":"x.example","selector":{"app":"cart"}}`)
	w, err := NewReader(c).Workload(t.Context(), shopCart, "")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]remediate.Service{{Name: "cart", Selector: map[string]string{"app": "cart"}, Ready: 1}},
		w.Services); d != "" || w.NoServices != "" {
		t.Errorf("%s; %q", d, w.NoServices)
	}
}

func TestThatServicesMayNotBeReadIsToldAndStopsNothingElse_X20(t *testing.T) {
	a, c := newAPI(t)
	shop(a)
	a.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/services") {
			refuse(w, 403, "Forbidden", "no")
			return true
		}
		return false
	}
	w, err := NewReader(c).Workload(t.Context(), shopCart, "")
	if err != nil || !strings.Contains(w.NoServices, `grant the verb "list" on "services"`) || w.Endpoints() != nil {
		t.Errorf("%v; %q, %v", err, w.NoServices, w.Endpoints())
	}
}

// Whoever made the autoscaler says so by its owner reference: the name is free.
func TestAnAutoscalerOfKEDAHasAnyName_X23(t *testing.T) {
	a, c := newAPI(t)
	shop(a)
	a.put("/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/cart",
		`{"metadata":{"name":"cart","uid":"h1","labels":{"argocd.argoproj.io/instance":"shop"},
		"ownerReferences":[{"apiVersion":"keda.sh/v1alpha1","kind":"ScaledObject","name":"cart-scaling","controller":true}]},
		"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"cart"},"maxReplicas":5}}`)
	w, err := NewReader(c).Workload(t.Context(), shopCart, "")
	if err != nil || w.HPA.Owner != "ScaledObject cart-scaling" {
		t.Errorf("%+v, %v", w.HPA, err)
	}
}

func TestOwnersOfAutoscalers_X23(t *testing.T) {
	for _, tc := range []struct {
		name string
		meta metav1.ObjectMeta
		want string
	}{
		{"nobody", metav1.ObjectMeta{Labels: map[string]string{"app.kubernetes.io/managed-by": "Helm"}}, ""},
		{"KEDA, by its label", metav1.ObjectMeta{Labels: map[string]string{"scaledobject.keda.sh/name": "cart"}},
			"ScaledObject cart"},
		{"Flux", metav1.ObjectMeta{Labels: map[string]string{"kustomize.toolkit.fluxcd.io/name": "shop",
			"kustomize.toolkit.fluxcd.io/namespace": "apps"}}, "Flux kustomization apps/shop"},
		{"an operator", metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "Scaler", Name: "s",
			Controller: new(true)}}}, "Scaler s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := ownerOfAutoscaler(tc.meta); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestAWorkloadThatIsBeingDeletedIsReadAsSuch_X27(t *testing.T) {
	a, c := newAPI(t)
	shop(a)
	o := a.get(cartPath)
	meta := o["metadata"].(map[string]any)
	meta["deletionTimestamp"], meta["finalizers"] = "2026-01-01T12:00:00Z", []any{"foregroundDeletion"}
	w, err := NewReader(c).Workload(t.Context(), shopCart, "")
	if err != nil || !w.Deleting.Equal(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)) ||
		!slices.Equal(w.Finalizers, []string{"foregroundDeletion"}) {
		t.Errorf("%s %v, %v", w.Deleting, w.Finalizers, err)
	}
}

func TestWhatATemplateRefersToIsLookedFor_X25(t *testing.T) {
	a, c := newAPI(t)
	a.put("/api/v1/namespaces/shop/configmaps/all",
		`{"metadata":{"name":"all"},"data":{"a.yaml":"x"},"binaryData":{"b":"eA=="}}`)
	a.put("/api/v1/namespaces/shop/persistentvolumeclaims/disk",
		`{"metadata":{"name":"disk"},"spec":{"accessModes":["ReadWriteOnce"]}}`)
	a.put("/api/v1/namespaces/shop/persistentvolumeclaims/going",
		`{"metadata":{"name":"going","deletionTimestamp":"2026-01-01T12:00:00Z"},"spec":{"accessModes":["ReadWriteOnce"]}}`)
	a.put("/api/v1/namespaces/shop/serviceaccounts/cart", `{"metadata":{"name":"cart"}}`)
	a.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/forbidden") {
			refuse(w, 403, "Forbidden", "no")
			return true
		}
		return false
	}
	got := NewReader(c).References(t.Context(), "shop", []remediate.Reference{
		{Kind: "ConfigMap", Name: "all", Keys: []string{"a.yaml", "b", "c"}}, {Kind: "ConfigMap",
			Name: "gone"}, {Kind: "ConfigMap", Name: "forbidden"},
		{Kind: "PersistentVolumeClaim", Name: "disk"}, {Kind: "PersistentVolumeClaim",
			Name: "going"}, {Kind: "ServiceAccount", Name: "cart"}, {Kind: "Secret", Name: "s"},
	})
	if !slices.Equal(got[0].MissingKeys, []string{"c"}) || got[0].Gone || !got[1].Gone ||
		!strings.Contains(got[2].Unknown, "grant the verb") || got[2].Gone {
		t.Errorf("ConfigMaps: %+v", got[:3])
	}
	if got[3].Gone || !slices.Equal(got[3].AccessModes, []string{"ReadWriteOnce"}) || !got[4].Gone || got[5].Gone ||
		got[5].Unknown != "" {
		t.Errorf("claims and accounts: %+v", got[3:6])
	}
	if got[6].Unknown == "" {
		t.Errorf("a Secret was looked at: %+v", got[6])
	}
	for _, r := range a.requests {
		if strings.Contains(r.path, "/secrets") || strings.Contains(r.query, "resourceVersion") {
			t.Errorf("%s?%s", r.path, r.query)
		}
	}
}
