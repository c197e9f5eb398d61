package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// hpa returns the autoscaler of the target, the first by name if there are several.
func (r *Reader) hpa(ctx context.Context, target incident.Target) (*remediate.HPA, error) {
	list, err := r.c.autoscaling.HorizontalPodAutoscalers(target.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, explain(request{"list", "horizontalpodautoscalers.autoscaling", target.Namespace, ""}, err)
	}
	slices.SortFunc(list.Items, func(a, b autoscalingv2.HorizontalPodAutoscaler) int {
		return strings.Compare(a.Name,
			b.Name)
	})
	for i := range list.Items {
		if h := &list.Items[i]; scales(h, target.Kind, target.Workload) {
			found := &remediate.HPA{
				Name: h.Name, UID: string(h.UID), ResourceVersion: h.ResourceVersion, Min: minReplicas(h),
				Max:     int(h.Spec.MaxReplicas),
				Current: int(h.Status.CurrentReplicas), Desired: int(h.Status.DesiredReplicas),
				Annotations: h.Annotations, Owner: ownerOfAutoscaler(h.ObjectMeta),
			}
			if h.DeletionTimestamp != nil {
				found.Deleting = h.DeletionTimestamp.Time
			}
			return found, nil
		}
	}
	return nil, nil
}

func scales(h *autoscalingv2.HorizontalPodAutoscaler, kind, name string) bool {
	ref := h.Spec.ScaleTargetRef
	return strings.HasPrefix(ref.APIVersion, "apps/") && strings.EqualFold(ref.Kind, kind) && ref.Name == name
}

// minReplicas is the autoscaler's minimum; Kubernetes takes 1 if none is set.
func minReplicas(h *autoscalingv2.HorizontalPodAutoscaler) int {
	if h.Spec.MinReplicas == nil {
		return 1
	}
	return int(*h.Spec.MinReplicas)
}

// budgets returns the PodDisruptionBudgets that select pods of the template.
func (r *Reader) budgets(ctx context.Context, namespace string, template json.RawMessage) ([]remediate.Budget, error) {
	list, err := r.c.policy.PodDisruptionBudgets(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, explain(request{"list", "poddisruptionbudgets.policy", namespace, ""}, err)
	}
	var t corev1.PodTemplateSpec
	if err := json.Unmarshal(template, &t); err != nil {
		return nil, fmt.Errorf("read pod template: %w", err)
	}
	var found []remediate.Budget
	for _, b := range list.Items {
		s, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err != nil {
			return nil, fmt.Errorf("read selector of poddisruptionbudget %s/%s: %w", namespace, b.Name, err)
		}
		if s.Matches(labels.Set(t.Labels)) {
			found = append(found, remediate.Budget{Name: b.Name, Allowed: int(b.Status.DisruptionsAllowed)})
		}
	}
	return found, nil
}

func (r *Reader) endpoints(ctx context.Context, namespace, service string) (int, error) {
	list, err := r.c.discovery.EndpointSlices(namespace).List(ctx,
		metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
	if err != nil {
		return 0, explain(request{"list", "endpointslices.discovery.k8s.io", namespace, ""}, err)
	}
	slicesOf := make([]*discoveryv1.EndpointSlice, 0, len(list.Items))
	for i := range list.Items {
		slicesOf = append(slicesOf, &list.Items[i])
	}
	return readyEndpoints(slicesOf), nil
}

// readyEndpoints counts pods, not addresses: a dual-stack Service has each twice.
func readyEndpoints(all []*discoveryv1.EndpointSlice) int {
	ready := map[string]bool{}
	for _, s := range all {
		for _, e := range s.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready {
				continue
			}
			key := strings.Join(e.Addresses, ",")
			if e.TargetRef != nil {
				key = e.TargetRef.Kind + "/" + e.TargetRef.Name
			}
			ready[key] = true
		}
	}
	return len(ready)
}
