package kube

import (
	"math"
	"slices"
	"strings"
	"unique"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchdog.io/watchdog/pkg/remediate"
)

// kept is what the watches keep of every object. A decoded one takes some KiB, of which a
// state is made of a tenth.
type kept struct {
	namespace, name, uid string
	controller           controllerRef
}

// controllerRef is the controller of an object, its owner.
type controllerRef struct{ kind, name, uid string }

// GetObjectMeta tells the informers of which object this is.
func (k *kept) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{Namespace: k.namespace, Name: k.name}
}

// keptIn is the common part of what an informer holds.
func keptIn(o any) (kept, bool) {
	x, ok := o.(interface{ common() kept })
	if !ok {
		return kept{}, false
	}
	return x.common(), true
}

func (k *kept) common() kept { return *k }

type keptWorkload struct {
	kept
	remediate.Workload
}

type keptReplicaSet struct {
	kept
	number int64 // of its revision
}

type keptPod struct {
	kept
	remediate.Pod
	ended  bool
	bounds []bounds
}

// bounds are what a container may use, by limit or else by request; NaN: as much as there is.
type bounds struct {
	container   string
	cpu, memory float64
}

type keptSlice struct {
	kept
	service   string
	endpoints []endpoint
}

type keptAutoscaler struct {
	kept
	HPAState
	scales string // kind/name, if it is one of apps
}

// keep is the transform of the informers. What it does not know it leaves as it is.
func keep(o any) (any, error) {
	switch x := o.(type) {
	case *corev1.Pod:
		return &keptPod{keptOf(x), sharing(describePod(x)), ended(x), boundsOf(x.Spec.Containers)}, nil
	case *appsv1.ReplicaSet:
		return &keptReplicaSet{keptOf(x), revisionNumber(x)}, nil
	case *appsv1.Deployment:
		return keepWorkload(x, x.Spec.Replicas, deployment(x)), nil
	case *appsv1.StatefulSet:
		return keepWorkload(x, x.Spec.Replicas, statefulSet(x)), nil
	case *appsv1.DaemonSet:
		return keepWorkload(x, nil, daemonSet(x)), nil
	case *discoveryv1.EndpointSlice:
		return keepSlice(x), nil
	case *autoscalingv2.HorizontalPodAutoscaler:
		h := &keptAutoscaler{kept: keptOf(x), HPAState: HPAState{Min: minReplicas(x), Max: int(x.Spec.MaxReplicas),
			Current: int(x.Status.CurrentReplicas)}}
		if ref := x.Spec.ScaleTargetRef; strings.HasPrefix(ref.APIVersion, "apps/") {
			h.scales = strings.ToLower(ref.Kind) + "/" + ref.Name
		}
		return h, nil
	}
	return o, nil
}

func keptOf(m metav1.Object) kept {
	k := kept{namespace: one(m.GetNamespace()), name: m.GetName(), uid: string(m.GetUID())}
	if c := metav1.GetControllerOfNoCopy(m); c != nil {
		k.controller = controllerRef{one(c.Kind), c.Name, string(c.UID)}
	}
	return k
}

func keepSlice(x *discoveryv1.EndpointSlice) *keptSlice {
	return &keptSlice{keptOf(x), x.Labels[discoveryv1.LabelServiceName], endpointsOf(x)}
}

func keepWorkload(m metav1.Object, wanted *int32, w remediate.Workload) *keptWorkload {
	w.Generation, w.Annotations = m.GetGeneration(), held(m.GetAnnotations())
	if by := scaledBy(wanted, m); by != "" {
		w.Annotations = merged(w.Annotations, scaledByAnnotation, by)
	}
	return &keptWorkload{keptOf(m), w}
}

// sharing lets pods share the texts that many of them have.
func sharing(p remediate.Pod) remediate.Pod {
	p.Node, p.Waiting, p.LastExit = one(p.Node), one(p.Waiting), one(p.LastExit)
	return p
}

// one returns the copy of s that is in memory already, if another object needed it since the last garbage
// collection: the handle that would keep it longer is not stored. A list's objects are decoded together.
func one(s string) string { return unique.Make(s).Value() }

func boundsOf(all []corev1.Container) []bounds {
	kept := make([]bounds, 0, len(all))
	for _, c := range all {
		kept = append(kept, bounds{one(c.Name), boundOf(c, corev1.ResourceCPU), boundOf(c, corev1.ResourceMemory)})
	}
	return kept
}

func boundOf(c corev1.Container, name corev1.ResourceName) float64 {
	q, ok := c.Resources.Limits[name]
	if !ok {
		q = c.Resources.Requests[name]
	}
	if q.IsZero() {
		return math.NaN()
	}
	return q.AsApproximateFloat64()
}

// held keeps of a workload's annotations the hold and the last op.
func held(annotations map[string]string) map[string]string {
	var kept map[string]string
	for _, name := range []string{remediate.HoldAnnotation, remediate.HoldSinceAnnotation,
		remediate.HoldUntilAnnotation, remediate.OpAnnotation} {
		if v, ok := annotations[name]; ok {
			if kept == nil {
				kept = map[string]string{}
			}
			kept[name] = v
		}
	}
	return kept
}

// The indexes of the informers, see the names of them.

func ownerIndex(o any) ([]string, error) {
	switch x := o.(type) {
	case *keptPod:
		return some(x.controller.uid), nil
	case *keptReplicaSet:
		return some(x.controller.uid), nil
	}
	return nil, nil
}

func serviceIndex(o any) ([]string, error) {
	if x, ok := o.(*keptSlice); ok {
		return some(x.service), nil
	}
	return nil, nil
}

func targetIndex(o any) ([]string, error) {
	if x, ok := o.(*keptAutoscaler); ok {
		return some(x.scales), nil
	}
	return nil, nil
}

// podIndex indexes an EndpointSlice by the pods among its endpoints.
func podIndex(o any) ([]string, error) {
	x, ok := o.(*keptSlice)
	if !ok {
		return nil, nil
	}
	var names []string
	for _, e := range x.endpoints {
		if pod := e.pod(); pod != "" {
			names = append(names, pod)
		}
	}
	return names, nil
}

func some(value string) []string {
	return slices.DeleteFunc([]string{value}, func(v string) bool { return v == "" })
}
