//go:build integration

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchdog.io/watchdog/internal/demo"
	"watchdog.io/watchdog/pkg/incident"
)

// TestMaintenanceHoldsPagesAndHands_INV30: a bad release comes in a maintenance window.
// watchdog records it, touches nothing and tells nobody, also under another leader, and
// Alertmanager has a silence; when the window is ended and it is still bad, all follows.
func TestMaintenanceHoldsPagesAndHands_INV30(t *testing.T) {
	s := stage(t, "maintenance")
	address, _ := startAlertmanager(t)
	silences := silencesOf(t, "nobody", address)
	text := config(t, s, "release") + fmt.Sprintf("alertmanager: { silences: { urls: [\"http://%s\"], interval: 1s, "+
		"timeout: 2s } }\n", address)
	installText(t, s, text)
	good(t, s)
	run := func(args ...string) (string, error) {
		return s.Testbed.Watchdog(t.Context(), append(append([]string{"maintenance"}, args...), "-n", s.Watchdog)...)
	}
	backedUp(t, s, "dump", 3*time.Hour)
	if out, err := run("start", "db", "--for", "1h", "--target", "agent-system", "--page", "hold", "--silence",
		"--reason", "upgrade"); err == nil || !strings.Contains(out, "4 of 4 checklist items are not met") {
		t.Errorf("started without the checklist: %v\n%s", err, out)
	}
	if out, err := run("start", "db", "--for", "1h", "--target", "agent-system", "--page", "hold", "--deploy",
		"forbidden", "--silence", "--reason", "upgrade", "--backup", s.Namespace+"/dump",
		"--standby", "bob", "--override"); err != nil || !strings.Contains(out,
		s.Namespace+"/dump succeeded 3h0m0s ago") || !strings.Contains(out,
		"no successful rollback of agent-system") {
		t.Fatalf("%v\n%s", err, out)
	}
	until(t, "both replicas to know of the window", 30*time.Second, func() bool {
		return total(t, s, `watchdog_maintenance_active{target="agent-system",window="db"} `) == 2
	})
	until(t, "Alertmanager to have the silences", 30*time.Second, func() bool { return len(alive(t, silences)) == 2 })
	users, err := s.URL(t.Context(), "/work")
	if err != nil {
		t.Fatal(err)
	}
	s.Load = demo.StartLoad(users, 8, 100*time.Millisecond)
	if err := s.Release(t.Context(), "v2.2.0"); err != nil { // fails 30 % of its requests
		t.Fatal(err)
	}
	inc, err := s.WaitIncident(within(t, time.Minute), "recorded and held because of the window",
		func(i incident.Incident) bool {
			return i.Target.Name == "agent-system" && i.Phase == incident.Suppressed && i.Maintenance.Held != ""
		})
	if err != nil {
		t.Fatal(err)
	}
	if why, err := s.Testbed.Watchdog(t.Context(), "why", inc.ID, "-n", s.Watchdog); err != nil ||
		!strings.Contains(why, "in maintenance until ") || !strings.Contains(why, "59m left, by ") ||
		!strings.Contains(why, ": upgrade; actions of class C2 and above are suspended") {
		t.Errorf("%v\n%s", err, why)
	}
	kill9(t, s, leader(t, s))
	until(t, "another leader to account for the page", time.Minute, func() bool {
		out, err := run("list")
		return err == nil && strings.Contains(out, "1 (0 delivered, 0 resolved)") &&
			total(t, s, `watchdog_maintenance_held_pages{window="db"} `) >= 1
	})
	if all := s.Receivers.Snapshot().Requests; len(all) != 0 {
		t.Errorf("told in the window: %+v", all)
	}
	wantEffects(t, s, 0)
	if all := alive(t, silences); len(all) != 2 {
		t.Errorf("another leader made silences of its own: %+v", all)
	}
	if out, err := run("check", "--deploy", "agent-system", "--cluster-only"); err == nil ||
		!strings.Contains(out, "agent-system: NO: window db forbids") {
		t.Errorf("may be deployed: %v\n%s", err, out)
	}
	out, err := s.Run(t.Context(), "", "kubectl", "-n", s.Watchdog, "get", "mw")
	if err != nil || !strings.Contains(out, "active") || !strings.Contains(out, `["agent-system"]`) ||
		!strings.Contains(out, "upgrade") {
		t.Errorf("%v\n%s", err, out)
	}
	t.Log("\n" + out)
	if out, err := s.Testbed.Watchdog(t.Context(), "status", "-n", s.Watchdog); err != nil ||
		!strings.Contains(out, "maintenance db: active") {
		t.Errorf("%v\n%s", err, out)
	}
	// Objects that make no sense are refused by the API server, or have no effect and say so.
	for name, spec := range map[string]string{"no-effect-of-ours": `{"from":"2026-01-01T00:00:00Z",` +
		`"until":"2026-01-02T00:00:00Z","page":"never"}`, "no-end": `{"from":"2026-01-01T00:00:00Z"}`} {
		if out, err := s.Run(t.Context(),
			`{"apiVersion":"watchdog.io/v1alpha1","kind":"MaintenanceWindow","metadata":{"name":"`+
				name+`"},"spec":`+spec+`}`, "kubectl", "-n", s.Watchdog, "apply", "-f", "-"); err == nil {
			t.Errorf("%s is taken: %s", name, out)
		}
	}
	if out, err := run("extend", "db", "--for", "30m", "--reason", "the index"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	until(t, "the silences to end later, too", 30*time.Second, func() bool {
		all := alive(t, silences)
		return len(all) == 2 && time.Until(all[0].EndsAt) > 80*time.Minute && time.Until(all[1].EndsAt) > 80*time.Minute
	})
	if out, err := run("end", "db", "--reason", "done"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	inc, err = s.WaitIncident(within(t, 2*time.Minute), "resolved after a rollback", func(i incident.Incident) bool {
		return i.ID == inc.ID && i.Phase == incident.Resolved
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(inc.Attempts) != 1 || inc.Attempts[0].Action != "rollback" || inc.Attempts[0].Verdict != incident.Helped ||
		!explains(inc, "no maintenance window holds notifications any longer") {
		t.Errorf("%+v\n%v", inc.Attempts, inc.Timeline)
	}
	wantEffects(t, s, 1)
	until(t, "the silences to be over", 30*time.Second, func() bool { return len(alive(t, silences)) == 0 })
	until(t, "the account to be closed", 30*time.Second, func() bool {
		out, err := run("list", "--ended")
		return err == nil && strings.Contains(out, "ended") && strings.Contains(out, "0 (1 delivered, 0 resolved)")
	})
}

// backedUp makes a CronJob that last succeeded some time ago.
func backedUp(t *testing.T, s *demo.Scene, name string, ago time.Duration) {
	t.Helper()
	jobs := tb.Kube.BatchV1().CronJobs(s.Namespace)
	pod := corev1.PodTemplateSpec{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever,
		Containers: []corev1.Container{{Name: "dump", Image: "dump:v1"}}}}
	job, err := jobs.Create(t.Context(), &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: batchv1.CronJobSpec{Schedule: "0 0 1 1 *",
			JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: pod}}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	at := metav1.NewTime(time.Now().Add(-ago))
	job.Status.LastSuccessfulTime = &at
	if _, err := jobs.UpdateStatus(t.Context(), job, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}
