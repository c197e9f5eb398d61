//go:build integration

package e2e

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchdog.io/watchdog/internal/demo"
	"watchdog.io/watchdog/pkg/incident"
)

// users sends the demo's everyday load through the Service.
func users(t *testing.T, s *demo.Scene) {
	t.Helper()
	url, err := s.URL(t.Context(), "/work")
	if err != nil {
		t.Fatal(err)
	}
	s.Load = demo.StartLoad(url, 8, 100*time.Millisecond)
}

// rolledOut waits for three ready pods of the newest template. Pods that end
// slowly do not count: the Deployment's own numbers leave them out.
func rolledOut(t *testing.T, s *demo.Scene) {
	t.Helper()
	if err := s.RolledOut(within(t, time.Minute), 3); err != nil {
		t.Fatal(err)
	}
}

// TestPodsThatEndSlowlyBlockNoRollback_X22: the pods of the release before have a
// grace period of four minutes and use it. They are not a rollout in progress.
func TestPodsThatEndSlowlyBlockNoRollback_X22(t *testing.T) {
	s := stage(t, "slow-end")
	t.Cleanup(func() { forget(t, s) })
	kubectl(t, s.Namespace, "", "patch", "deployment", "agent-system", "-p",
		`{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":240,"containers":[{"name":"agent-system",`+
			`"lifecycle":{"preStop":{"sleep":{"seconds":240}}}}]}}}}`)
	rolledOut(t, s)
	install(t, s, "release")
	good(t, s)
	users(t, s)
	if err := s.Release(t.Context(), "v2.2.0"); err != nil {
		t.Fatal(err)
	}
	rolledBack(t, s)
	if n := terminating(t, s); n < 3 {
		t.Errorf("%d pods are terminating, want those of the old release at least: the test shows nothing", n)
	}
}

// TestAPodOfADeadNodeBlocksNoRollback_X22: a node died days ago, and its pod is
// Terminating for ever.
func TestAPodOfADeadNodeBlocksNoRollback_X22(t *testing.T) {
	s := stage(t, "dead-node")
	t.Cleanup(func() { forget(t, s) })
	die := secondNode(t)
	// One pod goes to the second node: nothing else takes new ones.
	kubectl(t, s.Namespace, "", "cordon", "node-1")
	uncordon := func() { _, _ = tb.Run(contextForCleanup(), "", "kubectl", "uncordon", "node-1") }
	t.Cleanup(uncordon)
	pods, err := tb.Kube.CoreV1().Pods(s.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kubectl(t, s.Namespace, "", "delete", "pod", pods.Items[0].Name)
	rolledOut(t, s)
	uncordon()
	kubectl(t, s.Namespace, "", "cordon", "node-2")
	die()
	// The control plane finds it out after ten seconds; that its pods have to go, a person may say sooner.
	kubectl(t, s.Namespace, "", "delete", "pods", "--wait=false", "--field-selector=spec.nodeName=node-2")
	rolledOut(t, s)
	install(t, s, "release")
	good(t, s)
	users(t, s)
	if err := s.Release(t.Context(), "v2.2.0"); err != nil {
		t.Fatal(err)
	}
	rolledBack(t, s)
	if n := terminating(t, s); n != 1 {
		t.Errorf("%d pods are terminating, want that of the dead node: the test shows nothing", n)
	}
}

// rolledBack waits until the release was rolled back, once, and that helped.
func rolledBack(t *testing.T, s *demo.Scene) {
	t.Helper()
	inc, err := s.WaitIncident(within(t, 90*time.Second), "rolled back, or given to a person",
		func(i incident.Incident) bool {
			return i.Phase == incident.Resolved || i.Phase == incident.Escalated
		})
	if err != nil {
		t.Fatal(err)
	}
	if len(inc.Attempts) != 1 || inc.Attempts[0].Action != "rollback" || inc.Attempts[0].Verdict != incident.Helped {
		t.Errorf("%s; attempts %+v; answers %+v", inc.Phase, inc.Attempts, inc.Answers)
	}
	wantEffects(t, s, 1)
}

func terminating(t *testing.T, s *demo.Scene) int {
	t.Helper()
	pods, err := tb.Kube.CoreV1().Pods(s.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, p := range pods.Items {
		if p.DeletionTimestamp != nil {
			n++
		}
	}
	return n
}

// forget removes pods without waiting for anything.
func forget(t *testing.T, s *demo.Scene) {
	if out, err := tb.Run(contextForCleanup(), "", "kubectl", "-n", s.Namespace,
		"delete", "deployments,pods", "--all", "--force", "--grace-period=0", "--wait=false"); err != nil {
		t.Log(err, out)
	}
}
