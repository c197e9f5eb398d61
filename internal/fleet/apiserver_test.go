package fleet

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// served returns clients of the stand-in; they write in Protobuf, as all typed clients.
func served(t *testing.T, o APIOptions) *kubernetes.Clientset {
	t.Helper()
	a, err := NewAPIServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	c, err := kubernetes.NewForConfig(&rest.Config{Host: s.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAnInformerSyncsAndFollows(t *testing.T) {
	c := served(t, APIOptions{Targets: 150})
	i := cache.NewSharedIndexInformer(cache.NewListWatchFromClient(c.CoreV1().RESTClient(), "pods", "fleet-001",
		fields.Everything()),
		&corev1.Pod{}, 0, cache.Indexers{})
	changed := make(chan string, 1)
	if _, err := i.AddEventHandler(cache.ResourceEventHandlerFuncs{UpdateFunc: func(_, now any) {
		changed <- now.(*corev1.Pod).Labels["changed"]
	}}); err != nil {
		t.Fatal(err)
	}
	go i.RunWithContext(t.Context())
	if !cache.WaitForCacheSync(t.Context().Done(), i.HasSynced) {
		t.Fatal("the informer has not synced")
	}
	if n := len(i.GetStore().List()); n != 50*podsPerTarget {
		t.Errorf("%d pods of the second namespace", n)
	}
	p := i.GetStore().List()[0].(*corev1.Pod)
	if owner := metav1.GetControllerOf(p); p.Status.Phase != corev1.PodRunning || owner == nil ||
		owner.Kind != "ReplicaSet" {
		t.Errorf("a pod in phase %q of %v", p.Status.Phase, owner)
	}
	if _, err := c.CoreV1().Pods(p.Namespace).Patch(t.Context(), p.Name, types.MergePatchType,
		[]byte(`{"metadata":{"labels":{"changed":"yes"}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := <-changed; got != "yes" {
		t.Errorf("the watch sent %q", got)
	}
}

func TestAWriteOnAnOldVersionIsRefused(t *testing.T) {
	leases := served(t, APIOptions{}).CoordinationV1().Leases(Namespace)
	who := "a"
	first, err := leases.Create(t.Context(), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "x"},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &who}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leases.Create(t.Context(), first, metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		t.Errorf("created twice: %v", err)
	}
	if _, err := leases.Update(t.Context(), first, metav1.UpdateOptions{}); err != nil {
		t.Errorf("an update of the version that was read: %v", err)
	}
	if _, err := leases.Update(t.Context(), first, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("an update of an old version: %v", err)
	}
	_, err = leases.Patch(t.Context(), "x", types.MergePatchType,
		[]byte(`{"metadata":{"resourceVersion":"`+first.ResourceVersion+`"}}`), metav1.PatchOptions{})
	if !apierrors.IsConflict(err) {
		t.Errorf("a patch of an old version: %v", err)
	}
	_, err = leases.Patch(t.Context(), "x", types.JSONPatchType,
		[]byte(`[{"op":"test","path":"/spec/holderIdentity","value":"b"}]`), metav1.PatchOptions{})
	if !apierrors.IsInvalid(err) {
		t.Errorf("a patch whose test fails: %v", err)
	}
}

func TestAListComesInPages(t *testing.T) {
	c := served(t, APIOptions{Targets: 30})
	seen := map[string]bool{}
	o := metav1.ListOptions{Limit: 7}
	for pages := 1; ; pages++ {
		l, err := c.AppsV1().Deployments("").List(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range l.Items {
			seen[d.Name] = true
		}
		if o.Continue = l.Continue; o.Continue == "" {
			if pages != 5 || len(seen) != 30 {
				t.Errorf("%d deployments in %d pages", len(seen), pages)
			}
			return
		}
	}
}

func TestAWatchEndsWithABookmark(t *testing.T) {
	c := served(t, APIOptions{Targets: 1})
	l, err := c.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seconds := int64(2) // the bookmark is due at once
	w, err := c.CoreV1().Pods("").Watch(t.Context(), metav1.ListOptions{ResourceVersion: l.ResourceVersion,
		TimeoutSeconds: &seconds, AllowWatchBookmarks: true})
	if err != nil {
		t.Fatal(err)
	}
	e := <-w.ResultChan()
	if p, ok := e.Object.(*corev1.Pod); e.Type != "BOOKMARK" || !ok || p.ResourceVersion != l.ResourceVersion {
		t.Errorf("%s %v", e.Type, e.Object)
	}
	w.Stop()
}

func TestTheStandInCountsAndThrottles(t *testing.T) {
	a, err := NewAPIServer(APIOptions{Targets: 1, Incidents: 3, Open: true, Throttle: 0.001})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(path string) int {
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return w.Code
	}
	codes := []int{ask("/api/v1/pods"), ask("/api/v1/namespaces/fleet-000/pods"), ask("/api/v1/nothing")}
	if codes[0] != 200 || codes[1] != 429 || codes[2] != 404 {
		t.Errorf("answers %v", codes)
	}
	st := a.state()
	if st.Requests["list pods"] != 2 || st.Incidents["escalated"] != 3 {
		t.Errorf("state %+v", st)
	}
}

func TestTargetsTellHowRegularlyTheyAreAsked(t *testing.T) {
	targets := NewTargets()
	targets.Hang, targets.Failing = 1, 1
	ask := func(n target) int {
		ctx, cancel := context.WithCancel(t.Context())
		if n == 0 {
			cancel() // it would hang
		}
		defer cancel()
		w := httptest.NewRecorder()
		addr, err := net.ResolveTCPAddr("tcp", n.address()+":80")
		if err != nil {
			t.Fatal(err)
		}
		targets.ServeHTTP(w, httptest.NewRequestWithContext(context.WithValue(ctx, http.LocalAddrContextKey, addr),
			http.MethodGet, "/health", nil))
		return w.Code
	}
	for range 2 {
		if codes := []int{ask(1), ask(2), ask(70_000)}; codes[0] != 503 || codes[1] != 200 || codes[2] != 200 {
			t.Errorf("answers %v", codes)
		}
		ask(0)
	}
	a := targets.take()
	if a.Requests != 8 || a.Worst <= 0 || a.Worst > time.Minute || targets.take().Requests != 0 {
		t.Errorf("arrivals %+v", a)
	}
}
