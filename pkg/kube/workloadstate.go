package kube

import (
	"cmp"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// WorkloadState is the state of a workload and its pods, as last watched.
type WorkloadState struct {
	Desired     int
	Ready       int
	Updated     int
	Unavailable int
	// RolloutInProgress: the controller has not seen the newest template, or pods
	// of it are missing, not available, or too many.
	RolloutInProgress bool
	// Restarts of all containers of the pods that exist.
	Restarts int
	// Waiting is the number of pods by the reason a container waits, those of the
	// newest revision that cannot start are counted by NewestWaiting.
	Waiting       map[string]int
	NewestWaiting int
	// EndpointsReady counts the ready endpoints of the Service, if HasEndpoints.
	EndpointsReady int
	HasEndpoints   bool
	// Endpoints counts the ready endpoints that are pods of the workload, by Service,
	// of every Service that has some.
	Endpoints map[string]int
	HPA       *HPAState
	// PodRestarts are the restarts by pod's uid.
	PodRestarts map[string]int
	// NoProgress is Stalled as far as the Deployment's own conditions say it.
	NoProgress string
	// Usage is by limit, or by request where there is no limit, of each container.
	Usage []ContainerUsage
	// ObservedAt is when the API server last sent something on the quietest of the
	// watches that this was read from.
	ObservedAt time.Time
	// Hold is what the hold annotation on the workload says, "no reason given" if
	// that is empty; empty: there is none.
	Hold string
	// HoldSince is when the hold was set; zero: not known.
	HoldSince time.Time
	// Revision is the UID of the newest ReplicaSet of a Deployment, and
	// RevisionNumber its number.
	Revision       string
	RevisionNumber int64
	// ScaledBy says who wrote the number of replicas last, and when, if that is zero.
	ScaledBy string
	// Op is the id of the last op that wrote the workload.
	Op string
	// LastReady is when the youngest ready pod became ready.
	LastReady time.Time
	// ProgressDeadline and Stalled are the Deployment's, as remediate.Workload has them; pods
	// of the newest revision that cannot start stall it, too.
	ProgressDeadline time.Duration
	Stalled          string
}

// Rollout is how far the workload's rollout is.
func (st WorkloadState) Rollout() incident.Rollout {
	return incident.Rollout{
		Known: true, Done: !st.RolloutInProgress &&
			st.Ready >= st.Desired, Ready: st.Ready, Replicas: st.Desired, LastReady: st.LastReady,
		Deadline: st.ProgressDeadline, Stalled: st.Stalled, Endpoints: st.Endpoints,
	}
}

// HPAState is the autoscaler of a workload, in pods.
type HPAState struct{ Min, Max, Current int }

// view collects what one state is read from, with the age of the oldest part.
type view struct {
	s   *scope
	at  time.Time
	err error
}

// find returns the objects of one index value.
func find[T any](v *view, resource, index, value string) []T {
	store, at, err := v.s.store(resource)
	if v.err != nil {
		return nil
	}
	if err != nil {
		v.err = err
		return nil
	}
	if v.at.IsZero() || at.Before(v.at) {
		v.at = at
	}
	objects, err := store.ByIndex(index, value)
	if err != nil {
		v.err = fmt.Errorf("find %s: %w", resource, err)
		return nil
	}
	found := make([]T, 0, len(objects))
	for _, o := range objects {
		if x, ok := o.(T); ok {
			found = append(found, x)
		}
	}
	return found
}

// addRevisions notes the newest revision of a workload and returns the UIDs of what may own
// its pods: itself and, of a Deployment, its ReplicaSets.
func (st *WorkloadState) addRevisions(v *view, x Watched, uid string) []string {
	owners := []string{uid}
	if x.Kind == "deployment" {
		for _, rs := range find[*keptReplicaSet](v, "replicasets", byOwner, uid) {
			owners = append(owners, rs.uid)
			if rs.number >= st.RevisionNumber {
				st.Revision, st.RevisionNumber = rs.uid, rs.number
			}
		}
	}
	return owners
}

// state puts together what is known of one workload. It costs as much as the
// workload has pods and ReplicaSets, however many others there are.
func (s *scope) state(x Watched, now time.Time) (WorkloadState, error) {
	v := &view{s: s}
	w, uid, err := s.object(v, x)
	if err != nil {
		return WorkloadState{}, err
	}
	st := WorkloadState{Desired: w.Desired, Ready: w.Ready, Updated: w.Updated, Unavailable: w.Unavailable,
		Waiting: map[string]int{}}
	st.Op, st.ScaledBy = w.Annotations[remediate.OpAnnotation], w.Annotations[scaledByAnnotation]
	if h, held := remediate.HoldOf(w.Annotations, now); held {
		st.Hold, st.HoldSince = cmp.Or(h.Reason, "no reason given"), h.Since
	}
	owners := st.addRevisions(v, x, uid)
	var pods []*keptPod
	for _, o := range owners {
		pods = append(pods, find[*keptPod](v, "pods", byOwner, o)...)
	}
	for _, h := range find[*keptAutoscaler](v, "horizontalpodautoscalers", byTarget, x.Kind+"/"+x.Name) {
		st.HPA = &HPAState{Min: h.Min, Max: h.Max, Current: h.Current}
	}
	if x.Service != "" {
		st.HasEndpoints = true
		st.EndpointsReady = readyEndpoints(find[*keptSlice](v, "endpointslices", byService, x.Service))
	}
	pods = alive(pods)
	st.Endpoints = v.endpoints(pods)
	if v.err != nil {
		return WorkloadState{}, v.err
	}
	w.Pods = make([]remediate.Pod, len(pods))
	for k, p := range pods {
		w.Pods[k] = p.Pod
		if at := w.Pods[k].ReadyAt; !w.Pods[k].Terminating && at.After(st.LastReady) {
			st.LastReady = at
		}
	}
	st.count(pods, w, now)
	st.RolloutInProgress = w.RolloutInProgress()
	st.ProgressDeadline, st.Stalled = w.ProgressDeadline, w.Stalled
	if st.Stalled == "" && st.NewestWaiting > 0 {
		st.Stalled = fmt.Sprintf("%d pods of the newest revision cannot start", st.NewestWaiting)
	}
	st.NoProgress = w.Stalled
	st.Usage = s.usage.containers(pods, now)
	st.ObservedAt = v.at
	if silent := now.Sub(v.at); silent > StaleAfter {
		return st, fmt.Errorf("read %s/%s/%s: stale: no response from the API server for %s: check its load and the "+
			"network", x.Namespace, x.Kind, x.Name, silent.Round(time.Second))
	}
	return st, nil
}

// object reads the workload itself.
func (s *scope) object(v *view, x Watched) (remediate.Workload, string, error) {
	resource, err := resourceOf(x.Kind)
	if err != nil {
		return remediate.Workload{}, "", err
	}
	store, at, err := s.store(resource)
	if err != nil {
		return remediate.Workload{}, "", err
	}
	v.at = at
	o, exists, err := store.GetByKey(x.Namespace + "/" + x.Name)
	if err != nil || !exists {
		return remediate.Workload{}, "", explain(request{"get", resource + ".apps", x.Namespace, x.Name},
			apierrors.NewNotFound(schema.GroupResource{Group: "apps", Resource: resource}, x.Name))
	}
	if w, ok := o.(*keptWorkload); ok {
		return w.Workload, w.uid, nil
	}
	return remediate.Workload{}, "", fmt.Errorf("read %s/%s/%s: a %T is in the store", x.Namespace, x.Kind, x.Name, o)
}

func alive(pods []*keptPod) []*keptPod {
	var kept []*keptPod
	for _, p := range pods {
		if !p.ended {
			kept = append(kept, p)
		}
	}
	return kept
}

// count adds what the pods' containers say. Of a pod that is being deleted nothing is
// expected any more, and one that waits for a registry may for as long as it takes to start.
func (st *WorkloadState) count(pods []*keptPod, w remediate.Workload, now time.Time) {
	for k, p := range pods {
		st.Restarts += p.Restarts
		if st.PodRestarts == nil {
			st.PodRestarts = map[string]int{}
		}
		st.PodRestarts[p.uid] = p.Restarts
		reason := w.Pods[k].Waiting
		if reason == "" || w.Pods[k].Terminating {
			continue
		}
		st.Waiting[reason]++
		if cannotStart(reason) && remediate.Failure(w.Pods[k], now, remediate.StartupTime(w, nil)) != "" &&
			(st.Revision == "" || p.controller.uid == st.Revision) {
			st.NewestWaiting++
		}
	}
}

func cannotStart(reason string) bool {
	switch reason {
	case "CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName",
		"CreateContainerError", "CreateContainerConfigError", "RunContainerError":
		return true
	}
	return false
}
