package kube

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"watchdog.io/watchdog/pkg/remediate"
)

// revisionAnnotation numbers the ReplicaSets of a Deployment.
const revisionAnnotation = "deployment.kubernetes.io/revision"

// decodeWorkload reads an object of a known kind. The template stays as the API
// server wrote it.
func decodeWorkload(kind string, raw []byte) (remediate.Workload, *metav1.LabelSelector, error) {
	var w remediate.Workload
	var meta metav1.ObjectMeta
	var selector *metav1.LabelSelector
	var err error
	switch kind {
	case "deployment":
		var d appsv1.Deployment
		err = json.Unmarshal(raw, &d)
		w, meta, selector = deployment(&d), d.ObjectMeta, d.Spec.Selector
	case "statefulset":
		var s appsv1.StatefulSet
		err = json.Unmarshal(raw, &s)
		w, meta, selector = statefulSet(&s), s.ObjectMeta, s.Spec.Selector
	case "daemonset":
		var d appsv1.DaemonSet
		err = json.Unmarshal(raw, &d)
		w, meta, selector = daemonSet(&d), d.ObjectMeta, d.Spec.Selector
	}
	if err != nil {
		return w, nil, fmt.Errorf("decode %s: %w", kind, err)
	}
	if w.Template, err = templateOf(raw); err != nil {
		return w, nil, err
	}
	w.Target.UID, w.ResourceVersion, w.Generation = string(meta.UID), meta.ResourceVersion, meta.Generation
	w.Annotations, w.Labels = meta.Annotations, meta.Labels
	if meta.DeletionTimestamp != nil {
		w.Deleting, w.Finalizers = meta.DeletionTimestamp.Time, meta.Finalizers
	}
	w.Managers = managers(meta.ManagedFields)
	w.Owner = owner(meta, w.Managers)
	return w, selector, nil
}

func deployment(d *appsv1.Deployment) remediate.Workload {
	w := remediate.Workload{
		Observed: d.Status.ObservedGeneration, Desired: replicas(d.Spec.Replicas), Ready: int(d.Status.ReadyReplicas),
		Updated:   int(d.Status.UpdatedReplicas),
		Available: int(d.Status.AvailableReplicas), Unavailable: int(d.Status.UnavailableReplicas),
		Paused:   d.Spec.Paused,
		Recreate: d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType,
		DeclaredStartup: declaredStartup(d.Spec.Template.Spec,
			d.Spec.MinReadySeconds), ProgressDeadline: progressDeadline(d), Stalled: stalled(d),
	}
	if !w.Recreate {
		w.MaxUnavailable, w.MaxSurge = rolling(d.Spec.Strategy.RollingUpdate, w.Desired)
	}
	return w
}

func statefulSet(s *appsv1.StatefulSet) remediate.Workload {
	desired := replicas(s.Spec.Replicas)
	return remediate.Workload{
		Observed: s.Status.ObservedGeneration, Desired: desired, Ready: int(s.Status.ReadyReplicas),
		Updated:   int(s.Status.UpdatedReplicas),
		Available: int(s.Status.AvailableReplicas), Unavailable: max(0,
			desired-int(s.Status.AvailableReplicas)), MaxUnavailable: 1,
		DeclaredStartup: declaredStartup(s.Spec.Template.Spec, s.Spec.MinReadySeconds),
	}
}

func daemonSet(d *appsv1.DaemonSet) remediate.Workload {
	return remediate.Workload{
		Observed: d.Status.ObservedGeneration, Desired: int(d.Status.DesiredNumberScheduled),
		Ready: int(d.Status.NumberReady), Updated: int(d.Status.UpdatedNumberScheduled),
		Available: int(d.Status.NumberAvailable), Unavailable: int(d.Status.NumberUnavailable), MaxUnavailable: 1,
		DeclaredStartup: declaredStartup(d.Spec.Template.Spec, d.Spec.MinReadySeconds),
	}
}

func replicas(n *int32) int {
	if n == nil {
		return 1
	}
	return int(*n)
}

// rolling resolves a rolling update's bounds to pods as the Deployment
// controller does: surge rounds up, unavailable down, and not both may be 0.
func rolling(r *appsv1.RollingUpdateDeployment, desired int) (maxUnavailable, maxSurge int) {
	quarter := intstr.FromString("25%")
	unavailable, surge := &quarter, &quarter
	if r != nil {
		unavailable, surge = cmp.Or(r.MaxUnavailable, unavailable), cmp.Or(r.MaxSurge, surge)
	}
	maxUnavailable, err1 := intstr.GetScaledValueFromIntOrPercent(unavailable, desired, false)
	maxSurge, err2 := intstr.GetScaledValueFromIntOrPercent(surge, desired, true)
	if err1 != nil || err2 != nil {
		return desired, 0 // the API server admits no such value; the worst is assumed
	}
	if maxUnavailable == 0 && maxSurge == 0 {
		maxUnavailable = 1
	}
	return maxUnavailable, maxSurge
}

func templateOf(raw []byte) (json.RawMessage, error) {
	var o struct {
		Spec struct {
			Template json.RawMessage `json:"template"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, fmt.Errorf("decode pod template: %w", err)
	}
	if len(o.Spec.Template) == 0 {
		return nil, fmt.Errorf("decode pod template: missing")
	}
	return o.Spec.Template, nil
}

// decodeRevisions returns the ReplicaSets that the owner controls, newest first.
func decodeRevisions(items []json.RawMessage, ownerUID string) ([]remediate.Revision, error) {
	var all []remediate.Revision
	for _, raw := range items {
		var rs appsv1.ReplicaSet
		if err := json.Unmarshal(raw, &rs); err != nil {
			return nil, fmt.Errorf("decode replicaset: %w", err)
		}
		if controllerOf(&rs) != ownerUID {
			continue
		}
		template, err := templateOf(raw)
		if err == nil {
			template, err = withoutHash(template)
		}
		if err != nil {
			return nil, fmt.Errorf("replicaset %s: %w", rs.Name, err)
		}
		all = append(all, remediate.Revision{
			Number: revisionNumber(&rs), Name: rs.Name, UID: string(rs.UID), CreatedAt: rs.CreationTimestamp.Time,
			Replicas: replicas(rs.Spec.Replicas),
			Ready:    int(rs.Status.ReadyReplicas), Images: images(rs.Spec.Template.Spec), Template: template,
			Annotations: rs.Annotations,
		})
	}
	slices.SortFunc(all, func(a, b remediate.Revision) int {
		return cmp.Or(cmp.Compare(b.Number, a.Number), b.CreatedAt.Compare(a.CreatedAt))
	})
	return all, nil
}

func revisionNumber(rs *appsv1.ReplicaSet) int64 {
	n, err := strconv.ParseInt(rs.Annotations[revisionAnnotation], 10, 64)
	if err != nil {
		return 0 // the controller has not numbered it yet
	}
	return n
}

func images(spec corev1.PodSpec) []string {
	var all []string
	for _, c := range spec.Containers {
		all = append(all, c.Image)
	}
	return all
}

// withoutHash drops the label by which the controller tells ReplicaSets apart:
// it is no part of what was deployed.
func withoutHash(template json.RawMessage) (json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(template))
	d.UseNumber()
	var doc map[string]any
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("decode pod template: %w", err)
	}
	if meta, ok := doc["metadata"].(map[string]any); ok {
		if labels, ok := meta["labels"].(map[string]any); ok {
			delete(labels, appsv1.DefaultDeploymentUniqueLabelKey)
			if len(labels) == 0 {
				delete(meta, "labels")
			}
		}
	}
	return json.Marshal(doc)
}
