package kube

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// declaredStartup is how long the pod's own probes let it take until it is available: the
// slowest container's startup probe up to its last failure, or the delay of its readiness
// probe, and minReadySeconds.
func declaredStartup(spec corev1.PodSpec, minReady int32) time.Duration {
	slowest := int32(0)
	for _, c := range spec.Containers {
		d := int32(0)
		if p := c.StartupProbe; p != nil {
			d = p.InitialDelaySeconds + max(1, p.PeriodSeconds)*max(1, p.FailureThreshold)
		}
		if p := c.ReadinessProbe; p != nil {
			d += p.InitialDelaySeconds + p.PeriodSeconds
		}
		slowest = max(slowest, d)
	}
	return time.Duration(slowest+minReady) * time.Second
}

// progressDeadline is how long a rollout of the Deployment may make no progress.
func progressDeadline(d *appsv1.Deployment) time.Duration {
	if s := d.Spec.ProgressDeadlineSeconds; s != nil {
		return time.Duration(*s) * time.Second
	}
	return 10 * time.Minute
}

// stalled says why the controller brings no more pods, if it says so of the newest
// generation: the rollout's deadline has passed, or a quota or an admission refuses pods.
func stalled(d *appsv1.Deployment) string {
	if d.Status.ObservedGeneration < d.Generation {
		return ""
	}
	for _, c := range d.Status.Conditions {
		switch {
		case c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse &&
			c.Reason == "ProgressDeadlineExceeded",
			c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue:
			return fmt.Sprintf("%s: %s", c.Reason, c.Message)
		}
	}
	return ""
}

// readyAt is since when the pod is ready; zero: it is not.
func readyAt(p *corev1.Pod) time.Time {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

// waitingFor is what the kubelet says of the container that waits for the given reason.
func waitingFor(p *corev1.Pod, reason string) string {
	for _, s := range statuses(p) {
		if w := s.State.Waiting; w != nil && w.Reason == reason {
			return w.Message
		}
	}
	return ""
}
