package remediate

import (
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

const throttled = `Back-off pulling image "shop:v3": ErrImagePull: toomanyrequests: You have reached your unauthenticated pull rate limit`

// added gives the workload two more pods of the newest revision, which are not ready yet.
func added(f *Facts, age time.Duration, change func(*Pod)) {
	f.Workload.Desired += 2
	f.Workload.Updated += 2
	for range 2 {
		p := Pod{Name: "added", Revision: "u-4", Scheduled: true, CreatedAt: f.Now.Add(-age),
			StartedAt: f.Now.Add(-age)}
		change(&p)
		f.Workload.Pods = append(f.Workload.Pods, p)
	}
}

func TestPodsThatWaitForANodeOrARegistryDoNotFail_X21(t *testing.T) {
	noNode := func(p *Pod) { p.Scheduled = false }
	pull := func(message string) func(*Pod) {
		return func(p *Pod) { p.Waiting, p.WaitingFor = "ImagePullBackOff", message }
	}
	for _, c := range []struct {
		name    string
		age     time.Duration
		change  func(*Pod)
		failing string
	}{
		{"no node for 20 seconds: one may be on its way", 20 * time.Second, noNode, ""},
		{"no node for a start-up time: it failed", 3 * time.Minute, noNode, "unschedulable"},
		{"the registry throttles", time.Minute, pull(throttled), ""},
		{"the registry throttles for longer than a start-up time", 4 * time.Minute, pull(throttled),
			"ImagePullBackOff"},
		{"a kubelet that does not say why it backs off", time.Minute, pull(`Back-off pulling image "shop:v3"`), ""},
		{"the registry is not reached", time.Minute, pull("ErrImagePull: dial tcp: i/o timeout"), ""},
		{"there is no such image: waiting does not help", 5 * time.Second,
			pull(`ErrImagePull: failed to resolve reference "shop:v3": shop:v3: not found`), "ImagePullBackOff"},
		{"nobody may have the image", 5 * time.Second,
			pull("ErrImagePull: pull access denied, repository does not exist or may require authorization"),
			"ImagePullBackOff"},
		{"a container that is being created", time.Minute, func(p *Pod) { p.Waiting = "ContainerCreating" }, ""},
		{"a missing ConfigMap is no wait", 5 * time.Second, func(p *Pod) { p.Waiting = "CreateContainerConfigError" },
			"CreateContainerConfigError"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := facts("scale")
			added(&f, c.age, c.change)
			n, _, reasons := failures(f, f.Workload.Revisions[0])
			if got := strings.Join(reasons, ";"); got != c.failing || (n > 0) != (c.failing != "") {
				t.Errorf("%d pods fail: %q, want %q", n, got, c.failing)
			}
			_, answers := Consider(f)
			want := incident.Wait // for the pods that come
			if c.failing != "" {
				want = incident.Skip
			}
			if hold, reason, _ := Held(answers); hold != want {
				t.Errorf("scale is held with %q, want %q: %s", hold, want, reason)
			}
		})
	}
}

func TestPodsWithoutANodeAreNoFaultOfTheRelease_X21(t *testing.T) {
	f := facts("rollback")
	added(&f, 10*time.Minute, func(p *Pod) { p.Scheduled = false })
	_, answers := Consider(f)
	checkHeld(t, answers, "rollout", incident.Wait, "a rollout is in progress")
	for k := range f.Workload.Pods {
		f.Workload.Pods[k].Ready, f.Workload.Pods[k].Scheduled = false, false
		f.Workload.Pods[k].StartedAt = f.Now.Add(-10 * time.Minute)
	}
	if a := noRollout(f, mustPlan(t, f)); a.Hold != "" {
		t.Errorf("a release of which no pod finds a node is not suspected: %s", a.Reason)
	}
}

func TestTerminatingPodsBlockNothing_X22(t *testing.T) {
	for _, action := range []incident.Action{"scale", "restart", "rollback"} {
		t.Run(string(action), func(t *testing.T) {
			f := facts(action)
			for range 3 {
				f.Workload.Pods = append(f.Workload.Pods, Pod{Name: "old", Revision: "u-3", Scheduled: true,
					Terminating: true, StartedAt: f.Now.Add(-time.Hour), Node: "gone"})
			}
			_, answers := Consider(f)
			if hold, reason, _ := Held(answers); hold != "" {
				t.Errorf("held with %q: %s", hold, reason)
			}
			a := noRollout(f, incident.Plan{Action: action, Class: ClassOf(action)})
			if !strings.Contains(a.Reason, "4 pods exist and 3 are terminating") {
				t.Errorf("the guard says %q", a.Reason)
			}
		})
	}
	t.Run("a pod of a dead node is no pod that has to move first", func(t *testing.T) {
		f := facts("restart")
		lost(&f, 1)
		f.Workload.Pods = append(f.Workload.Pods, Pod{Name: "dead", Revision: "u-4", Scheduled: true, Terminating: true,
			StartedAt: f.Now.Add(-time.Hour)})
		if a := noRollout(f, incident.Plan{Action: "restart", Class: incident.C3}); a.Hold != "" {
			t.Errorf("held: %s", a.Reason)
		}
	})
	t.Run("a rollout that goes on still blocks", func(t *testing.T) {
		f := facts("restart")
		f.Workload.Updated, f.Workload.Available, f.Workload.Ready = 1, 3, 3
		f.Workload.Pods = append(f.Workload.Pods, Pod{Revision: "u-3", Terminating: true})
		if a := noRollout(f, incident.Plan{Action: "restart", Class: incident.C3}); a.Hold != incident.Wait {
			t.Errorf("not held: %s", a.Reason)
		}
	})
}

func TestTheStartupTimeComesFromTheWorkload_X102(t *testing.T) {
	ready := func(after time.Duration) Pod {
		return Pod{Ready: true, Scheduled: true, CreatedAt: noon(), StartedAt: noon(), ReadyAt: noon().Add(after)}
	}
	flapped := ready(20 * time.Hour)
	restarted := ready(20 * time.Minute)
	restarted.Restarts = 2
	for _, c := range []struct {
		name    string
		w       Workload
		records []Record
		want    time.Duration
	}{
		{"nothing is known: three minutes", Workload{}, nil, 3 * time.Minute},
		{"pods that start in a moment may still wait for a node", Workload{Pods: []Pod{ready(5 * time.Second)}}, nil,
			3 * time.Minute},
		{"pods took four minutes: twice that",
			Workload{Pods: []Pod{ready(4 * time.Minute), ready(4 * time.Minute), ready(3 * time.Minute)}}, nil,
			8 * time.Minute},
		{"readiness that came back tells nothing", Workload{Pods: []Pod{flapped, restarted}}, nil, 3 * time.Minute},
		{"pods of earlier revisions tell, too", Workload{}, []Record{{Startup: 5 * time.Minute},
			{Startup: time.Minute}}, 10 * time.Minute},
		{"the startup probe allows more", Workload{DeclaredStartup: 15 * time.Minute}, nil, 15 * time.Minute},
		{"nobody is believed for hours", Workload{DeclaredStartup: 5 * time.Hour}, nil, 30 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := StartupTime(c.w, c.records); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestWhatPodsTookIsRemembered_X102(t *testing.T) {
	f := facts("restart")
	for k := range f.Workload.Pods {
		p := &f.Workload.Pods[k]
		p.CreatedAt, p.ReadyAt, p.Ready = f.Now.Add(-10*time.Minute), f.Now.Add(-6*time.Minute), true
	}
	records, changed := Observe(f.Records, f.Workload, true, f.Now, f.Settings)
	r, _ := record(records, "u-4")
	if !changed || r.Startup != 4*time.Minute {
		t.Fatalf("changed %v, startup %s", changed, r.Startup)
	}
	f.Workload.Pods[0].ReadyAt, f.Workload.Pods[1].ReadyAt = f.Now, f.Now
	f.Workload.Pods[2].ReadyAt = f.Now
	records, _ = Observe(records, f.Workload, true, f.Now.Add(time.Minute), f.Settings)
	if r, _ = record(records, "u-4"); r.Startup != 4*time.Minute {
		t.Errorf("readiness that came back changed it to %s", r.Startup)
	}
}

// restartedBefore is a workload whose pods watchdog restarted four minutes ago.
func restartedBefore(action incident.Action) Facts {
	f := facts(action)
	at := f.Now.Add(-4 * time.Minute)
	stamp := at.UTC().Format(time.RFC3339)
	f.Workload.Template = template("agent-system:v2.2.0", RestartedAtAnnotation, stamp)
	own := f.Workload.Revisions[0]
	own.Number, own.UID, own.CreatedAt, own.Template = 5, "u-5", at, f.Workload.Template
	f.Workload.Revisions = append([]Revision{own}, f.Workload.Revisions...)
	for k := range f.Workload.Pods {
		f.Workload.Pods[k].Revision = "u-5"
	}
	f.Ledger.Moves = []incident.Move{{Op: "op0", Object: f.Workload.Target.UID, Field: "restartedAt", From: "never",
		To: stamp, Was: "other", At: at}}
	return f
}

func TestARevisionOfWatchdogsOwnRestartIsNoSuspect_X102(t *testing.T) {
	t.Run("the breach began while the restarted pods were starting", func(t *testing.T) {
		f := restartedBefore("rollback")
		f.Alert.ActiveAt = f.Now.Add(-3 * time.Minute)
		_, answers := Consider(f)
		checkHeld(t, answers, "plan", incident.Skip, "watchdog restarted the pods")
	})
	t.Run("the breach is older than the restart: the release stays a suspect", func(t *testing.T) {
		f := restartedBefore("rollback")
		mustPlan(t, f)
	})
	t.Run("only the restart's revision is left of the release", func(t *testing.T) {
		f := restartedBefore("rollback")
		f.Workload.Revisions = append(f.Workload.Revisions[:1:1], f.Workload.Revisions[2:]...)
		_, answers := Consider(f)
		checkHeld(t, answers, "plan", incident.Skip, "not the suspect")
	})
}

func TestPodsThatStartSlowlyHaveTheirTimeToSettle_X102(t *testing.T) {
	f := restartedBefore("restart")
	f.Settings.StartupGrace, f.Settings.OwnChange = time.Minute, time.Hour
	f.Alert.ActiveAt = f.Now.Add(-3 * time.Minute)
	f.Workload.DeclaredStartup = 6 * time.Minute
	_, answers := Consider(f)
	checkHeld(t, answers, "settling", incident.Wait, "for 6m0s this may be their startup")
}
