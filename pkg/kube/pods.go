package kube

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"watchdog.io/watchdog/pkg/remediate"
)

// podsOf describes the pods, those of the newest revision first. Pods that have
// ended (evicted ones stay for long) are no pods of the workload any more.
func podsOf(pods []corev1.Pod, revisions []remediate.Revision) []remediate.Pod {
	place := map[string]int{}
	for i, r := range revisions {
		place[r.UID] = i
	}
	var all []remediate.Pod
	for i := range pods {
		if !ended(&pods[i]) {
			all = append(all, describePod(&pods[i]))
		}
	}
	slices.SortFunc(all, func(a, b remediate.Pod) int {
		return cmp.Or(cmp.Compare(place[a.Revision], place[b.Revision]), cmp.Compare(a.Name, b.Name))
	})
	return all
}

func ended(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
}

func describePod(p *corev1.Pod) remediate.Pod {
	d := remediate.Pod{
		Name: p.Name, Revision: controllerOf(p), Ready: condition(p,
			corev1.PodReady), Restarts: restarts(p), Waiting: waiting(p),
		Terminating: p.DeletionTimestamp != nil, Scheduled: p.Spec.NodeName != "" ||
			condition(p, corev1.PodScheduled), StartedAt: p.CreationTimestamp.Time,
		LastExit: lastExit(p), Node: p.Spec.NodeName, CreatedAt: p.CreationTimestamp.Time, ReadyAt: readyAt(p),
	}
	d.WaitingFor = waitingFor(p, d.Waiting)
	if p.Status.StartTime != nil {
		d.StartedAt = p.Status.StartTime.Time
	}
	return d
}

func condition(p *corev1.Pod, kind corev1.PodConditionType) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == kind {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func statuses(p *corev1.Pod) []corev1.ContainerStatus {
	return slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses)
}

func restarts(p *corev1.Pod) int {
	n := 0
	for _, s := range statuses(p) {
		n += int(s.RestartCount)
	}
	return n
}

// waiting returns why a container waits: a failure if there is one, else that
// the pod is still being set up.
func waiting(p *corev1.Pod) string {
	reason := ""
	for _, s := range statuses(p) {
		if s.State.Waiting == nil {
			continue
		}
		switch r := s.State.Waiting.Reason; r {
		case "ContainerCreating", "PodInitializing":
			reason = cmp.Or(reason, r)
		default:
			return r
		}
	}
	return reason
}

// lastExit describes the newest end of a container that did not end well.
func lastExit(p *corev1.Pod) string {
	var last *corev1.ContainerStateTerminated
	for _, s := range statuses(p) {
		for _, t := range []*corev1.ContainerStateTerminated{s.State.Terminated, s.LastTerminationState.Terminated} {
			if t != nil && t.Reason != "Completed" && (last == nil || t.FinishedAt.After(last.FinishedAt.Time)) {
				last = t
			}
		}
	}
	if last == nil {
		return ""
	}
	return fmt.Sprintf("exit %d (%s)", last.ExitCode, cmp.Or(last.Reason, "no reason given"))
}
