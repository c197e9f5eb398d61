//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// beside starts another part of the testbed, until the test ends or it is killed.
func beside(t *testing.T, args ...string) (kill func()) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(tb.Dir, args[0]+"-beside.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(tb.Bin, "testbed"), append(args, "--dir", tb.Dir)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dead := false
	kill = func() {
		if !dead {
			dead = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			log.Close()
		}
	}
	t.Cleanup(kill)
	return kill
}

// secondNode brings node-2, ready for pods, and takes it away with its pods when
// the test ends. The function it returns is the death of the machine.
func secondNode(t *testing.T) (die func()) {
	t.Helper()
	die = beside(t, "kubelet-sim", "--node", "2", "--images", filepath.Join(tb.Dir, "images.json"))
	t.Cleanup(func() { _ = tb.Kube.CoreV1().Nodes().Delete(contextForCleanup(), "node-2", metav1.DeleteOptions{}) })
	until(t, "node-2 to be ready", time.Minute, func() bool {
		n, err := tb.Kube.CoreV1().Nodes().Get(t.Context(), "node-2", metav1.GetOptions{})
		return err == nil && len(n.Spec.Taints) == 0 && slices.ContainsFunc(n.Status.Conditions,
			func(c corev1.NodeCondition) bool {
				return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
			})
	})
	return die
}

// push puts an image into the testbed's catalogue.
func push(t *testing.T, name, image string) {
	t.Helper()
	path := filepath.Join(tb.Dir, "images.json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	all[name] = json.RawMessage(image)
	if b, err = json.Marshal(all); err != nil {
		t.Fatal(err)
	}
	write(t, path+".new", string(b))
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// readyEndpoints counts the ready addresses behind a Service.
func readyEndpoints(t *testing.T, namespace, service string) int {
	t.Helper()
	all, err := tb.Kube.DiscoveryV1().EndpointSlices(namespace).List(t.Context(),
		metav1.ListOptions{LabelSelector: discovery.LabelServiceName + "=" + service})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range all.Items {
		for _, e := range s.Endpoints {
			if e.Conditions.Ready != nil && *e.Conditions.Ready {
				n += len(e.Addresses)
			}
		}
	}
	return n
}

// kubectl runs it in the namespace, with text on its standard input.
func kubectl(t *testing.T, namespace, text string, args ...string) string {
	t.Helper()
	out, err := tb.Run(t.Context(), text, append([]string{"kubectl", "-n", namespace}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestTheTestbedMakesTrouble holds that the real control plane and the testbed's
// kubelet do what the other tests rely on.
func TestTheTestbedMakesTrouble(t *testing.T) {
	push(t, "trouble:idle", `{"readyIn": "0s"}`)
	push(t, "trouble:slow-stop", `{"readyIn": "0s", "stopIn": "2s"}`)
	push(t, "trouble:deaf", `{"exec": ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"]}`)
	space := func(t *testing.T) string {
		name := "trouble-" + strings.ToLower(filepath.Base(t.Name()))
		kubectl(t, "default", "", "create", "namespace", name)
		t.Cleanup(func() {
			_ = tb.Kube.CoreV1().Namespaces().Delete(contextForCleanup(), name,
				metav1.DeleteOptions{})
		})
		until(t, "the ServiceAccount", time.Minute, func() bool {
			_, err := tb.Kube.CoreV1().ServiceAccounts(name).Get(t.Context(), "default", metav1.GetOptions{})
			return err == nil
		})
		return name
	}
	pod := func(t *testing.T, ns, name, spec string) {
		kubectl(t, ns, fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s, labels: {app: %s}}\nspec: %s\n",
			name, name, spec), "apply", "-f", "-")
	}
	get := func(t *testing.T, ns, name string) corev1.Pod {
		p, err := tb.Kube.CoreV1().Pods(ns).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return corev1.Pod{}
		}
		return *p
	}
	runs := func(t *testing.T, ns, name string) {
		until(t, name+" to run", 30*time.Second,
			func() bool { return get(t, ns, name).Status.Phase == corev1.PodRunning })
	}
	deploy := func(t *testing.T, ns, name string, replicas int) {
		kubectl(t, ns, "", "create", "deployment", name, "--image=trouble:idle", fmt.Sprintf("--replicas=%d", replicas))
	}

	t.Run("a-service-follows-its-selector", func(t *testing.T) {
		t.Parallel()
		ns := space(t)
		deploy(t, ns, "web", 2)
		kubectl(t, ns, "", "expose", "deployment", "web", "--port=80")
		until(t, "two endpoints", 30*time.Second, func() bool { return readyEndpoints(t, ns, "web") == 2 })
		kubectl(t, ns, "", "patch", "service", "web", "-p", `{"spec":{"selector":{"version":"v2"}}}`)
		until(t, "no endpoints", 30*time.Second, func() bool { return readyEndpoints(t, ns, "web") == 0 })
	})
	t.Run("a-pod-waits-for-a-node", func(t *testing.T) {
		t.Parallel()
		ns := space(t)
		pod(t, ns, "later", `{nodeSelector: {testbed/room-in: 3s}, containers: [{name: c, image: "trouble:idle"}]}`)
		until(t, "it to be unschedulable", 10*time.Second, func() bool {
			return slices.ContainsFunc(get(t, ns, "later").Status.Conditions, func(c corev1.PodCondition) bool {
				return c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable
			})
		})
		runs(t, ns, "later")
	})
	t.Run("a-config-map-is-missing", func(t *testing.T) {
		t.Parallel()
		ns := space(t)
		pod(t, ns, "env", `{containers: [{name: c, image: "trouble:deaf", envFrom: [{configMapRef: {name: gone}}]}], `+
			`terminationGracePeriodSeconds: 0}`)
		until(t, "CreateContainerConfigError", 30*time.Second, func() bool {
			s := get(t, ns, "env").Status.ContainerStatuses
			return len(s) == 1 && s[0].State.Waiting != nil &&
				s[0].State.Waiting.Reason == "CreateContainerConfigError" &&
				s[0].State.Waiting.Message == `configmap "gone" not found`
		})
		kubectl(t, ns, "", "create", "configmap", "gone", "--from-literal=A=1")
		runs(t, ns, "env")
	})
	t.Run("a-pod-ends-slowly", func(t *testing.T) {
		t.Parallel()
		ns := space(t)
		for name, spec := range map[string]string{
			"deaf": `{terminationGracePeriodSeconds: 3, containers: [{name: c, image: "trouble:deaf"}]}`,
			"sleep": `{terminationGracePeriodSeconds: 30, containers: [{name: c, image: "trouble:idle", lifecycle: ` +
				`{preStop: {sleep: {seconds: 2}}}}]}`,
			"idle": `{terminationGracePeriodSeconds: 30, containers: [{name: c, image: "trouble:slow-stop"}]}`,
		} {
			pod(t, ns, name, spec)
		}
		for _, name := range []string{"deaf", "sleep", "idle"} {
			runs(t, ns, name)
		}
		kubectl(t, ns, "", "delete", "pods", "--all", "--wait=false")
		began := time.Now()
		for _, name := range []string{"deaf", "sleep", "idle"} {
			if get(t, ns, name).DeletionTimestamp == nil {
				t.Errorf("%s is gone at once", name)
			}
		}
		until(t, "all to be gone", 20*time.Second, func() bool {
			all, err := tb.Kube.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
			return err == nil && len(all.Items) == 0
		})
		if took := time.Since(began); took < 2*time.Second {
			t.Errorf("the last was gone after %s, want 3 s", took)
		}
	})
	t.Run("the-quota-is-full", func(t *testing.T) {
		t.Parallel()
		ns := space(t)
		kubectl(t, ns, "", "create", "quota", "few", "--hard=pods=1")
		until(t, "the quota to be counted", 30*time.Second, func() bool {
			q, err := tb.Kube.CoreV1().ResourceQuotas(ns).Get(t.Context(), "few", metav1.GetOptions{})
			return err == nil && len(q.Status.Hard) > 0
		})
		deploy(t, ns, "web", 2)
		until(t, "ReplicaFailure", 30*time.Second, func() bool {
			return strings.Contains(kubectl(t, ns,
				"", "get", "deployment", "web", "-o",
				`jsonpath={.status.conditions[?(@.type=="ReplicaFailure")].message}`), "exceeded quota: few")
		})
	})
	t.Run("a-scaled-object-owns-its-autoscaler", func(t *testing.T) {
		t.Parallel()
		ns := space(t)
		deploy(t, ns, "web", 1)
		scaledObject(t, ns, "web", "web-autoscaler", 2, 5)
		until(t, "two replicas", 30*time.Second, func() bool {
			d, err := tb.Kube.AppsV1().Deployments(ns).Get(t.Context(), "web", metav1.GetOptions{})
			return err == nil && *d.Spec.Replicas == 2
		})
		kubectl(t, ns, "", "patch", "hpa", "web-autoscaler", "-p", `{"spec":{"minReplicas":4}}`)
		until(t, "the minimum to be put back", 30*time.Second, func() bool {
			h, err := tb.Kube.AutoscalingV2().HorizontalPodAutoscalers(ns).Get(t.Context(),
				"web-autoscaler", metav1.GetOptions{})
			o := metav1.GetControllerOf(h)
			return err == nil && *h.Spec.MinReplicas == 2 && o != nil && o.Kind == "ScaledObject"
		})
	})
	t.Run("a-deployment-is-deleted-and-does-not-go", func(t *testing.T) {
		t.Parallel()
		ns := space(t)
		deploy(t, ns, "web", 1)
		until(t, "its pod", 30*time.Second, func() bool {
			return kubectl(t, ns, "", "get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}") == "1"
		})
		kubectl(t, ns, "", "patch", "deployment", "web", "-p", `{"metadata":{"finalizers":["testbed/keep"]}}`)
		kubectl(t, ns, "", "delete", "deployment", "web", "--cascade=foreground", "--wait=false")
		until(t, "its pod to be gone", 30*time.Second,
			func() bool { return kubectl(t, ns, "", "get", "pods", "-o", "name") == "" })
		if d, err := tb.Kube.AppsV1().Deployments(ns).Get(t.Context(), "web", metav1.GetOptions{}); err != nil ||
			d.DeletionTimestamp == nil {
			t.Errorf("the deployment: %v", err)
		}
		kubectl(t, ns, "", "patch", "deployment", "web", "--type=json", "-p",
			`[{"op":"remove","path":"/metadata/finalizers"}]`)
		until(t, "it to go", 30*time.Second, func() bool {
			_, err := tb.Kube.AppsV1().Deployments(ns).Get(t.Context(), "web", metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		})
	})
}

// scaledObject starts KEDA's stand-in, and lets it own the autoscaler of a deployment.
func scaledObject(t *testing.T, namespace, deployment, hpa string, least, most int) {
	t.Helper()
	beside(t, "keda")
	until(t, "ScaledObjects to be served", 30*time.Second, func() bool {
		_, err := tb.Run(t.Context(), "", "kubectl", "get", "scaledobjects.keda.sh", "-A")
		return err == nil
	})
	kubectl(t, namespace, fmt.Sprintf(`apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: %[1]s}
spec:
  scaleTargetRef: {name: %[1]s}
  minReplicaCount: %[3]d
  maxReplicaCount: %[4]d
  advanced: {horizontalPodAutoscalerConfig: {name: %[2]s}}
  triggers: [{type: cpu, metricType: Utilization, metadata: {value: "80"}}]
`, deployment, hpa, least, most), "apply", "-f", "-")
	until(t, "its autoscaler", 30*time.Second, func() bool {
		_, err := tb.Kube.AutoscalingV2().HorizontalPodAutoscalers(namespace).Get(t.Context(), hpa, metav1.GetOptions{})
		return err == nil
	})
}
