//go:build linux

package main

import (
	"errors"
	"syscall"

	v1 "k8s.io/api/core/v1"
)

// credential is the user that the pod asks for; nil for the testbed's own.
func (c *container) credential() (*syscall.Credential, error) {
	var uid, gid *int64
	var nonRoot *bool
	pod, own := c.p.obj.Spec.SecurityContext, c.spec.SecurityContext
	groups := podGroups(pod)
	if pod != nil {
		uid, gid, nonRoot = pod.RunAsUser, pod.RunAsGroup, pod.RunAsNonRoot
	}
	if own != nil {
		// The container's word counts more than the pod's.
		uid, gid, nonRoot = first(own.RunAsUser, uid), first(own.RunAsGroup, gid), first(own.RunAsNonRoot, nonRoot)
	}
	if isTrue(nonRoot) && (uid == nil || *uid == 0) {
		return nil, errors.New("container has runAsNonRoot and image will run as root")
	}
	if uid == nil && gid == nil && len(groups) == 0 {
		return nil, nil
	}
	cred := &syscall.Credential{Groups: groups}
	if uid != nil {
		cred.Uid = uint32(*uid)
	}
	if gid != nil {
		cred.Gid = uint32(*gid)
	}
	return cred, nil
}

// podGroups are the further groups of every process of the pod.
func podGroups(s *v1.PodSecurityContext) []uint32 {
	var groups []uint32
	if s == nil {
		return nil
	}
	for _, g := range s.SupplementalGroups {
		groups = append(groups, uint32(g))
	}
	if s.FSGroup != nil {
		groups = append(groups, uint32(*s.FSGroup))
	}
	return groups
}

func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

func isTrue(b *bool) bool { return b != nil && *b }
