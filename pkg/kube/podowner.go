package kube

import (
	"context"
	"strings"
	"time"

	"k8s.io/client-go/tools/cache"
)

// OwnerOfPod returns the workload that a pod of a watched namespace belongs to, or
// belonged to before it was deleted in the last hour, by its controller, and a
// ReplicaSet's by its own. It answers from memory; false says that nothing is known
// of the pod.
func (w *Watcher) OwnerOfPod(namespace, pod string) (kind, name string, ok bool) {
	w.mu.Lock()
	s := w.scopes[namespace]
	w.mu.Unlock()
	if s == nil {
		return "", "", false
	}
	return s.ownerOfPod(pod)
}

// Synced reports whether every watched namespace was read once, so that an owner
// that OwnerOfPod does not know is none.
func (w *Watcher) Synced() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.scopes {
		for _, resource := range []string{"pods", "replicasets"} {
			s.mu.Lock()
			i := s.informers[resource]
			s.mu.Unlock()
			if i != nil && !i.HasSynced() {
				return false
			}
		}
	}
	return w.ctx != nil
}

// AwaitSynced waits until Synced, but no longer than most or ctx.
func (w *Watcher) AwaitSynced(ctx context.Context, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !w.Synced() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *scope) ownerOfPod(pod string) (kind, name string, ok bool) {
	ref := s.controllerRef("pods", pod)
	if ref.kind == "ReplicaSet" {
		ref = s.controllerRef("replicasets", ref.name)
	}
	return strings.ToLower(ref.kind), ref.name, ref.kind != ""
}

// controllerRef is the controller of an object in memory, or of one that was deleted
// a short time ago; empty if there is none.
func (s *scope) controllerRef(resource, name string) controllerRef {
	store, _, err := s.store(resource)
	if err != nil {
		return controllerRef{}
	}
	o, there, err := store.GetByKey(cache.NewObjectName(s.namespace, name).String())
	k, known := keptIn(o)
	if err != nil || !there || !known {
		return s.departed.controllerOf(resource+"/"+name, time.Now())
	}
	return k.controller
}
