package kube

import (
	"context"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
