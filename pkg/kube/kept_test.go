package kube

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// TestTheWatchesKeepNoDecodedObject: of every kind that is watched only what a state is made of stays.
func TestTheWatchesKeepNoDecodedObject(t *testing.T) {
	yes := true
	meta := metav1.ObjectMeta{Namespace: "shop", Name: "cart", UID: "u1", OwnerReferences: []metav1.OwnerReference{
		{Kind: "Deployment", Name: "other", UID: "u0"}, {Kind: "ReplicaSet", Name: "cart-1", UID: "rs1", Controller: &yes}}}
	for _, o := range []any{&corev1.Pod{ObjectMeta: meta}, &appsv1.ReplicaSet{ObjectMeta: meta},
		&appsv1.Deployment{ObjectMeta: meta}, &appsv1.StatefulSet{ObjectMeta: meta}, &appsv1.DaemonSet{ObjectMeta: meta},
		&discoveryv1.EndpointSlice{ObjectMeta: meta}, &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: meta}} {
		x, err := keep(o)
		if err != nil {
			t.Fatal(err)
		}
		k, ok := keptIn(x)
		if want := (kept{"shop", "cart", "u1", controllerRef{"ReplicaSet", "cart-1", "rs1"}}); !ok || k != want {
			t.Errorf("of %T %+v is kept, want %+v", o, k, want)
		}
		if key, err := cache.MetaNamespaceKeyFunc(x); err != nil || key != "shop/cart" {
			t.Errorf("%T is found as %q: %v", x, key, err)
		}
		if again, err := keep(x); err != nil || again != x {
			t.Errorf("%T is not left as it is: %v", x, err)
		}
	}
}

// TestUsageIsReadPodByPod: also what other servers of the metrics API may answer.
func TestUsageIsReadPodByPod(t *testing.T) {
	const pod = `{"metadata":{"name":"a","namespace":"shop"},"containers":[{"name":"c","usage":{"cpu":"1"}}]}`
	for _, c := range []struct {
		body string
		pods int
		ok   bool
	}{
		{`{"kind":"PodMetricsList","metadata":{"x":[1]},"items":[` + pod + `,` + pod + `],"more":{}}`, 2, true},
		{`{"items":[]}`, 0, true},
		{`{"items":null}`, 0, true},
		{`{"items":[` + pod, 1, false},
		{`{"items":[` + pod + `]`, 1, false},
		{`[]`, 0, false},
		{``, 0, false},
	} {
		var got []podMetrics
		err := eachItem(strings.NewReader(c.body), func(p podMetrics) { got = append(got, p) })
		if len(got) != c.pods || (err == nil) != c.ok {
			t.Errorf("%s: %d pods, %v", c.body, len(got), err)
		}
		for _, p := range got {
			if p.Metadata.Name != "a" || amount(p.Containers[0].Usage, corev1.ResourceCPU) != 1 {
				t.Errorf("%s: %+v", c.body, p)
			}
		}
	}
}
