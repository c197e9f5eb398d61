package kube

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/time/rate"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/util/flowcontrol"
)

func TestRequestsAreCountedByVerbResourceAndCode_INV53(t *testing.T) {
	for _, tt := range []struct{ method, url, want string }{
		{"GET", "/apis/apps/v1/namespaces/shop/deployments/cart", "get deployments.apps"},
		{"GET", "/apis/apps/v1/namespaces/shop/replicasets?labelSelector=a", "list replicasets.apps"},
		{"GET", "/api/v1/namespaces/shop/pods?watch=true", "watch pods"},
		{"GET", "/api/v1/namespaces/shop", "get namespaces"},
		{"GET", "/api/v1/namespaces/shop/pods/cart-1/log", "get pods/log"},
		{"GET", "/apis/metrics.k8s.io/v1beta1/pods", "list pods.metrics.k8s.io"},
		{"GET", "/k8s/clusters/c1/api/v1/namespaces", "list namespaces"},
		{"GET", "/version", "get other"},
		{"GET", "/apis", "get other"},
		{"POST", "/apis/authentication.k8s.io/v1/tokenreviews", "create tokenreviews.authentication.k8s.io"},
		{"PUT", "/apis/coordination.k8s.io/v1/namespaces/w/leases/watchdog", "update leases.coordination.k8s.io"},
		{"PATCH", "/apis/watchdog.io/v1alpha1/namespaces/w/incidents/01/status", "patch incidents.watchdog.io/status"},
	} {
		verb, resource := requested(httptest.NewRequest(tt.method, tt.url, nil))
		if got := verb + " " + resource; got != tt.want {
			t.Errorf("%s %s: %q, want %q", tt.method, tt.url, got, tt.want)
		}
	}

	a, c := newAPI(t)
	shop(a)
	if _, err := NewReader(c).Workload(t.Context(), shopCart, ""); err != nil {
		t.Fatal(err)
	}
	a.server.Close()
	_, _ = NewReader(c).Workload(t.Context(), shopCart, "")
	for code, want := range map[string]float64{"200": 1, "error": 1} {
		if n := testutil.ToFloat64(c.requests.WithLabelValues("get", "deployments.apps", code)); n < want {
			t.Errorf("%v requests with code %s", n, code)
		}
	}
}

// An action must not queue behind what nobody waits for.
func TestTheBackgroundHasALimiterOfItsOwn_INV53(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, began := newLanes(), time.Now()
		if _, ok := any(l).(flowcontrol.RateLimiter); !ok {
			t.Fatal("no limiter")
		}
		for range backgroundBurst + 2*backgroundQPS {
			if err := l.Wait(Background(t.Context())); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began).Round(100 * time.Millisecond); took != 2*time.Second {
			t.Errorf("the background took %s, want 2s", took)
		}
		began = time.Now()
		if err := l.Wait(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("an action waited %s behind the background: %v", time.Since(began), err)
		}
	})
}

// F-12: a watch is long, so that many of them are few requests, and one that delivers
// nothing any more is ended and asked for anew all the same.
func TestASilentWatchIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := watch.NewFake()
		w, err := listen(t.Context(), metav1.ListOptions{}, func(e watch.Event) (watch.Event, bool) { return e, true },
			func(context.Context, metav1.ListOptions) (watch.Interface, error) { return inner, nil })
		if err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		for range 5 { // a bookmark each minute
			time.Sleep(time.Minute)
			inner.Action(watch.Bookmark, nil)
			if e := <-w.ResultChan(); e.Type != watch.Bookmark {
				t.Fatalf("got %+v", e)
			}
		}
		quiet := time.Now()
		if e, open := <-w.ResultChan(); open || time.Since(quiet) != watchSilent {
			t.Errorf("after %s: %+v, open %v", time.Since(quiet), e, open)
		}
	})
}

// One that is not even accepted is given up, too.
func TestAWatchThatDoesNotOpenIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := listen(t.Context(), metav1.ListOptions{}, nil,
			func(ctx context.Context, _ metav1.ListOptions) (watch.Interface, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			})
		if err == nil || time.Since(began) != watchSilent {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

// usageOf is the metrics API of many namespaces with a pod each.
func usageOf(a *api, namespaces int, cluster bool) {
	pod := func(ns string) any {
		return map[string]any{"metadata": map[string]any{"name": "p", "namespace": ns}, "containers": []any{
			map[string]any{"name": "c", "usage": map[string]any{"cpu": "250m"}}}}
	}
	a.answer = func(w http.ResponseWriter, r *http.Request) bool {
		items := []any{}
		if ns, one := strings.CutPrefix(r.URL.Path, "/apis/metrics.k8s.io/v1beta1/namespaces/"); one {
			items = append(items, pod(strings.TrimSuffix(ns, "/pods")))
		} else if !cluster {
			refuse(w, 403, "Forbidden", "no")
			return true
		} else {
			for n := range namespaces {
				items = append(items, pod(fmt.Sprintf("ns%02d", n)))
			}
		}
		reply(w, 200, map[string]any{"items": items})
		return true
	}
}

func TestUsageOfManyNamespacesIsOneRequest_INV53(t *testing.T) {
	for _, tt := range []struct {
		name       string
		namespaces int
		cluster    bool
		want       int
	}{
		{"few namespaces", usageEach, true, usageEach},
		{"many", usageEach + 5, true, 1},
		{"many, and RBAC permits no list of the cluster", usageEach + 2, false, 1 + usageEach + 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, c := newAPI(t)
			usageOf(a, tt.namespaces, tt.cluster)
			m, _ := newMetrics(nil, nil, nil)
			var all []*usage
			for n := range tt.namespaces {
				all = append(all, newUsage(fmt.Sprintf("ns%02d", n), discard(), m))
			}
			reading := newMeter(c, discard())
			reading.pace = rate.NewLimiter(rate.Inf, 0)
			reading.round(t.Context(), all)
			if len(a.requests) != tt.want {
				t.Errorf("%d requests, want %d", len(a.requests), tt.want)
			}
			for _, u := range all {
				if len(u.pods) != 1 || u.pods[containerOf{"p", "c"}].cpu != .25 {
					t.Errorf("namespace %s: %v, %s", u.namespace, u.pods, u.absent)
				}
			}
			if !tt.cluster {
				a.requests = nil
				reading.round(t.Context(), all)
				if len(a.requests) != tt.namespaces {
					t.Errorf("%d requests after the refusal, want %d", len(a.requests), tt.namespaces)
				}
			}
		})
	}
}

func TestUsageThatComesLateIsSaid(t *testing.T) {
	var log strings.Builder
	m := newMeter(nil, textLog(&log))
	for _, took := range []time.Duration{usageMaxAge, 2 * usageMaxAge, 2 * usageMaxAge} {
		m.report(took)
	}
	if said := log.String(); strings.Count(said, "too slowly") != 1 || !strings.Contains(said, "rbac.scope: cluster") {
		t.Errorf("said %q", said)
	}
}
