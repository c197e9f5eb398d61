//go:build linux

package main

import (
	"context"
	"encoding/json"
	"log"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	listers "k8s.io/client-go/listers/core/v1"
)

// roomLabel in a pod's nodeSelector makes the pod wait for a node: its value says
// for how long ("30s", "never"). The real scheduler says that the pod is
// unschedulable; once the oldest such pod has waited that long the node bears the
// label, as when a cluster autoscaler brings a node, until all that wait are placed.
const roomLabel = "testbed/room-in"

// roomPeriod is how often the waiting pods are looked at.
const roomPeriod = 200 * time.Millisecond

// makeRoom labels the node for pods that waited long enough, until ctx ends.
func (k *kubelet) makeRoom(ctx context.Context, pods listers.PodLister) {
	tick := time.NewTicker(roomPeriod)
	defer tick.Stop()
	has := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		all, err := pods.List(labels.Everything())
		if err != nil {
			continue
		}
		want := roomFor(all, has, time.Now())
		if want == has {
			continue
		}
		if err := k.label(ctx, want); err != nil {
			log.Print("node label: ", err)
			continue
		}
		has = want
	}
}

// label sets the node's label, or takes it away.
func (k *kubelet) label(ctx context.Context, value string) error {
	set := map[string]any{roomLabel: nil}
	if value != "" {
		set[roomLabel] = value
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": set}})
	if err != nil {
		return err
	}
	_, err = k.kube.CoreV1().Nodes().Patch(ctx, k.node, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// roomFor is the value the node's label should have now: that which it has while
// pods still wait for it, else one whose oldest pod has waited long enough.
func roomFor(pods []*v1.Pod, has string, now time.Time) string {
	due := ""
	for _, p := range pods {
		value, asks := p.Spec.NodeSelector[roomLabel]
		if !asks || p.Spec.NodeName != "" || p.DeletionTimestamp != nil {
			continue
		}
		var s span
		if s.UnmarshalText([]byte(value)) != nil || !s.over(now.Sub(p.CreationTimestamp.Time)) {
			continue
		}
		if value == has {
			return has
		}
		due = value
	}
	return due
}
