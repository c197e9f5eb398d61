package kube

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestTheWatchesKeepWhoScaledToZero_X104(t *testing.T) {
	at := func(m int) *metav1.Time { return &metav1.Time{Time: time.Date(2026, 3, 1, 12, m, 0, 0, time.UTC)} }
	fields := func(raw string) *metav1.FieldsV1 { return metav1.NewFieldsV1(raw) }
	for _, c := range []struct {
		name     string
		replicas int32
		want     string
	}{
		{"somebody took all pods away", 0, "kubectl-scale at 2026-03-01 12:05:00 UTC"},
		{"pods are wanted", 2, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{
				{Manager: "helm", Time: at(1), FieldsV1: fields(`{"f:spec":{"f:replicas":{},"f:template":{}}}`)},
				{Manager: "kubectl-scale", Time: at(5), FieldsV1: fields(`{"f:spec":{"f:replicas":{}}}`)},
				{Manager: "kubectl-annotate", Time: at(9), FieldsV1: fields(`{"f:metadata":{}}`)},
			}}, Spec: appsv1.DeploymentSpec{Replicas: &c.replicas}}
			kept, err := keep(d)
			if err != nil {
				t.Fatal(err)
			}
			if got := kept.(*keptWorkload).Annotations[scaledByAnnotation]; got != c.want {
				t.Errorf("kept %q, want %q", got, c.want)
			}
		})
	}
}
