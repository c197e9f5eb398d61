//go:build integration

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchdog.io/watchdog/internal/demo"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/incident"
)

// hearing is a configuration that only hears what Alertmanager says.
func hearing(t *testing.T, s *demo.Scene, ladder string) string {
	t.Helper()
	text := config(t, s, "release")
	return text[:strings.Index(text, "thresholds:")] + `thresholds: []
alertmanager: { senders: [{ name: alertmanager, token_file: /etc/watchdog/secrets/alertmanager/alertmanager }] }
routes:
  - mode: auto
    ladder: ` + ladder + "\n"
}

// firing is one message of Alertmanager with one alert, of the given labels
// (name, value, …), as it is repeated, too.
func firing(name string, since time.Time, labels ...string) []byte {
	var more strings.Builder
	for i := 0; i+1 < len(labels); i += 2 {
		fmt.Fprintf(&more, ",%q:%q", labels[i], labels[i+1])
	}
	return fmt.Appendf(nil,
		`{"version":"4","groupKey":%[1]q,"receiver":"watchdog","status":"firing","alerts":[{"status":"firing",`+
			`"labels":{"alertname":%[1]q,"severity":"critical"%[2]s},"annotations":{"summary":"as seen from outside"},`+
			`"startsAt":%[3]q,"endsAt":"0001-01-01T00:00:00Z","fingerprint":%[1]q}]}`,
		name, more.String(), since.UTC().Format(time.RFC3339))
}

// accepted posts and holds that the alert was accepted.
func accepted(t *testing.T, url string, body []byte) {
	t.Helper()
	if code := post(t, url, demo.WebhookToken, body); code != http.StatusOK {
		t.Fatalf("POST %s: %d", url, code)
	}
}

// podNames are the living pods of the application.
func podNames(t *testing.T, s *demo.Scene) []string {
	t.Helper()
	all, err := tb.Kube.CoreV1().Pods(s.Namespace).List(t.Context(),
		metav1.ListOptions{LabelSelector: "app=agent-system"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range all.Items {
		if p.DeletionTimestamp == nil {
			names = append(names, p.Name)
		}
	}
	return names
}

// TestAnAcceptedAlertIsToldAlthoughTheProcessDies_X01: alerts that name a pod, a
// deployment, a node are answered with 200, and the process dies that moment. It
// starts, Alertmanager repeats them, and each is paged, once.
func TestAnAcceptedAlertIsToldAlthoughTheProcessDies_X01(t *testing.T) {
	s := stage(t, "accepted")
	// Two Deployments, so that each alert has an incident of its own.
	kubectl(t, s.Namespace, "", "create", "deployment", "billing", "--image=agent-system:v2.1.5")
	text := replaced(t, hearing(t, s, "[page]"), "guards:\n", `  - name: billing
    mode: auto
    namespace: NAMESPACE
    workload: deployment/billing
guards:
`)
	installText(t, s, s.Addressed(text), "replicas=1")
	url, err := s.WatchdogURL(t.Context(), "/webhook/alertmanager")
	if err != nil {
		t.Fatal(err)
	}
	pid := pidOf(s, leader(t, s))
	if pid == 0 {
		t.Fatal("no leader's process")
	}
	since := time.Now()
	alerts := [][]byte{
		firing("PodTrouble", since, "namespace", s.Namespace, "pod", podNames(t, s)[0]),
		firing("DeploymentTrouble", since, "namespace", s.Namespace, "deployment", "billing"),
		firing("NodeTrouble", since, "node", "node-7"),
	}
	for _, a := range alerts {
		accepted(t, url, a)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "watchdog to be back", time.Minute, func() bool {
		resp, err := http.Get(strings.TrimSuffix(url, "/webhook/alertmanager") + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	for _, a := range alerts {
		accepted(t, url, a)
	}
	if err := s.Receivers.WaitFor(within(t, 30*time.Second),
		func(recorders.Snapshot) bool { return len(s.Receivers.PagerDutyIncidents()) >= len(alerts) }); err != nil {
		all, _ := s.Incidents(t.Context())
		for _, i := range all {
			t.Logf("incident of %s: %s, paged %v", i.Target.Name, i.Phase, i.Paged)
		}
		t.Errorf("%d of %d alerts were paged", len(s.Receivers.PagerDutyIncidents()), len(alerts))
	}
	for _, a := range alerts {
		accepted(t, url, a)
	}
	all, err := s.Incidents(t.Context())
	if err != nil || len(all) != len(alerts) {
		t.Errorf("%d incidents (%v), want one for each of the %d alerts", len(all), err, len(alerts))
	}
	if n := len(s.Receivers.PagerDutyIncidents()); n != len(alerts) {
		t.Errorf("%d incidents at PagerDuty, want %d", n, len(alerts))
	}
	wantEffects(t, s, 0)
}

// TestAnAlertOnAPodThatIsGoneIsItsWorkloads_X03: one pod was deleted before
// watchdog came, the other while it ran. Both alerts are the Deployment's, which
// is well: nothing is done.
func TestAnAlertOnAPodThatIsGoneIsItsWorkloads_X03(t *testing.T) {
	s := stage(t, "gone-pod")
	before := podNames(t, s)[0]
	kubectl(t, s.Namespace, "", "delete", "pod", before)
	rolledOut(t, s)
	installText(t, s, replaced(t, hearing(t, s, "[restart, page]"), "wait_limit: 60s", "wait_limit: 5s"))
	good(t, s)
	since := podNames(t, s)[0]
	kubectl(t, s.Namespace, "", "delete", "pod", since)
	rolledOut(t, s)
	url, err := s.WatchdogURL(t.Context(), "/webhook/alertmanager")
	if err != nil {
		t.Fatal(err)
	}
	for name, pod := range map[string]string{"GoneBefore": before, "GoneSince": since} {
		accepted(t, url, firing(name, time.Now(), "namespace", s.Namespace, "pod", pod))
	}
	inc, err := s.WaitIncident(within(t, time.Minute), "the Deployment's, with both alerts, or nobody's",
		func(i incident.Incident) bool {
			_, one := i.Alert("GoneBefore")
			_, other := i.Alert("GoneSince")
			return i.Target.Name != "agent-system" || one && other
		})
	if err != nil {
		t.Fatal(err)
	}
	if inc.Target.Name != "agent-system" {
		t.Errorf("an incident of its own: %q", inc.Target.Name)
	}
	if _, err := s.WaitIncident(within(t, 90*time.Second), "told to a person",
		func(i incident.Incident) bool { return i.Paged || i.Phase == incident.Escalated }); err != nil {
		t.Fatal(err)
	}
	if got := attempts(t, s); len(got) != 0 {
		t.Errorf("watchdog tried to write: %s %s", got[0].Verb, got[0].RequestURI)
	}
}
