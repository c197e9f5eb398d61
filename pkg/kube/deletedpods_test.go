package kube

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/client-go/tools/cache"
)

// TestTheOwnerOfADeletedPodIsRemembered_X03: alerts about restarts, evictions and OOM
// kills often name a pod that is gone, and its ReplicaSet may be, too.
func TestTheOwnerOfADeletedPodIsRemembered_X03(t *testing.T) {
	a, c := newAPI(t)
	shop(a)
	a.put("/api/v1/namespaces/shop/pods/gone",
		`{"metadata":{"name":"gone","namespace":"shop","uid":"gone","ownerReferences":[{"kind":"ReplicaSet",`+
			`"name":"cart-7","uid":"rs1","controller":true}]},"spec":{"containers":[]},"status":{"phase":"Running"}}`)
	a.put("/apis/apps/v1/namespaces/shop/replicasets/cart-7",
		`{"metadata":{"name":"cart-7","namespace":"shop","uid":"rs7","ownerReferences":[{"kind":"Deployment",`+
			`"name":"cart","uid":"u1","controller":true}]}}`)
	w := watching(t, a, c)
	s := w.scopes["shop"]
	owner := func() string {
		kind, name, ok := w.OwnerOfPod("shop", "gone")
		return fmt.Sprint(kind, "/", name, " ", ok)
	}
	const cart = "deployment/cart true"
	if got := owner(); got != cart {
		t.Fatalf("while it lives it is %s", got)
	}
	for _, resource := range []string{"pods", "replicasets"} {
		i := s.informers[resource]
		for _, o := range i.GetIndexer().List() {
			if err := i.GetIndexer().Delete(o); err != nil {
				t.Fatal(err)
			}
			s.departed.deleted(resource, cache.DeletedFinalStateUnknown{Key: "x", Obj: o}, time.Now())
		}
		if got := owner(); got != cart {
			t.Errorf("its %s are gone, and it is %s", resource, got)
		}
	}
	s.departed.mu.Lock()
	for k, x := range s.departed.all {
		x.at = x.at.Add(-departedFor)
		s.departed.all[k] = x
	}
	s.departed.mu.Unlock()
	if got := owner(); got != "/ false" {
		t.Errorf("an hour later it is %s", got)
	}
}

func TestTheMemoryOfDeletedPodsIsBounded_X03(t *testing.T) {
	var d departed
	now := time.Now()
	for k := range 3 * maxDeparted {
		d.add(fmt.Sprint("pods/", k), controllerRef{kind: "ReplicaSet", name: "x"}, now.Add(time.Duration(k)*time.Millisecond))
	}
	if len(d.all) > maxDeparted {
		t.Errorf("%d are remembered", len(d.all))
	}
	if d.controllerOf(fmt.Sprint("pods/", 3*maxDeparted-1), now).kind == "" {
		t.Error("the last one is forgotten")
	}
}
