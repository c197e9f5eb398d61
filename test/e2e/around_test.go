//go:build integration

package e2e

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchdog.io/watchdog/internal/demo"
	"watchdog.io/watchdog/pkg/incident"
)

// What stands around a Deployment decides whether a repair helps it or harms it:
// the Service before it, the objects it reads, the autoscaler's owner, its own
// deletion, pods that do not go.

// leftAlone waits until the incident of the scene's target is a person's, and
// holds that it says why and that nothing was written. Whatever is tried instead
// ends the wait.
func leftAlone(t *testing.T, s *demo.Scene, says ...string) incident.Incident {
	t.Helper()
	inc, err := s.WaitIncident(within(t, 2*time.Minute), "a person's", func(i incident.Incident) bool {
		return i.Target.Name == "agent-system" && (i.Phase == incident.Escalated || len(i.Attempts) > 0)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range attempts(t, s) {
		t.Errorf("watchdog tried to write: %s %s %s (HTTP %d)", r.Verb, r.RequestURI, r.RequestObject,
			r.ResponseStatus.Code)
	}
	for _, text := range says {
		if !explains(inc, text) {
			t.Errorf("it does not say %q; page: %q; answers: %+v", text, inc.PageReason, inc.Answers)
		}
	}
	return inc
}

// TestARollbackThatTheServiceWouldNotSelectIsNotDone_X20: the release moved the
// Service's selector to a label that the old template does not have.
func TestARollbackThatTheServiceWouldNotSelectIsNotDone_X20(t *testing.T) {
	s := stage(t, "selector")
	install(t, s, "release")
	good(t, s)
	kubectl(t, s.Namespace, "", "patch", "deployment", "agent-system", "-p",
		`{"spec":{"template":{"metadata":{"labels":{"version":"v2"}},"spec":{"containers":[{"name":"agent-system",`+
			`"image":"agent-system:v2.2.0"}]}}}}`)
	rolledOut(t, s)
	kubectl(t, s.Namespace, "", "patch", "service", "agent-system-service", "-p",
		`{"spec":{"selector":{"version":"v2"}}}`)
	users(t, s)
	leftAlone(t, s, "Service agent-system-service selects version=v2")
	if n := readyEndpoints(t, s.Namespace, "agent-system-service"); n != 3 {
		t.Errorf("%d ready endpoints, want the 3 of before", n)
	}
}

// TestAnAutoscalerOfAScaledObjectIsNotWritten_X23: it has a name of its own, and
// only its owner reference says whose it is.
func TestAnAutoscalerOfAScaledObjectIsNotWritten_X23(t *testing.T) {
	s := stage(t, "scaled-object")
	scaledObject(t, s.Namespace, "agent-system", "agent-system-autoscaler", 3, 8)
	installText(t, s, replaced(t, config(t, s, "agents"), "- restart: { settle: 3s, verify: 60s }",
		"- scale: { by: 1, max: 8, lease: 1h, settle: 1s, verify: 4s }"))
	good(t, s)
	if err := s.Fault("agents"); err != nil {
		t.Fatal(err)
	}
	leftAlone(t, s, "KEDA owns HPA agent-system-autoscaler through ScaledObject agent-system")
}

// TestARollbackToAPrunedConfigMapIsNotDone_X25: the old release's ConfigMap was
// pruned when the new one was rolled out.
func TestARollbackToAPrunedConfigMapIsNotDone_X25(t *testing.T) {
	s := stage(t, "pruned")
	for _, v := range []string{"v1", "v2"} {
		kubectl(t, s.Namespace, "", "create", "configmap", "agent-config-"+v, "--from-literal=GREETING="+v)
	}
	// What else the old release needs is still there.
	kubectl(t, s.Namespace, "", "create", "serviceaccount", "agent")
	claim(t, s.Namespace, "data")
	kubectl(t, s.Namespace, "", "patch", "deployment", "agent-system", "-p",
		`{"spec":{"template":{"spec":{"serviceAccountName":"agent","volumes":[{"name":"data",`+
			`"persistentVolumeClaim":{"claimName":"data"}}],"containers":[{"name":"agent-system",`+
			`"envFrom":[{"configMapRef":{"name":"agent-config-v1"}}]}]}}}}`)
	rolledOut(t, s)
	install(t, s, "release")
	good(t, s)
	kubectl(t, s.Namespace, "", "patch", "deployment", "agent-system", "-p",
		`{"spec":{"template":{"spec":{"serviceAccountName":"default","serviceAccount":"default",`+
			`"volumes":[{"name":"data","$patch":"delete"}],"containers":[{"name":"agent-system",`+
			`"image":"agent-system:v2.2.0","envFrom":[{"configMapRef":{"name":"agent-config-v2"}}]}]}}}}`)
	rolledOut(t, s)
	kubectl(t, s.Namespace, "", "delete", "configmap", "agent-config-v1")
	users(t, s)
	leftAlone(t, s, "need ConfigMap agent-config-v1, which no longer exists")
}

// claim makes a PersistentVolumeClaim that is bound, as nothing in the testbed binds one.
func claim(t *testing.T, namespace, name string) {
	t.Helper()
	kubectl(t, namespace, fmt.Sprintf(`apiVersion: v1
kind: PersistentVolume
metadata: {name: %[1]s-%[2]s}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteMany]
  storageClassName: ""
  hostPath: {path: /tmp}
  claimRef: {namespace: %[1]s, name: %[2]s}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: %[2]s, namespace: %[1]s, annotations: {pv.kubernetes.io/bind-completed: "yes"}}
spec:
  accessModes: [ReadWriteMany]
  storageClassName: ""
  volumeName: %[1]s-%[2]s
  resources: {requests: {storage: 1Gi}}
`, namespace, name), "apply", "-f", "-")
	t.Cleanup(func() {
		_ = tb.Kube.CoreV1().PersistentVolumes().Delete(contextForCleanup(), namespace+"-"+name, metav1.DeleteOptions{})
	})
}

// TestATargetThatIsBeingDeletedIsNotWritten_X27: somebody deleted the Deployment,
// and a finalizer keeps it.
func TestATargetThatIsBeingDeletedIsNotWritten_X27(t *testing.T) {
	for _, cascade := range []string{"foreground", "background"} {
		t.Run(cascade, func(t *testing.T) {
			s := stage(t, "deleted-"+cascade)
			t.Cleanup(func() {
				_, _ = tb.Run(contextForCleanup(), "", "kubectl", "-n", s.Namespace,
					"patch", "deployment", "agent-system", "--type=json", "-p",
					`[{"op":"remove","path":"/metadata/finalizers"}]`)
			})
			text := replaced(t, config(t, s, "agents"), "thresholds:\n", `thresholds:
  - metric: health
    above: 0
    for: 3s
    clear_for: 5s
    severity: P1
    mode: auto
    single_source: the Service refuses every connection
    ladder:
      - scale: { by: 1, max: 8, lease: 1h, settle: 1s, verify: 4s }
      - page
`)
			installText(t, s, text)
			good(t, s)
			kubectl(t, s.Namespace, "", "patch", "deployment", "agent-system", "-p",
				`{"metadata":{"finalizers":["agent-system.test/keep"]}}`)
			kubectl(t, s.Namespace, "", "delete", "deployment", "agent-system", "--cascade="+cascade, "--wait=false")
			if cascade == "background" { // its pods go on, and fall ill
				if err := s.Fault("agents"); err != nil {
					t.Fatal(err)
				}
			}
			leftAlone(t, s, "has been terminating since")
		})
	}
}
