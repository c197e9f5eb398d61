//go:build integration

package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	admission "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchdog.io/watchdog/internal/demo"
	"watchdog.io/watchdog/pkg/incident"
)

// quickLease makes a takeover cost seconds.
var quickLease = []string{"leaderElection.leaseDuration=3s",
	"leaderElection.renewDeadline=2s", "leaderElection.retryPeriod=500ms"}

func contextForCleanup() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	context.AfterFunc(ctx, cancel)
	return ctx
}

// broken starts a scene whose agents are dead, so that a restart is due.
func broken(t *testing.T, name string, set ...string) *demo.Scene {
	t.Helper()
	s := stage(t, name)
	install(t, s, "agents", set...)
	if err := s.Fault("agents"); err != nil {
		t.Fatal(err)
	}
	return s
}

// install puts watchdog into the scene with one of the demo's configurations, sped up.
func install(t *testing.T, s *demo.Scene, config string, set ...string) {
	t.Helper()
	text, err := s.Config(config)
	if err != nil {
		t.Fatal(err)
	}
	installText(t, s, text, set...)
}

func installText(t *testing.T, s *demo.Scene, text string, set ...string) {
	t.Helper()
	text = strings.ReplaceAll(text, "for: 10s", "for: 3s")
	if err := s.InstallWatchdog(within(t, 2*time.Minute), text,
		append(slices.Clone(quickLease), set...)...); err != nil {
		t.Fatal(err)
	}
}

func finished(i incident.Incident) bool { return i.Phase == incident.Resolved }

// TestKillNineBetweenIntentAndAct_F32: the intent is in the ledger, the write
// never lands, the leader dies. The follower finishes the same op, once.
func TestKillNineBetweenIntentAndAct_F32(t *testing.T) {
	s := broken(t, "kill-before")
	dead := ""
	g := putGate(t, s, func(n int) bool {
		if n > 1 {
			return true
		}
		dead = leader(t, s)
		kill9(t, s, dead)
		// Its node is gone too: nobody comes back under its name.
		now := int64(0)
		if err := tb.Kube.CoreV1().Pods(s.Watchdog).Delete(context.Background(), dead,
			metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
			t.Error(err)
		}
		return false
	})
	inc, err := s.WaitIncident(within(t, 2*time.Minute), "resolved after the takeover", finished)
	if err != nil {
		t.Fatal(err)
	}
	oneEffect(t, s, inc)
	if g.times() < 2 {
		t.Errorf("the write was asked %d times, want the first denied and one more", g.times())
	}
	if now := leader(t, s); now == dead {
		t.Errorf("%s was killed and still leads", dead)
	}
}

// TestKillNineAfterActBeforeReply_F33: the write lands, the leader dies before
// the answer. The follower reads the op's id on the target and goes on.
func TestKillNineAfterActBeforeReply_F33(t *testing.T) {
	s := broken(t, "kill-after")
	g, kill := killUnanswered(t, s, deployments)
	kill()
	inc, err := s.WaitIncident(within(t, 2*time.Minute), "resolved after the takeover", finished)
	if err != nil {
		t.Fatal(err)
	}
	oneEffect(t, s, inc)
	if g.times() != 1 {
		t.Errorf("the write was sent %d times, want once", g.times())
	}
}

// TestKillNineAfterActOfOtherLevers_F33: the same where the object written is not
// the workload: the autoscaler's minimum, and a Job.
func TestKillNineAfterActOfOtherLevers_F33(t *testing.T) {
	for _, tc := range []struct {
		name, rung string
		prepare    func(t *testing.T, s *demo.Scene)
		what       admission.Rule
	}{
		{"kill-hpa", "- scale: { by: 1, max: 8, lease: 1h, settle: 1s, verify: 8s }", autoscaled,
			admission.Rule{APIGroups: []string{"autoscaling"}, APIVersions: []string{"*"},
				Resources: []string{"horizontalpodautoscalers"}}},
		{"kill-job", "- job: { template: clean, settle: 1s, verify: 8s }", func(*testing.T, *demo.Scene) {},
			admission.Rule{APIGroups: []string{"batch"}, APIVersions: []string{"v1"}, Resources: []string{"jobs"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := stage(t, tc.name)
			tc.prepare(t, s)
			text := replaced(t, config(t, s, "agents"), "- restart: { settle: 3s, verify: 60s }", tc.rung) +
				"job_templates:\n  clean: { file: clean.yaml }\n"
			s.Values = map[string]any{"extraFiles": map[string]any{"clean.yaml": jobManifest}}
			installText(t, s, text, "actions.job=true")
			good(t, s)
			g, kill := killUnanswered(t, s, tc.what)
			if err := s.Fault("agents"); err != nil {
				t.Fatal(err)
			}
			kill()
			inc, err := s.WaitIncident(within(t, 2*time.Minute), "judged by the successor",
				func(i incident.Incident) bool { return len(i.Attempts) > 0 })
			if err != nil {
				t.Fatal(err)
			}
			if inc.Attempts[0].Verdict == incident.Aborted {
				t.Errorf("the op that had been applied was given up: %+v", inc.Attempts)
			}
			wantEffects(t, s, 1)
			if g.times() != 1 {
				t.Errorf("the write was sent %d times, want once", g.times())
			}
		})
	}
}

func oneEffect(t *testing.T, s *demo.Scene, inc incident.Incident) {
	t.Helper()
	wantEffects(t, s, 1)
	var done []incident.Attempt
	for _, a := range inc.Attempts {
		if a.Verdict != incident.Aborted {
			done = append(done, a)
		}
	}
	if len(done) != 1 || done[0].Verdict != incident.Helped {
		t.Errorf("attempts %+v, want one that helped", inc.Attempts)
	}
	if n := len(s.Receivers.PagerDutyIncidents()); n != 1 {
		t.Errorf("%d incidents at PagerDuty, want one", n)
	}
	if n := len(s.Receivers.SlackMessages()); n != 1 {
		t.Errorf("%d Slack messages, want one", n)
	}
	all, err := s.Incidents(t.Context())
	if err != nil || len(all) != 1 {
		t.Errorf("%d incidents (%v), want one", len(all), err)
	}
}

// TestAGracefulStopHandsOver: SIGTERM, as in a rolling update of watchdog itself.
func TestAGracefulStopHandsOver_F42(t *testing.T) {
	s := stage(t, "handover")
	install(t, s, "agents", "leaderElection.leaseDuration=60s", "leaderElection.renewDeadline=40s",
		"leaderElection.retryPeriod=500ms")
	first := leader(t, s)
	start := time.Now()
	if _, err := s.Run(t.Context(), "", "kubectl", "-n", s.Watchdog, "delete", "pod", first,
		"--wait=true"); err != nil {
		t.Fatal(err)
	}
	// After its grace period of 30 s it would be killed, and release nothing.
	if took := time.Since(start); took > 25*time.Second {
		t.Errorf("the stop took %s", took)
	}
	if err := s.Fault("agents"); err != nil {
		t.Fatal(err)
	}
	inc, err := s.WaitIncident(within(t, time.Minute), "resolved by the follower", finished)
	if err != nil {
		t.Fatal(err)
	}
	oneEffect(t, s, inc)
	// The lease lasts a minute: only a released one lets the follower see it by then.
	if after := inc.OpenedAt.Sub(start); after > 50*time.Second {
		t.Errorf("the follower opened the incident %s after the leader was told to stop", after)
	}
}
