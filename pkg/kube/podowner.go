package kube

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

func (s *scope) ownerOfPod(pod string) (kind, name string, ok bool) {
	ref := s.controllerRef("pods", pod)
	if ref != nil && ref.Kind == "ReplicaSet" {
		ref = s.controllerRef("replicasets", ref.Name)
	}
	if ref == nil {
		return "", "", false
	}
	return strings.ToLower(ref.Kind), ref.Name, true
}

// controllerRef is the controller of an object in memory; nil if there is none.
func (s *scope) controllerRef(resource, name string) *metav1.OwnerReference {
	store, _, err := s.store(resource)
	if err != nil {
		return nil
	}
	o, there, err := store.GetByKey(cache.NewObjectName(s.namespace, name).String())
	m, isObject := o.(metav1.Object)
	if err != nil || !there || !isObject {
		return nil
	}
	return metav1.GetControllerOf(m)
}
