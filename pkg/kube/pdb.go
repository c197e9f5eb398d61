package kube

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"watchdog.io/watchdog/pkg/remediate"
)

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
