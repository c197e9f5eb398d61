//go:build integration

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/demo"
	"watchdog.io/watchdog/pkg/incident"
)

// TestStateOfANewerVersionIsLeftAlone_INV49: an incident of a watchdog to come
// stands on the target when this one is installed.
func TestStateOfANewerVersionIsLeftAlone_INV49(t *testing.T) {
	s := stage(t, "newer")
	crds, err := os.ReadFile(filepath.Join(root, "deploy", "helm", "watchdog", "crds", "incidents.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	newer := fmt.Sprintf(`{"apiVersion":"watchdog.io/v1alpha1","kind":"Incident","metadata":{"name":"01zz","namespace":%q},
		"spec":{"target":{"name":"agent-system","namespace":%q,"kind":"deployment","workload":"agent-system"},
			"openedAt":"2026-01-01T00:00:00Z"}}`,
		s.Watchdog, s.Namespace)
	const status = `{"status":{"format":2,"phase":"hibernating","plans":{"of":"another kind"}}}`
	for _, step := range []struct {
		stdin string
		args  []string
	}{
		{string(crds), []string{"apply", "-f", "-"}},
		{"", []string{"wait", "--for=condition=Established", "crd/incidents.watchdog.io", "--timeout=30s"}},
		{"", []string{"create", "namespace", s.Watchdog}},
		{newer, []string{"apply", "-f", "-"}},
		{"", []string{"-n", s.Watchdog, "patch", "incident", "01zz", "--subresource=status", "--type=merge", "-p",
			status}},
	} {
		if out, err := s.Run(t.Context(), step.stdin, append([]string{"kubectl"}, step.args...)...); err != nil {
			t.Fatalf("kubectl %v: %v\n%s", step.args, err, out)
		}
	}
	install(t, s, "agents")
	if err := s.Fault("agents"); err != nil {
		t.Fatal(err)
	}
	awaitMetric(t, s, `watchdog_alerts{rule="active_agents",state="firing"}`, 1)
	inc, err := s.WaitIncident(within(t, time.Minute), "watchdog's own", func(i incident.Incident) bool {
		return i.Target.Name == incident.Self && i.Phase == incident.Escalated && i.Paged
	})
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := inc.Alert("unfit"); !strings.Contains(a.Reason, "a newer version of watchdog stored incidents (on agent-system)") {
		t.Errorf("it says %q", a.Reason)
	}
	told(t, s, 1, false)
	wantEffects(t, s, 0)
	if out, err := s.Run(t.Context(), "", "kubectl", "-n", s.Watchdog,
		"get", "incident", "01zz", "-o", "jsonpath={.status.phase} {.status.plans.of}"); err != nil ||
		strings.TrimSpace(out) != "hibernating another kind" {
		t.Errorf("the newer incident is now %q (%v)", out, err)
	}
}

// TestUndoSurvivesACrash: a scale with a lease of an hour is taken back on a
// person's word, although the leader is killed the moment after.
func TestUndoSurvivesACrash(t *testing.T) {
	s := stage(t, "undo")
	installText(t, s, replaced(t, config(t, s, "release"), "- rollback: { settle: 3s, verify: 60s }",
		"- scale: { by: 1, max: 8, lease: 1h, settle: 1s, verify: 4s }"))
	good(t, s)
	url, err := s.URL(t.Context(), "/work")
	if err != nil {
		t.Fatal(err)
	}
	s.Load = demo.StartLoad(url, 4, 100*time.Millisecond)
	// What more replicas neither cure nor, for a moment, seem to.
	if err := s.Fault("errors"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WaitIncident(within(t, time.Minute),
		"escalated", func(i incident.Incident) bool { return i.Phase == incident.Escalated }); err != nil {
		t.Fatal(err)
	}
	wantEffects(t, s, 1)
	if out, err := s.Testbed.Watchdog(t.Context(), "undo", s.Namespace+"/agent-system",
		"--reason", "the database is full", "-n", s.Watchdog); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	kill9(t, s, leader(t, s))
	if err := s.WaitDeployment(within(t, time.Minute), "three replicas again, by the op's revert",
		func(d *appsDeployment) bool {
			return *d.Spec.Replicas == 3 && strings.HasSuffix(d.Annotations["watchdog.io/op"], "r")
		}); err != nil {
		t.Fatal(err)
	}
	wantEffects(t, s, 2)
}
