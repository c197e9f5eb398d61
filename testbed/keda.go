//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"maps"
	"os/signal"
	"path/filepath"
	"reflect"
	"strconv"
	"syscall"
	"time"

	autoscaling "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// keda stands in for the KEDA operator: each ScaledObject owns an autoscaler that
// is kept as the ScaledObject says, so that what others write to it is undone.
type keda struct {
	kube    kubernetes.Interface
	dynamic dynamic.Interface
}

var (
	scaledObjects = schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}
	crds          = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1",
		Resource: "customresourcedefinitions"}
)

// kedaPeriod is how often the autoscalers are compared with their ScaledObjects.
const kedaPeriod = 250 * time.Millisecond

// scaledObject is the part of KEDA's ScaledObject that is simulated.
type scaledObject struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		ScaleTargetRef struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Name       string `json:"name"`
		} `json:"scaleTargetRef"`
		Min      *int32 `json:"minReplicaCount"`
		Max      *int32 `json:"maxReplicaCount"`
		Advanced struct {
			HPA struct {
				Name string `json:"name"`
			} `json:"horizontalPodAutoscalerConfig"`
		} `json:"advanced"`
		Triggers []struct {
			Type       string            `json:"type"`
			MetricType string            `json:"metricType"`
			Metadata   map[string]string `json:"metadata"`
		} `json:"triggers"`
	} `json:"spec"`
}

func runKeda(args []string) error {
	fs := flag.NewFlagSet("keda", flag.ContinueOnError)
	dir := fs.String("dir", "", "state directory of the testbed")
	if err := fs.Parse(args); err != nil {
		return err
	}
	cfg, err := clientConfig(filepath.Join(*dir, "admin.kubeconfig"))
	if err != nil {
		return err
	}
	var k keda
	if k.kube, err = kubernetes.NewForConfig(cfg); err != nil {
		return err
	}
	if k.dynamic, err = dynamic.NewForConfig(cfg); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if _, err := k.dynamic.Resource(crds).Create(ctx, scaledObjectCRD(), metav1.CreateOptions{}); err != nil &&
		!apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("define ScaledObjects: %w", err)
	}
	tick := time.NewTicker(kedaPeriod)
	defer tick.Stop()
	for {
		// Until the definition is served there is nothing to list.
		if err := k.reconcile(ctx); err != nil && ctx.Err() == nil && !apierrors.IsNotFound(err) {
			log.Print(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func scaledObjectCRD() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "scaledobjects.keda.sh"},
		"spec": map[string]any{
			"group": "keda.sh", "scope": "Namespaced",
			"names": map[string]any{"kind": "ScaledObject", "listKind": "ScaledObjectList", "plural": "scaledobjects",
				"singular": "scaledobject", "shortNames": []any{"so"}},
			"versions": []any{map[string]any{
				"name": "v1alpha1", "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object",
					"x-kubernetes-preserve-unknown-fields": true}},
				"subresources": map[string]any{"status": map[string]any{}},
			}},
		},
	}}
}

// reconcile makes every ScaledObject's autoscaler what it should be.
func (k keda) reconcile(ctx context.Context) error {
	all, err := k.dynamic.Resource(scaledObjects).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var errs []error
	for _, u := range all.Items {
		var so scaledObject
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &so); err != nil {
			errs = append(errs, err)
			continue
		}
		if so.DeletionTimestamp != nil {
			continue // its autoscaler goes with it
		}
		if err := k.ensure(ctx, so); err != nil {
			errs = append(errs, fmt.Errorf("ScaledObject %s/%s: %w", so.Namespace, so.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (k keda) ensure(ctx context.Context, so scaledObject) error {
	want, err := so.autoscaler()
	if err != nil {
		return err
	}
	hpas := k.kube.AutoscalingV2().HorizontalPodAutoscalers(so.Namespace)
	got, err := hpas.Get(ctx, want.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = hpas.Create(ctx, want, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	if reflect.DeepEqual(got.Spec.MinReplicas, want.Spec.MinReplicas) &&
		got.Spec.MaxReplicas == want.Spec.MaxReplicas && got.Spec.ScaleTargetRef == want.Spec.ScaleTargetRef &&
		reflect.DeepEqual(got.Spec.Metrics, want.Spec.Metrics) {
		return nil
	}
	behavior := got.Spec.Behavior
	got.Spec = want.Spec
	got.Spec.Behavior = behavior
	_, err = hpas.Update(ctx, got, metav1.UpdateOptions{})
	return err
}

// autoscaler is the one that KEDA makes of the ScaledObject: under a name of its
// own, or keda-hpa-NAME.
func (so scaledObject) autoscaler() (*autoscaling.HorizontalPodAutoscaler, error) {
	yes, least, most := true, int32(1), int32(100)
	name := "keda-hpa-" + so.Name
	if n := so.Spec.Advanced.HPA.Name; n != "" {
		name = n
	}
	if m := so.Spec.Min; m != nil && *m > 0 {
		least = *m
	}
	if m := so.Spec.Max; m != nil {
		most = *m
	}
	labels := map[string]string{"app.kubernetes.io/managed-by": "keda-operator", "app.kubernetes.io/name": name,
		"app.kubernetes.io/part-of": so.Name, "scaledobject.keda.sh/name": so.Name}
	for key, value := range so.Labels {
		if _, taken := labels[key]; !taken {
			labels[key] = value
		}
	}
	target := so.Spec.ScaleTargetRef
	h := &autoscaling.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: so.Namespace, Labels: labels,
			Annotations: maps.Clone(so.Annotations), OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "keda.sh/v1alpha1", Kind: "ScaledObject", Name: so.Name, UID: so.UID, Controller: &yes,
				BlockOwnerDeletion: &yes}}},
		Spec: autoscaling.HorizontalPodAutoscalerSpec{MinReplicas: &least, MaxReplicas: most,
			ScaleTargetRef: autoscaling.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment",
				Name: target.Name}},
	}
	delete(h.Annotations, "kubectl.kubernetes.io/last-applied-configuration")
	if target.Kind != "" {
		h.Spec.ScaleTargetRef.Kind, h.Spec.ScaleTargetRef.APIVersion = target.Kind, target.APIVersion
	}
	for _, t := range so.Spec.Triggers {
		value, err := strconv.ParseInt(t.Metadata["value"], 10, 32)
		if t.Type != "cpu" && t.Type != "memory" || t.MetricType != "Utilization" || err != nil {
			return nil, fmt.Errorf("not simulated by the testbed: trigger %s; only cpu and memory of metricType "+
				"Utilization", t.Type)
		}
		percent := int32(value)
		h.Spec.Metrics = append(h.Spec.Metrics, autoscaling.MetricSpec{Type: autoscaling.ResourceMetricSourceType,
			Resource: &autoscaling.ResourceMetricSource{Name: v1.ResourceName(t.Type),
				Target: autoscaling.MetricTarget{Type: autoscaling.UtilizationMetricType,
					AverageUtilization: &percent}}})
	}
	if len(h.Spec.Metrics) == 0 {
		return nil, errors.New("no triggers")
	}
	return h, nil
}
