package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"golang.org/x/sync/errgroup"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

const (
	// rolloutsTogether is from how many workloads on their namespace is listed instead of
	// asking for each of them.
	rolloutsTogether = 8
	// rolloutsTimeout bounds the lists of a namespace, pages of rolloutsPage objects.
	rolloutsTimeout = 3 * requestTimeout
	rolloutsPage    = 500
)

// Rollouts reads afresh, of Deployments of one namespace, what says which revision each has:
// the object, its ReplicaSets and its pods. Few are read one by one, many with three lists.
func (r *Reader) Rollouts(ctx context.Context, namespace string,
	targets []incident.Target) (map[string]remediate.Workload, error) {
	if len(targets) >= rolloutsTogether {
		ctx, cancel := context.WithTimeout(ctx, rolloutsTimeout)
		defer cancel()
		return r.listRollouts(ctx, namespace, targets)
	}
	all := map[string]remediate.Workload{}
	var errs []error
	for _, t := range targets {
		w, err := r.rollout(ctx, t)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all[t.String()] = w
	}
	return all, errors.Join(errs...)
}

func (r *Reader) rollout(ctx context.Context, target incident.Target) (remediate.Workload, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	w, selector, err := r.object(ctx, target)
	if err != nil {
		return w, err
	}
	revisions, pods, err := r.belongings(ctx, w.Target, selector)
	w.Revisions, w.Pods, w.ReadAt = revisions, podsOf(pods, revisions), time.Now()
	return w, err
}

// listRollouts lists the objects first: what belongs to them is then never older than they are.
func (r *Reader) listRollouts(ctx context.Context, namespace string,
	targets []incident.Target) (map[string]remediate.Workload, error) {
	wanted := map[string]incident.Target{} // by name
	for _, t := range targets {
		wanted[t.Workload] = t
	}
	found := map[string]remediate.Workload{} // by UID
	err := pages(ctx, r.c.apps.RESTClient(), namespace, "deployments", "deployments.apps", func(raw json.RawMessage) error {
		t, ok := wanted[metaOf(raw).Name]
		if !ok {
			return nil
		}
		w, _, err := decodeWorkload("deployment", raw)
		if err != nil {
			return fmt.Errorf("read %s: %w", t, err)
		}
		t.UID = w.Target.UID
		w.Target = t
		found[t.UID] = w
		return nil
	})
	if err != nil {
		return nil, err
	}
	g, ctx := errgroup.WithContext(ctx)
	sets, pods := map[string][]json.RawMessage{}, map[string][]corev1.Pod{} // by owner's UID
	g.Go(func() error {
		return pages(ctx, r.c.apps.RESTClient(), namespace, "replicasets", "replicasets.apps",
			func(raw json.RawMessage) error {
				if uid := ownerOf(raw); found[uid].Target.UID != "" {
					sets[uid] = append(sets[uid], raw)
				}
				return nil
			})
	})
	g.Go(func() error {
		return pages(ctx, r.c.core.RESTClient(), namespace, "pods", "pods", func(raw json.RawMessage) error {
			var p corev1.Pod
			if err := json.Unmarshal(raw, &p); err != nil {
				return fmt.Errorf("read pod: %w", err)
			}
			p.Spec = corev1.PodSpec{NodeName: p.Spec.NodeName}
			p.Annotations, p.ManagedFields = nil, nil
			pods[controllerOf(&p)] = append(pods[controllerOf(&p)], p)
			return nil
		})
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	all, now := map[string]remediate.Workload{}, time.Now()
	for uid, w := range found {
		if w.Revisions, err = decodeRevisions(sets[uid], uid); err != nil {
			return nil, fmt.Errorf("read replicasets of %s: %w", w.Target, err)
		}
		own := pods[uid]
		for _, rev := range w.Revisions {
			own = append(own, pods[rev.UID]...)
		}
		w.Pods, w.ReadAt = podsOf(own, w.Revisions), now
		all[wanted[w.Target.Workload].String()] = w
	}
	return all, missing(targets, all)
}

// missing says which targets were not found.
func missing(targets []incident.Target, all map[string]remediate.Workload) error {
	var names []string
	for _, t := range targets {
		if _, ok := all[t.String()]; !ok {
			names = append(names, t.String())
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("read %s: not found", strings.Join(names, ", "))
}

// pages lists a resource of a namespace in pages, all as of the first one, and calls take for
// each object as the API server wrote it.
func pages(ctx context.Context, c rest.Interface, namespace, resource, what string,
	take func(json.RawMessage) error) error {
	for next := ""; ; {
		raw, err := c.Get().Namespace(namespace).Resource(resource).Param("limit", fmt.Sprint(rolloutsPage)).
			Param("continue", next).SetHeader("Accept", "application/json").Do(ctx).Raw()
		if err != nil {
			return explain(request{"list", what, namespace, ""}, err)
		}
		var list struct {
			Metadata metav1.ListMeta   `json:"metadata"`
			Items    []json.RawMessage `json:"items"`
		}
		if err := json.Unmarshal(raw, &list); err != nil {
			return fmt.Errorf("list %s in namespace %s: decode: %w", what, namespace, err)
		}
		for _, item := range list.Items {
			if err := take(item); err != nil {
				return err
			}
		}
		if next = list.Metadata.Continue; next == "" {
			return nil
		}
	}
}

func ownerOf(raw json.RawMessage) string {
	m := metaOf(raw)
	return controllerOf(&m)
}

// metaOf reads nothing else of an object.
func metaOf(raw json.RawMessage) metav1.ObjectMeta {
	var head struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
	}
	_ = json.Unmarshal(raw, &head)
	return head.Metadata
}
