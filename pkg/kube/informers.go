package kube

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// Names of the indexes by which a workload's belongings are found.
const (
	byOwner   = "owner"   // UID of the controller
	byService = "service" // name of the Service
	byPod     = "pod"     // name of a pod among the endpoints
	byTarget  = "target"  // kind/name of what an autoscaler scales
)

// informer is one resource of one namespace in memory.
type informer struct {
	cache.SharedIndexInformer
	request request
	heard   *heard
}

// scope is one namespace in memory.
type scope struct {
	c         *Client
	namespace string
	log       *slog.Logger
	metrics   *metrics
	usage     *usage
	ctx       context.Context
	stop      context.CancelFunc

	mu        sync.Mutex
	informers map[string]*informer // by resource
	departed  departed             // whose deleted pods were
}

func newScope(c *Client, namespace string, log *slog.Logger, m *metrics) *scope {
	return &scope{c: c, namespace: namespace, log: log, metrics: m, informers: map[string]*informer{},
		usage: newUsage(namespace, log, m)}
}

// need adds the informers that the kinds ask for and returns the new ones.
func (s *scope) need(kinds map[string]bool) []*informer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var added []*informer
	add := func(group, resource string, client rest.Interface, example runtime.Object, indexers cache.Indexers) {
		if s.informers[resource] != nil {
			return
		}
		i := s.inform(request{"list", strings.TrimSuffix(resource+"."+group, "."), s.namespace, ""}, resource, client,
			example, indexers)
		if resource == "pods" || resource == "replicasets" {
			s.departed.watch(i, resource)
		}
		s.informers[resource] = i
		added = append(added, i)
	}
	owner := cache.Indexers{byOwner: ownerIndex}
	add("", "pods", s.c.watches.core, &corev1.Pod{}, owner)
	add("discovery.k8s.io", "endpointslices", s.c.watches.discovery, &discoveryv1.EndpointSlice{},
		cache.Indexers{byService: serviceIndex, byPod: podIndex})
	add("autoscaling", "horizontalpodautoscalers", s.c.watches.autoscaling, &autoscalingv2.HorizontalPodAutoscaler{},
		cache.Indexers{byTarget: targetIndex})
	if kinds["deployment"] {
		add("apps", "deployments", s.c.watches.apps, &appsv1.Deployment{}, cache.Indexers{})
		add("apps", "replicasets", s.c.watches.apps, &appsv1.ReplicaSet{}, owner)
	}
	if kinds["statefulset"] {
		add("apps", "statefulsets", s.c.watches.apps, &appsv1.StatefulSet{}, cache.Indexers{})
	}
	if kinds["daemonset"] {
		add("apps", "daemonsets", s.c.watches.apps, &appsv1.DaemonSet{}, cache.Indexers{})
	}
	return added
}

func (s *scope) inform(r request, resource string, client rest.Interface, example runtime.Object,
	indexers cache.Indexers) *informer {
	h := &heard{}
	i := &informer{request: r, heard: h, SharedIndexInformer: cache.NewSharedIndexInformer(&stream{client: client,
		resource: resource, namespace: s.namespace, heard: h}, example, 0, indexers)}
	// Neither can fail before the informer runs.
	_ = i.SetTransform(keep)
	_ = i.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
		if ctx.Err() != nil {
			return
		}
		s.metrics.watchErrors.WithLabelValues(resource).Inc()
		err = explain(r, err)
		if _, before := h.last(); before == nil {
			s.log.Warn("Watch interrupted; retrying", "resource", resource, "err", err)
		}
		h.failed(err)
	})
	return i
}

// store returns a synced informer's store, or why it cannot be relied upon.
func (s *scope) store(resource string) (cache.Indexer, time.Time, error) {
	s.mu.Lock()
	i := s.informers[resource]
	s.mu.Unlock()
	if i == nil {
		return nil, time.Time{}, fmt.Errorf("no watch on %s in namespace %s yet", resource, s.namespace)
	}
	at, err := i.heard.last()
	switch {
	case !i.HasSynced() && err != nil:
		return nil, at, err
	case !i.HasSynced():
		return nil, at, fmt.Errorf("%s: no response yet", i.request)
	}
	return i.GetIndexer(), at, nil
}

// oldest is when the quietest watch last received something; zero: never.
func (s *scope) oldest() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	var oldest time.Time
	for _, i := range s.informers {
		if at, _ := i.heard.last(); oldest.IsZero() || at.Before(oldest) && !at.IsZero() {
			oldest = at
		}
	}
	return oldest
}
