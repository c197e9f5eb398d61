package kube

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// watching runs a watcher over the shop until its informers are in step.
func watching(t *testing.T, a *api, c *Client) *Watcher {
	t.Helper()
	watches := make(chan string, 100)
	a.answer = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasPrefix(r.URL.Path, "/apis/metrics.k8s.io/"):
			reply(w, 200, map[string]any{"items": []any{map[string]any{"metadata": map[string]any{"name": "a"},
				"containers": []any{map[string]any{"name": "c",
					"usage": map[string]any{"cpu": "250m", "memory": "64Mi"}}}}}})
		case r.URL.Query().Get("watch") != "":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			watches <- r.URL.Path
			<-r.Context().Done()
		default:
			return false
		}
		return true
	}
	w, err := NewWatcher(c, WatcherOptions{Registerer: prometheus.NewPedanticRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	w.Watch([]Watched{{Namespace: "shop", Kind: "deployment", Name: "cart", Service: "cart"},
		{Namespace: "shop", Kind: "deployment", Name: "gone"}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for range 5 {
		<-watches
	}
	w.mu.Lock()
	s := w.scopes["shop"]
	w.mu.Unlock()
	for _, i := range s.informers {
		if !cache.WaitForCacheSync(ctx.Done(), i.HasSynced) {
			t.Fatal("not in step")
		}
	}
	newMeter(c, discard()).round(ctx, w.usages())
	return w
}

func TestAWatchedWorkloadIsAnsweredFromMemory(t *testing.T) {
	a, c := newAPI(t)
	shop(a)
	pod := a.get("/api/v1/namespaces/shop/pods/a")
	pod["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)["resources"] =
		map[string]any{"limits": map[string]any{"cpu": "1"}, "requests": map[string]any{"memory": "128Mi"}}
	meta := a.get("/apis/apps/v1/namespaces/shop/deployments/cart")["metadata"].(map[string]any)
	annotations, _ := meta["annotations"].(map[string]any)
	if annotations == nil {
		annotations = map[string]any{}
	}
	annotations[remediate.HoldAnnotation] = "migration"
	meta["annotations"] = annotations
	w := watching(t, a, c)
	got, err := w.State("shop", "Deployment", "cart")
	if err != nil {
		t.Fatal(err)
	}
	if got.ObservedAt.IsZero() || time.Since(got.ObservedAt) > time.Minute {
		t.Errorf("observed at %s", got.ObservedAt)
	}
	got.ObservedAt = time.Time{}
	usage := got.Usage // see TestUsageIsByContainer_X95
	want := WorkloadState{
		Desired: 3, Ready: 2, Updated: 3, Unavailable: 1, RolloutInProgress: true, Restarts: 4,
		Waiting: map[string]int{"CrashLoopBackOff": 1}, NewestWaiting: 1,
		EndpointsReady: 1, HasEndpoints: true, Endpoints: map[string]int{"cart": 1}, HPA: &HPAState{Min: 1, Max: 5,
			Current: 3}, Usage: usage, PodRestarts: got.PodRestarts, Revision: "rs2", RevisionNumber: 10,
		Hold:             "migration",
		ProgressDeadline: 10 * time.Minute, Stalled: "1 pods of the newest revision cannot start",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if _, err := w.State("shop", "deployment", "gone"); !apierrors.IsNotFound(err) {
		t.Errorf("one that does not exist: %v", err)
	}
	if _, err := w.State("shop", "deployment", "never heard of"); err == nil {
		t.Error("one that is not watched has a state")
	}
	w.Watch(nil)
	if _, err := w.State("shop", "deployment", "cart"); err == nil || len(w.scopes) != 0 {
		t.Errorf("no longer watched: %v, %d scopes", err, len(w.scopes))
	}
}

func TestASilentWatchIsNotTrusted(t *testing.T) { // F-12
	a, c := newAPI(t)
	shop(a)
	w := watching(t, a, c)
	quiet := w.scopes["shop"].informers["pods"].heard
	quiet.mu.Lock()
	quiet.at = time.Now().Add(-StaleAfter - time.Second)
	quiet.mu.Unlock()
	st, err := w.State("shop", "deployment", "cart")
	if err == nil || !strings.Contains(err.Error(), "stale: no response from the API server for 1m31s") ||
		time.Since(st.ObservedAt) < StaleAfter {
		t.Errorf("got %v, observed at %s", err, st.ObservedAt)
	}
	if s := w.silence(); s < StaleAfter {
		t.Errorf("silence is %s", s)
	}
	s := &stream{heard: quiet}
	s.listen(watch.Event{Type: watch.Error})
	if _, err := w.State("shop", "deployment", "cart"); err == nil {
		t.Error("an error counts as a sign of life")
	}
	s.listen(watch.Event{Type: watch.Bookmark})
	if _, err := w.State("shop", "deployment", "cart"); err != nil {
		t.Errorf("a bookmark does not count as a sign of life: %v", err)
	}
}

func TestEachWatchIsBoundedAndAsksForBookmarks(t *testing.T) { // F-12
	a, c := newAPI(t)
	shop(a)
	watching(t, a, c)
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, r := range a.requests {
		if strings.Contains(r.query, "watch=true") {
			n++
			q, _ := url.ParseQuery(r.query)
			if s, err := strconv.Atoi(q.Get("timeoutSeconds")); err != nil || s < 300 || s >= 600 ||
				q.Get("allowWatchBookmarks") != "true" {
				t.Errorf("%s?%s", r.path, r.query)
			}
		}
	}
	if n != 5 {
		t.Errorf("%d watches for one namespace, want 5", n)
	}
}

func TestAForbiddenWatchIsSaidAsSuch(t *testing.T) {
	_, c := newAPI(t)
	m, _ := newMetrics(nil, nil, nil)
	s := newScope(c, "shop", discard(), m)
	s.need(map[string]bool{"deployment": true})
	i := s.informers["deployments"]
	i.heard.failed(explain(i.request, &apierrors.StatusError{ErrStatus: apierrors.NewForbidden(resourceGroup(), "",
		nil).ErrStatus}))
	_, err := s.state(Watched{"shop", "deployment", "cart", ""}, time.Now())
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(),
		`grant the verb "list" on "deployments.apps" in namespace "shop"`) {
		t.Errorf("got %v", err)
	}
}

func TestWithoutAMetricsAPIUsageIsNotKnown(t *testing.T) {
	a, c := newAPI(t)
	a.answer = func(w http.ResponseWriter, r *http.Request) bool {
		http.NotFound(w, r)
		return true
	}
	m, _ := newMetrics(nil, nil, nil)
	u := newUsage("shop", discard(), m)
	newMeter(c, discard()).round(t.Context(), []*usage{u})
	if got := u.containers(nil, time.Now()); got != nil || u.absent == "" {
		t.Errorf("got %v", got)
	}
}

func TestEventsAreWrittenOnTheTargetAndOverTheRateDropped(t *testing.T) {
	a, c := newAPI(t)
	arrived := make(chan []byte, 100)
	a.answer = func(w http.ResponseWriter, r *http.Request) bool {
		a.mu.Lock()
		body := a.requests[len(a.requests)-1].body
		a.mu.Unlock()
		arrived <- body
		reply(w, 201, map[string]any{"apiVersion": "v1", "kind": "Event"})
		return true
	}
	e := NewEvents(c, discard(), incident.Target{})
	e.Tell(inc("restart"), entry("planned"))
	e.Tell(inc("rollback"), entry("acted"))
	var ev struct {
		Reason, Message string
		InvolvedObject  map[string]string
	}
	if err := json.Unmarshal(<-arrived, &ev); err != nil {
		t.Fatal(err)
	}
	if ev.Reason != "WatchdogRolledBack" || ev.InvolvedObject["kind"] != "Deployment" ||
		ev.InvolvedObject["name"] != "cart" || !strings.Contains(ev.Message, "incident 01k3") {
		t.Errorf("got %+v", ev)
	}
	e.limit.SetBurst(0)
	e.Tell(inc("restart"), entry("acted"))
	if len(arrived) != 0 {
		t.Error("an event over the rate was written")
	}
}

func TestUsageIsByContainer_X95(t *testing.T) {
	u := &usage{at: time.Now(), pods: podUsage{{"a", "app"}: {math.NaN(), 990}, {"b", "app"}: {math.NaN(), 310}}}
	var pods []*keptPod
	for _, name := range []string{"a", "b", "unmeasured"} {
		p, err := keep(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "app", Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{
				corev1.ResourceMemory: resource.MustParse("1000")}}}, {Name: "unbounded"}}}})
		if err != nil {
			t.Fatal(err)
		}
		pods = append(pods, p.(*keptPod))
	}
	got := u.containers(pods, time.Now())
	if len(got) != 2 || got[0].Pod != "a" || got[0].Memory != .99 || got[1].Memory != .31 || got[0].CPU == got[0].CPU {
		t.Errorf("%+v", got)
	}
	if got := u.containers(pods, time.Now().Add(2*usageMaxAge)); got != nil {
		t.Errorf("old: %+v", got)
	}
}
