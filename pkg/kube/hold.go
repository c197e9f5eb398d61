package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// HoldTarget forbids every op on a workload, or with an empty kind on a whole
// namespace, by annotation, under the caller's own rights.
// It ends by itself at until, if that is not zero.
// The annotation of its source says that it was begun through watchdog: no other may
// end through it.
func (c *Client) HoldTarget(ctx context.Context, namespace, kind, name string, by incident.Attribution) error {
	reason := by.Reason
	if by.By != "" {
		reason += " (" + by.By + ")"
	}
	hold := map[string]any{remediate.HoldAnnotation: reason,
		remediate.HoldSinceAnnotation: time.Now().UTC().Format(time.RFC3339), remediate.HoldUntilAnnotation: nil,
		holdSource: nil}
	if !by.Until.IsZero() {
		hold[remediate.HoldUntilAnnotation] = by.Until.UTC().Format(time.RFC3339)
	}
	if by.Source != "" {
		hold[holdSource] = by.Source
	}
	return c.annotate(ctx, namespace, kind, name, hold)
}

// ResumeTarget lifts the hold of HoldTarget, and reports whether there was one. To
// somebody who may change the object and not read it, there was.
func (c *Client) ResumeTarget(ctx context.Context, namespace, kind, name string) (was bool, err error) {
	annotations, err := c.annotations(ctx, namespace, kind, name)
	switch {
	case apierrors.IsForbidden(err):
	case err != nil:
		return false, err
	default:
		if _, held := annotations[remediate.HoldAnnotation]; !held {
			return false, nil
		}
	}
	return true, c.annotate(ctx, namespace, kind, name, map[string]any{remediate.HoldAnnotation: nil,
		remediate.HoldSinceAnnotation: nil, remediate.HoldUntilAnnotation: nil, holdSource: nil})
}

// holdSource is the annotation that says by which way a hold came that watchdog wrote for
// a person.
const holdSource = "watchdog.io/hold-source"

func (c *Client) annotations(ctx context.Context, namespace, kind, name string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if kind == "" {
		o, err := c.core.Namespaces().Get(ctx, namespace, metav1.GetOptions{})
		if err != nil {
			return nil, explain(request{"get", "namespaces", "", namespace}, err)
		}
		return o.Annotations, nil
	}
	resource, err := resourceOf(kind)
	if err != nil {
		return nil, err
	}
	var o metav1.PartialObjectMetadata
	raw, err := c.apps.RESTClient().Get().Namespace(namespace).Resource(resource).Name(name).Do(ctx).Raw()
	if err == nil {
		err = json.Unmarshal(raw, &o)
	}
	return o.Annotations, explain(request{"get", resource + ".apps", namespace, name}, err)
}

// annotate sets annotations, or removes those with a nil value. It carries
// no resourceVersion on purpose: a hold must not lose a race.
func (c *Client) annotate(ctx context.Context, namespace, kind, name string, annotations map[string]any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
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

// HeldObject is a hold that is in force on a workload, or with an empty kind on a namespace.
type HeldObject struct {
	Namespace, Kind, Name string
	remediate.Hold
}

// Holds lists the holds on workloads and namespaces that the caller may list. What they
// may not is named in the error, beside the rest.
func (c *Client) Holds(ctx context.Context, now time.Time) ([]HeldObject, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var found []HeldObject
	var errs []error
	note := func(kind string, m metav1.ObjectMeta) {
		if h, ok := remediate.HoldOf(m.Annotations, now); ok {
			o := HeldObject{Namespace: m.Namespace, Kind: kind, Name: m.Name, Hold: h}
			if kind == "" {
				o.Namespace, o.Name = m.Name, ""
			}
			found = append(found, o)
		}
	}
	spaces, err := c.core.Namespaces().List(ctx, metav1.ListOptions{})
	errs = append(errs, explain(request{"list", "namespaces", "", ""}, err))
	if err == nil {
		for _, n := range spaces.Items {
			note("", n.ObjectMeta)
		}
	}
	for _, kind := range []string{"deployment", "statefulset", "daemonset"} {
		resource, err := resourceOf(kind)
		if err != nil {
			return found, err
		}
		var all metav1.PartialObjectMetadataList
		raw, err := c.apps.RESTClient().Get().Resource(resource).SetHeader("Accept",
			"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json").Do(ctx).Raw()
		if err == nil {
			err = json.Unmarshal(raw, &all)
		}
		errs = append(errs, explain(request{"list", resource + ".apps", "", ""}, err))
		for _, o := range all.Items {
			note(kind, o.ObjectMeta)
		}
	}
	return found, errors.Join(errs...)
}
