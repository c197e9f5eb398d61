//go:build linux

package main

import (
	"context"
	"log"
	"time"

	coordination "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// heartbeatPeriod keeps the node's lease fresh; stopping this process is a node failure.
const heartbeatPeriod = 2 * time.Second

// heartbeats registers the node and renews its lease until ctx ends.
func (k *kubelet) heartbeats(ctx context.Context) {
	tick := time.NewTicker(heartbeatPeriod)
	defer tick.Stop()
	for {
		if err := k.register(ctx); err != nil && ctx.Err() == nil {
			log.Print("node: ", err)
		}
		if err := k.renew(ctx); err != nil && ctx.Err() == nil {
			log.Print("node lease: ", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// register creates the node and makes it Ready, also again after it was lost.
func (k *kubelet) register(ctx context.Context) error {
	nodes := k.kube.CoreV1().Nodes()
	n, err := nodes.Get(ctx, k.node, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		n, err = nodes.Create(ctx, &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: k.node,
			Labels: map[string]string{"kubernetes.io/hostname": k.node, "kubernetes.io/os": "linux",
				"kubernetes.io/arch": "amd64"}}}, metav1.CreateOptions{})
	}
	if err != nil {
		return err
	}
	for _, c := range n.Status.Conditions {
		if c.Type == v1.NodeReady && c.Status == v1.ConditionTrue {
			return nil
		}
	}
	now := metav1.Now()
	size := v1.ResourceList{"cpu": resource.MustParse("8"), "memory": resource.MustParse("16Gi"),
		"pods": resource.MustParse("200"), "ephemeral-storage": resource.MustParse("100Gi")}
	n.Status.Capacity, n.Status.Allocatable = size, size
	n.Status.Conditions = []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue, Reason: "KubeletReady",
		LastHeartbeatTime: now, LastTransitionTime: now}}
	n.Status.Addresses = []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: "127.0.0.1"},
		{Type: v1.NodeHostName, Address: k.node}}
	n.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(k.port)
	n.Status.NodeInfo.KubeletVersion = "v1.37.2-testbed"
	_, err = nodes.UpdateStatus(ctx, n, metav1.UpdateOptions{})
	return err
}

func (k *kubelet) renew(ctx context.Context) error {
	leases := k.kube.CoordinationV1().Leases("kube-node-lease")
	now, holder, seconds := metav1.NowMicro(), k.node, int32(40)
	l, err := leases.Get(ctx, k.node, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = leases.Create(ctx, &coordination.Lease{ObjectMeta: metav1.ObjectMeta{Name: k.node},
			Spec: coordination.LeaseSpec{HolderIdentity: &holder, RenewTime: &now, LeaseDurationSeconds: &seconds}},
			metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	l.Spec.RenewTime = &now
	_, err = leases.Update(ctx, l, metav1.UpdateOptions{})
	return err
}
