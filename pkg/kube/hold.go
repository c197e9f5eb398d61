package kube

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"watchdog.io/watchdog/pkg/remediate"
)

// HoldTarget forbids every op on a workload, or with an empty kind on a whole
// namespace, by annotation, under the caller's own rights.
func (c *Client) HoldTarget(ctx context.Context, namespace, kind, name, reason, by string) error {
	if by != "" {
		reason += " (" + by + ")"
	}
	return c.annotate(ctx, namespace, kind, name, reason)
}

// ResumeTarget lifts the hold of HoldTarget.
func (c *Client) ResumeTarget(ctx context.Context, namespace, kind, name string) error {
	return c.annotate(ctx, namespace, kind, name, nil)
}

// annotate sets the hold annotation, or removes it with a nil value. It carries
// no resourceVersion on purpose: a hold must not lose a race.
func (c *Client) annotate(ctx context.Context, namespace, kind, name string, value any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{remediate.HoldAnnotation: value}}})
	if err != nil {
		return fmt.Errorf("encode hold: %w", err)
	}
	if kind == "" {
		_, err := c.core.Namespaces().Patch(ctx, namespace, types.MergePatchType, patch, metav1.PatchOptions{})
		return explain(request{"patch", "namespaces", "", namespace}, err)
	}
	resource, err := resourceOf(kind)
	if err != nil {
		return err
	}
	err = c.apps.RESTClient().Patch(types.MergePatchType).Namespace(namespace).Resource(resource).Name(name).Body(patch).Do(ctx).Error()
	return explain(request{"patch", resource + ".apps", namespace, name}, err)
}
