//go:build linux

package main

import (
	"context"
	"log"
	"reflect"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

// status is what the API should know of the pod now.
func (p *pod) status() *v1.PodStatus {
	o := p.obj
	st := o.Status.DeepCopy()
	st.PodIP, st.HostIP = p.ip, "127.0.0.1"
	st.PodIPs, st.HostIPs = []v1.PodIP{{IP: p.ip}}, []v1.HostIP{{IP: "127.0.0.1"}}
	st.ObservedGeneration = o.Generation
	if st.StartTime == nil {
		now := metav1.Now()
		st.StartTime = &now
	}
	st.ContainerStatuses = nil
	ready := o.DeletionTimestamp == nil
	for _, c := range p.containers {
		st.ContainerStatuses = append(st.ContainerStatuses, c.status())
		ready = ready && c.ready && c.state.Running != nil
	}
	st.Phase = p.phase()
	reason := "ContainersNotReady"
	if st.Phase == v1.PodSucceeded {
		reason = "PodCompleted"
	}
	condition(st, o, v1.PodScheduled, true, "")
	condition(st, o, v1.PodInitialized, true, "")
	condition(st, o, v1.PodReadyToStartContainers, true, "")
	condition(st, o, v1.ContainersReady, ready, reason)
	condition(st, o, v1.PodReady, ready, reason)
	return st
}

func (c *container) status() v1.ContainerStatus {
	started := c.state.Running != nil
	return v1.ContainerStatus{
		Name: c.spec.Name, Image: c.spec.Image, ImageID: "testbed://" + c.spec.Image, ContainerID: "testbed://" +
			string(c.p.obj.UID) + "/" + c.spec.Name,
		State: c.state, LastTerminationState: c.last, Ready: c.ready && c.p.obj.DeletionTimestamp == nil,
		RestartCount: c.restarts, Started: &started,
	}
}

func (p *pod) phase() v1.PodPhase {
	running, failed, succeeded := 0, 0, 0
	for _, c := range p.containers {
		switch {
		case c.state.Running != nil || c.last.Terminated != nil:
			running++
		case c.state.Terminated != nil && c.state.Terminated.ExitCode == 0:
			succeeded++
		case c.state.Terminated != nil:
			failed++
		}
	}
	ends := p.obj.Spec.RestartPolicy != v1.RestartPolicyAlways
	// A container that ended for good after restarts counts by its last state.
	if ends && running > 0 {
		r := 0
		for _, c := range p.containers {
			if c.state.Terminated == nil {
				r++
			} else if c.last.Terminated != nil && c.state.Terminated.ExitCode == 0 {
				succeeded++
			}
		}
		running = r
	}
	switch n := len(p.containers); {
	case running > 0:
		return v1.PodRunning
	case ends && failed > 0 && failed+succeeded >= n:
		return v1.PodFailed
	case ends && succeeded >= n:
		return v1.PodSucceeded
	case failed+succeeded > 0:
		return v1.PodRunning
	}
	return v1.PodPending
}

func condition(st *v1.PodStatus, o *v1.Pod, kind v1.PodConditionType, ok bool, reason string) {
	is := v1.ConditionFalse
	if ok {
		is, reason = v1.ConditionTrue, ""
	}
	for i := range st.Conditions {
		if c := &st.Conditions[i]; c.Type == kind {
			if c.Status != is {
				c.Status, c.LastTransitionTime = is, metav1.Now()
			}
			c.Reason, c.ObservedGeneration = reason, o.Generation
			return
		}
	}
	st.Conditions = append(st.Conditions, v1.PodCondition{Type: kind, Status: is, Reason: reason,
		LastTransitionTime: metav1.Now(), ObservedGeneration: o.Generation})
}

// report sends the status if it says anything new.
func (p *pod) report(o *v1.Pod, st *v1.PodStatus) {
	if p.sent != nil && reflect.DeepEqual(timeless(p.sent), timeless(st)) && !p.contradicted(o, st) {
		return
	}
	pods := p.k.kube.CoreV1().Pods(o.Namespace)
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		n := o.DeepCopy()
		n.Status = *st
		_, err := pods.UpdateStatus(context.Background(), n, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			if now, e := pods.Get(context.Background(), o.Name, metav1.GetOptions{}); e == nil && now.UID == o.UID {
				o = now
			}
		}
		return err
	})
	switch {
	case err == nil:
		p.sent, p.sentAt = st, time.Now()
	case !apierrors.IsNotFound(err):
		log.Printf("status of pod %s/%s: %v", o.Namespace, o.Name, err)
	}
}

// contradicted reports whether somebody else says otherwise of the pod's
// readiness: the node controller does, after the node was not heard of.
func (p *pod) contradicted(o *v1.Pod, st *v1.PodStatus) bool {
	return time.Since(p.sentAt) > time.Second && isReady(&o.Status) != isReady(st)
}

func isReady(st *v1.PodStatus) bool {
	for _, c := range st.Conditions {
		if c.Type == v1.PodReady {
			return c.Status == v1.ConditionTrue
		}
	}
	return false
}

// timeless leaves out what changes without news.
func timeless(s *v1.PodStatus) *v1.PodStatus {
	n := s.DeepCopy()
	for i := range n.Conditions {
		n.Conditions[i].LastTransitionTime = metav1.Time{}
		n.Conditions[i].ObservedGeneration = 0
	}
	n.StartTime, n.ObservedGeneration = nil, 0
	return n
}
