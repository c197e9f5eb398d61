package fleet

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"watchdog.io/watchdog/pkg/incident"
)

const (
	// Namespace is watchdog's own.
	Namespace = "watchdog"

	targetsPerNamespace = 100
	podsPerTarget       = 2
	// scaledEvery: each such target has an autoscaler and a disruption budget.
	scaledEvery = 10
)

// target is one target of the fleet, by its number.
type target int

func (t target) name() string      { return fmt.Sprintf("app-%05d", t) }
func (t target) namespace() string { return fmt.Sprintf("fleet-%03d", t/targetsPerNamespace) }
func (t target) labels() map[string]string {
	return map[string]string{"app.kubernetes.io/name": t.name(), "app.kubernetes.io/part-of": t.namespace()}
}

// templateHash is what a ReplicaSet's name ends with.
const templateHash = "6d5f7c9b8"

func uid(what string, n int) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", what, n)
	return fmt.Sprintf("%08x-%04x-4000-8000-%012x", uint32(h.Sum64()), uint16(h.Sum64()>>32), n)
}

// deployed is when the fleet was: long enough ago that nothing of it is new.
var deployed = metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))

func (t target) meta(kind, name string, owner *metav1.OwnerReference) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Name: name, Namespace: t.namespace(), Labels: t.labels(), CreationTimestamp: deployed,
		UID: types.UID(uid(kind+name, int(t))), Generation: 1,
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kube-controller-manager", Operation: "Update",
			APIVersion: "v1", Time: &deployed, FieldsType: "FieldsV1", Subresource: "status",
			FieldsV1: metav1.NewFieldsV1(`{"f:status":{"f:conditions":{".":{},"k:{\"type\":\"Ready\"}":` +
				`{".":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}}},"f:observedGeneration":{},` +
				`"f:readyReplicas":{},"f:replicas":{}}}`)}}}
	if owner != nil {
		m.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	return m
}

func owned(apiVersion, kind string, by metav1.ObjectMeta) *metav1.OwnerReference {
	yes := true
	return &metav1.OwnerReference{APIVersion: apiVersion, Kind: kind, Name: by.Name, UID: by.UID, Controller: &yes,
		BlockOwnerDeletion: &yes}
}

// template is a pod as most charts write it.
func (t target) template() corev1.PodTemplateSpec {
	get := func(path string) *corev1.Probe {
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path,
			Port: intstr.FromString("http"), Scheme: "HTTP"}}, PeriodSeconds: 10, TimeoutSeconds: 1, FailureThreshold: 3,
			SuccessThreshold: 1}
	}
	some := corev1.ResourceList{"cpu": quantity.MustParse("500m"), "memory": quantity.MustParse("256Mi")}
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: t.labels()}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "app", Image: "registry.example/shop/" + t.name() + ":1.4.2",
			Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: "TCP"}},
			Env: []corev1.EnvVar{{Name: "LOG_LEVEL", Value: "info"}, {Name: "DATABASE_URL",
				ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
					LocalObjectReference: corev1.LocalObjectReference{Name: t.name()}, Key: "url"}}}},
			Resources:     corev1.ResourceRequirements{Limits: some, Requests: some},
			LivenessProbe: get("/health"), ReadinessProbe: get("/ready"), ImagePullPolicy: "IfNotPresent",
			TerminationMessagePath: "/dev/termination-log"}},
		RestartPolicy: "Always", DNSPolicy: "ClusterFirst", ServiceAccountName: t.name(), SchedulerName: "default-scheduler",
	}}
}

// fill adds the namespaces and what is in them.
func (s *store) fill(targets int) error {
	for _, name := range append([]string{Namespace}, namespaces(targets)...) {
		if err := s.add("/namespaces", corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name,
			CreationTimestamp: deployed, Labels: map[string]string{"kubernetes.io/metadata.name": name}},
			Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}}); err != nil {
			return err
		}
	}
	for t := range target(targets) {
		if err := t.addTo(s); err != nil {
			return err
		}
	}
	return nil
}

func namespaces(targets int) []string {
	var all []string
	for t := 0; t < targets; t += targetsPerNamespace {
		all = append(all, target(t).namespace())
	}
	return all
}

func (t target) addTo(s *store) error {
	two := int32(podsPerTarget)
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": t.name()}}
	d := appsv1.Deployment{ObjectMeta: t.meta("deployment", t.name(), nil),
		Spec: appsv1.DeploymentSpec{Replicas: &two, Selector: selector, Template: t.template()},
		Status: appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: two, UpdatedReplicas: two, ReadyReplicas: two,
			AvailableReplicas: two, Conditions: []appsv1.DeploymentCondition{
				{Type: "Available", Status: "True", Reason: "MinimumReplicasAvailable", LastUpdateTime: deployed,
					LastTransitionTime: deployed, Message: "Deployment has minimum availability."},
				{Type: "Progressing", Status: "True", Reason: "NewReplicaSetAvailable", LastUpdateTime: deployed,
					LastTransitionTime: deployed, Message: "ReplicaSet has successfully progressed."}}}}
	d.Annotations = map[string]string{"deployment.kubernetes.io/revision": "1"}
	rs := appsv1.ReplicaSet{ObjectMeta: t.meta("replicaset", t.name()+"-"+templateHash,
		owned("apps/v1", "Deployment", d.ObjectMeta)),
		Spec: appsv1.ReplicaSetSpec{Replicas: &two, Selector: selector, Template: t.template()},
		Status: appsv1.ReplicaSetStatus{ObservedGeneration: 1, Replicas: two, FullyLabeledReplicas: two,
			ReadyReplicas: two, AvailableReplicas: two}}
	rs.Annotations = map[string]string{"deployment.kubernetes.io/revision": "1",
		"deployment.kubernetes.io/desired-replicas": "2", "deployment.kubernetes.io/max-replicas": "3"}
	rs.Labels["pod-template-hash"], rs.Spec.Template.Labels["pod-template-hash"] = templateHash, templateHash
	service := corev1.Service{ObjectMeta: t.meta("service", t.name(), nil), Spec: corev1.ServiceSpec{
		Selector: selector.MatchLabels, ClusterIP: "10.96.0.1", Type: "ClusterIP",
		Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http"), Protocol: "TCP"}}}}
	slice := discoveryv1.EndpointSlice{ObjectMeta: t.meta("endpointslice", t.name()+"-abcde",
		owned("v1", "Service", service.ObjectMeta)), AddressType: "IPv4"}
	slice.Labels["kubernetes.io/service-name"] = t.name()
	err := cmp.Or(s.add("apps/deployments", d), s.add("apps/replicasets", rs), s.add("/services", service))
	for n := range podsPerTarget {
		p := t.pod(n, rs.ObjectMeta)
		ready, node := true, p.Spec.NodeName
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{p.Status.PodIP},
			Conditions: discoveryv1.EndpointConditions{Ready: &ready}, NodeName: &node,
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID}})
		err = cmp.Or(err, s.add("/pods", p), s.add("metrics.k8s.io/pods", map[string]any{
			"metadata": metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace, Labels: p.Labels},
			"window":   "15s", "timestamp": deployed, "containers": []map[string]any{{"name": "app",
				"usage": map[string]string{"cpu": "41277n", "memory": "61204Ki"}}}}))
	}
	err = cmp.Or(err, s.add("discovery.k8s.io/endpointslices", slice))
	if t%scaledEvery == 0 {
		one := intstr.FromInt32(1)
		err = cmp.Or(err, s.add("autoscaling/horizontalpodautoscalers", autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: t.meta("hpa", t.name(), nil), Spec: autoscalingv2.HorizontalPodAutoscalerSpec{MinReplicas: &two,
				MaxReplicas: 5, ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1",
					Kind: "Deployment", Name: t.name()}},
			Status: autoscalingv2.HorizontalPodAutoscalerStatus{CurrentReplicas: two, DesiredReplicas: two}}),
			s.add("policy/poddisruptionbudgets", policyv1.PodDisruptionBudget{ObjectMeta: t.meta("pdb", t.name(), nil),
				Spec: policyv1.PodDisruptionBudgetSpec{Selector: selector, MaxUnavailable: &one},
				Status: policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, DisruptionsAllowed: 1, CurrentHealthy: two,
					DesiredHealthy: 1, ExpectedPods: two}}))
	}
	return err
}

func (t target) pod(n int, by metav1.ObjectMeta) corev1.Pod {
	name := fmt.Sprintf("%s-%05x", by.Name, n)
	template := t.template()
	p := corev1.Pod{ObjectMeta: t.meta("pod", name, owned("apps/v1", "ReplicaSet", by)), Spec: template.Spec}
	p.Labels["pod-template-hash"] = templateHash
	p.Spec.NodeName = fmt.Sprintf("node-%02d", (int(t)*podsPerTarget+n)%50)
	started := true
	condition := func(kind corev1.PodConditionType) corev1.PodCondition {
		return corev1.PodCondition{Type: kind, Status: "True", LastTransitionTime: deployed}
	}
	p.Status = corev1.PodStatus{Phase: "Running", HostIP: "10.0.0.1", StartTime: &deployed,
		PodIP: fmt.Sprintf("10.%d.%d.%d", 100+n, int(t)>>8, int(t)&255),
		Conditions: []corev1.PodCondition{condition("PodReadyToStartContainers"), condition("Initialized"),
			condition("Ready"), condition("ContainersReady"), condition("PodScheduled")},
		ContainerStatuses: []corev1.ContainerStatus{{Name: "app", Ready: true, Started: &started,
			Image: template.Spec.Containers[0].Image, ContainerID: "containerd://" + strings.Repeat("ab", 32),
			ImageID: "registry.example/shop@sha256:" + strings.Repeat("cd", 32),
			State:   corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: deployed}}}}}
	return p
}

// fillIncidents adds stored incidents: on the targets of the fleet, one each, and on things
// that nobody watches if there are more of them.
func (s *store) fillIncidents(n, targets int, open bool) error {
	var errs []error
	for i := range n {
		inc := storedIncident(i, targets, open)
		errs = append(errs, s.add(custom+"/incidents", map[string]any{
			"metadata": metav1.ObjectMeta{Name: inc.ID, Namespace: Namespace,
				CreationTimestamp: metav1.NewTime(inc.OpenedAt)},
			"spec": map[string]any{"target": inc.Target, "openedAt": inc.OpenedAt},
			"status": struct {
				incident.Incident
				Revision int `json:"revision"`
			}{inc, 1},
		}))
	}
	return errors.Join(errs...)
}

// storedIncident is an incident of usual size, 5 to 6 KB of JSON: somebody acknowledged it, and all
// notifications were delivered.
func storedIncident(n, targets int, open bool) incident.Incident {
	at := time.Now().UTC().Truncate(time.Second).Add(-2*time.Hour - time.Duration(n)*time.Second)
	about := incident.Target{Name: fmt.Sprintf("external-%05d", n)}
	if t := target(n); n < targets {
		about = incident.Target{Name: t.name(), Namespace: t.namespace(), Kind: "deployment", Workload: t.name(),
			UID: string(t.meta("deployment", t.name(), nil).UID)}
	}
	i := incident.New(fmt.Sprintf("01kfleet%018d", n), about, at)
	i.Format, i.Severity, i.Phase, i.Lead = 1, incident.P2, incident.Escalated, "error_rate"
	i.Paged, i.PageReason = true, "page is the next rung of the ladder of error_rate"
	i.Acked = incident.Attribution{Reason: "I look at it", By: "anna@example.com", At: at.Add(3 * time.Minute),
		Source: "slack"}
	for k, rule := range []string{"error_rate", "response_time"} {
		i.Alerts = append(i.Alerts, incident.Alert{Rule: rule, Severity: incident.P2, Firing: open, Verdict: incident.OK,
			Reason: fmt.Sprintf("%s of %s is 4.2%%, above 1%%, for 2m", rule, about.Name), Value: 0.042, Bound: 0.01,
			Above: true, Unit: "ratio", Usual: 0.001, Noise: 0.0004, Recent: []float64{0.039, 0.04, 0.041, 0.042, 0.042},
			Source: "app", ActiveAt: at.Add(time.Duration(k) * time.Minute), EvaluatedAt: at.Add(time.Hour)})
	}
	for k := range 24 {
		i.Timeline = append(i.Timeline, incident.Entry{At: at.Add(time.Duration(k) * time.Minute),
			Kind: incident.KindHeld, Rule: "error_rate", Text: fmt.Sprintf("rollback is held by the guard corroboration: "+
				"only one source, the application itself, says that %s is bad (look %d)", about.Name, k+1)})
	}
	if !open {
		i.Phase, i.ResolvedAt = incident.Resolved, at.Add(time.Hour)
	}
	i.UpdatedAt = at.Add(time.Hour)
	return i
}
