package kube

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchdog.io/watchdog/pkg/remediate"
)

func TestWhatAPodMayTakeIsReadFromItsProbes_X102(t *testing.T) {
	probe := func(delay, period, failures int32) *corev1.Probe {
		return &corev1.Probe{InitialDelaySeconds: delay, PeriodSeconds: period, FailureThreshold: failures}
	}
	spec := corev1.PodSpec{Containers: []corev1.Container{
		{StartupProbe: probe(10, 10, 30), ReadinessProbe: probe(5, 5, 3)},
		{ReadinessProbe: probe(60, 10, 3)},
	}}
	if got := declaredStartup(spec, 15); got != 335*time.Second {
		t.Errorf("got %s", got)
	}
	kept, err := keep(&appsv1.Deployment{Spec: appsv1.DeploymentSpec{MinReadySeconds: 15,
		Template: corev1.PodTemplateSpec{Spec: spec}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := kept.(*keptWorkload).DeclaredStartup; got != 335*time.Second {
		t.Errorf("the watches keep %s of it", got)
	}
	if got := declaredStartup(corev1.PodSpec{Containers: make([]corev1.Container, 1)}, 0); got != 0 {
		t.Errorf("without probes: %s", got)
	}
}

func TestADeploymentThatMakesNoProgressSaysSo_X102(t *testing.T) {
	for _, c := range []struct {
		name     string
		cond     appsv1.DeploymentCondition
		observed int64
		want     string
	}{
		{"the deadline has passed", appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing,
			Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded", Message: "too slow"}, 2,
			"ProgressDeadlineExceeded: too slow"},
		{"a quota refuses pods", appsv1.DeploymentCondition{Type: appsv1.DeploymentReplicaFailure,
			Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: "exceeded quota"}, 2,
			"FailedCreate: exceeded quota"},
		{"of an older generation that says nothing", appsv1.DeploymentCondition{Type: appsv1.DeploymentReplicaFailure,
			Status: corev1.ConditionTrue, Reason: "FailedCreate"}, 1, ""},
		{"it goes on", appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue,
			Reason: "ReplicaSetUpdated"}, 2, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Generation: 2},
				Status: appsv1.DeploymentStatus{ObservedGeneration: c.observed,
					Conditions: []appsv1.DeploymentCondition{c.cond}}}
			if got := stalled(d); got != c.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestWhatIsDeletedOrWaitsIsCountedForNothing_X21_X22: the watches count neither a pod that
// is being deleted nor one that waits for a registry among those that cannot start.
func TestWhatIsDeletedOrWaitsIsCountedForNothing_X21_X22(t *testing.T) {
	now := time.Now()
	pod := func(reason, message string, age time.Duration) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now.Add(-age))},
			Status: corev1.PodStatus{
				ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{
					Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}}}
	}
	deleted := pod("CrashLoopBackOff", "", time.Hour)
	deleted.DeletionTimestamp = &metav1.Time{Time: now}
	for _, c := range []struct {
		name            string
		pod             *corev1.Pod
		waiting, newest int
	}{
		{"a pod that is being deleted", deleted, 0, 0},
		{"the registry throttles", pod("ImagePullBackOff", "toomanyrequests", time.Minute), 1, 0},
		{"the registry throttles for too long", pod("ImagePullBackOff", "toomanyrequests", time.Hour), 1, 1},
		{"there is no such image", pod("ErrImagePull", "manifest unknown", time.Second), 1, 1},
		{"a crash loop", pod("CrashLoopBackOff", "", time.Second), 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			kept, err := keep(c.pod)
			if err != nil {
				t.Fatal(err)
			}
			p := kept.(*keptPod)
			w := remediate.Workload{Pods: []remediate.Pod{p.Pod}}
			st := WorkloadState{Waiting: map[string]int{}}
			st.count([]*keptPod{p}, w, now)
			n := 0
			for _, k := range st.Waiting {
				n += k
			}
			if n != c.waiting || st.NewestWaiting != c.newest {
				t.Errorf("%d wait and %d cannot start, want %d and %d", n, st.NewestWaiting, c.waiting, c.newest)
			}
		})
	}
}
