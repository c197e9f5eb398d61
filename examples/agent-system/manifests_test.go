package main

import (
	"os"
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func manifest(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("manifests", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(b, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func TestManifestsFitEachOtherAndTheProgram(t *testing.T) {
	var ns corev1.Namespace
	var d appsv1.Deployment
	var s corev1.Service
	var h autoscalingv2.HorizontalPodAutoscaler
	manifest(t, "namespace.yaml", &ns)
	manifest(t, "deployment.yaml", &d)
	manifest(t, "service.yaml", &s)
	manifest(t, "hpa.yaml", &h)
	for kind, namespace := range map[string]string{"deployment": d.Namespace, "service": s.Namespace,
		"hpa": h.Namespace} {
		if namespace != ns.Name {
			t.Errorf("%s is in namespace %q", kind, namespace)
		}
	}
	labels := d.Spec.Template.Labels
	if s.Spec.Selector["app"] != labels["app"] || d.Spec.Selector.MatchLabels["app"] != labels["app"] {
		t.Errorf("pods have labels %v", labels)
	}
	if h.Spec.ScaleTargetRef.Name != d.Name {
		t.Errorf("the hpa scales %q", h.Spec.ScaleTargetRef.Name)
	}
	c := d.Spec.Template.Spec.Containers[0]
	if p := c.Ports[0]; p.ContainerPort != 8080 || s.Spec.Ports[0].TargetPort.String() != p.Name {
		t.Errorf("port %v", p)
	}
	a := release(t)
	for _, probe := range []*corev1.Probe{c.ReadinessProbe, c.LivenessProbe} {
		if code, body := ask(a, "GET", probe.HTTPGet.Path); code != 200 {
			t.Errorf("%s: %d %s", probe.HTTPGet.Path, code, body)
		}
	}
	if grace := *d.Spec.Template.Spec.TerminationGracePeriodSeconds; float64(grace) <= endTime.Seconds() {
		t.Errorf("the process may take %s to end, and has %d s", endTime, grace)
	}
}
