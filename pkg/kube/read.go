package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"golang.org/x/sync/errgroup"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// Reader reads afresh: every request is a quorum read, nothing comes from a cache.
type Reader struct{ c *Client }

// NewReader returns a reader over the client.
func NewReader(c *Client) *Reader { return &Reader{c: c} }

// Workload reads the target and everything that belongs to it; service is the
// name of the Service whose ready endpoints are counted, or empty. Any part that
// cannot be read is an error: a guard must not take ignorance for absence.
func (r *Reader) Workload(ctx context.Context, target incident.Target, service string) (remediate.Workload, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	// The Services of the namespace do not belong to it: they are listed beside it.
	services := r.listServices(ctx, target.Namespace)
	w, selector, err := r.object(ctx, target)
	if err != nil {
		return remediate.Workload{}, err
	}
	w.EndpointsReady = -1
	// The object is read first: what belongs to it is then never older than it.
	g, ctx := errgroup.WithContext(ctx)
	var pods []corev1.Pod
	g.Go(func() (err error) { w.Revisions, pods, err = r.belongings(ctx, w.Target, selector); return err })
	g.Go(func() error { return r.namespace(ctx, &w) })
	g.Go(func() (err error) { w.HPA, err = r.hpa(ctx, w.Target); return err })
	g.Go(func() (err error) { w.Budgets, err = r.budgets(ctx, w.Target.Namespace, w.Template); return err })
	var selected selecting
	g.Go(func() (err error) {
		selected, err = r.services(ctx, w.Target.Namespace, w.Template, services)
		return err
	})
	if service != "" {
		g.Go(func() (err error) { w.EndpointsReady, err = r.endpoints(ctx, target.Namespace, service); return err })
	}
	if err := g.Wait(); err != nil {
		return remediate.Workload{}, err
	}
	w.Pods = podsOf(pods, w.Revisions)
	w.Services, w.NoServices = selected.counted(pods), selected.unknown
	w.ReadAt = time.Now()
	return w, nil
}

// resourceOf says what a kind is called in the API.
func resourceOf(kind string) (string, error) {
	switch strings.ToLower(kind) {
	case "deployment":
		return "deployments", nil
	case "statefulset":
		return "statefulsets", nil
	case "daemonset":
		return "daemonsets", nil
	}
	return "", fmt.Errorf("unknown workload kind %q; expected one of: deployment, statefulset, daemonset", kind)
}

func (r *Reader) object(ctx context.Context, target incident.Target) (remediate.Workload, *metav1.LabelSelector,
	error) {
	resource, err := resourceOf(target.Kind)
	if err != nil {
		return remediate.Workload{}, nil, fmt.Errorf("read %s: %w", target, err)
	}
	raw, err := getRaw(ctx, r.c.apps.RESTClient(), target.Namespace, resource, target.Workload)
	if err != nil {
		return remediate.Workload{}, nil, explain(request{"get", resource + ".apps", target.Namespace, target.Workload},
			err)
	}
	w, selector, err := decodeWorkload(strings.ToLower(target.Kind), raw)
	if err != nil {
		return remediate.Workload{}, nil, fmt.Errorf("read %s: %w", target, err)
	}
	uid := w.Target.UID
	w.Target = target
	w.Target.UID = uid
	return w, selector, nil
}

// getRaw returns an object as the API server wrote it, so that fields this
// program does not know are not lost.
func getRaw(ctx context.Context, c rest.Interface, namespace, resource, name string) (json.RawMessage, error) {
	return c.Get().Namespace(namespace).Resource(resource).Name(name).SetHeader("Accept",
		"application/json").Do(ctx).Raw()
}

func listRaw(ctx context.Context, c rest.Interface, namespace, resource, selector string) ([]json.RawMessage, error) {
	raw, err := c.Get().Namespace(namespace).Resource(resource).Param("labelSelector", selector).SetHeader("Accept",
		"application/json").Do(ctx).Raw()
	if err != nil {
		return nil, err
	}
	var list struct {
		Items []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("decode list: %w", err)
	}
	return list.Items, nil
}

// belongings reads the ReplicaSets and pods of the workload, beside each other.
func (r *Reader) belongings(ctx context.Context, target incident.Target,
	selector *metav1.LabelSelector) ([]remediate.Revision, []corev1.Pod, error) {
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, nil, fmt.Errorf("read selector of %s: %w", target, err)
	}
	g, ctx := errgroup.WithContext(ctx)
	var revisions []remediate.Revision
	if strings.EqualFold(target.Kind, "deployment") {
		g.Go(func() error {
			items, err := listRaw(ctx, r.c.apps.RESTClient(), target.Namespace, "replicasets", s.String())
			if err != nil {
				return explain(request{"list", "replicasets.apps", target.Namespace, ""}, err)
			}
			if revisions, err = decodeRevisions(items, target.UID); err != nil {
				return fmt.Errorf("read replicasets of %s: %w", target, err)
			}
			return nil
		})
	}
	var pods []corev1.Pod
	g.Go(func() error {
		list, err := r.c.core.Pods(target.Namespace).List(ctx, metav1.ListOptions{LabelSelector: s.String()})
		if err != nil {
			return explain(request{"list", "pods", target.Namespace, ""}, err)
		}
		pods = list.Items
		return nil
	})
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	owners := map[string]bool{target.UID: true}
	for _, rev := range revisions {
		owners[rev.UID] = true
	}
	return revisions, slices.DeleteFunc(pods, func(p corev1.Pod) bool { return !owners[controllerOf(&p)] }), nil
}

// controllerOf returns the UID of the object's controller, or "".
func controllerOf(o metav1.Object) string {
	if c := metav1.GetControllerOfNoCopy(o); c != nil {
		return string(c.UID)
	}
	return ""
}

func (r *Reader) namespace(ctx context.Context, w *remediate.Workload) error {
	ns, err := r.c.core.Namespaces().Get(ctx, w.Target.Namespace, metav1.GetOptions{})
	if err != nil {
		return explain(request{"get", "namespaces", "", w.Target.Namespace}, err)
	}
	w.NamespaceAnnotations = ns.Annotations
	w.NamespaceTerminating = ns.DeletionTimestamp != nil || ns.Status.Phase == corev1.NamespaceTerminating
	return nil
}
