package remediate

import (
	"testing"

	"watchdog.io/watchdog/pkg/incident"
)

func TestRestartWritesWhatKubectlWrites(t *testing.T) {
	p := mustPlan(t, facts("restart"))
	const want = `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"2026-03-01T12:00:00Z"}}}}}`
	if string(p.Patch) != want || p.Class != incident.C3 || p.Price != 5 || len(p.Inverse) > 0 ||
		p.Object.Resource != "deployments" || p.Object.UID != "u-deploy" || p.Object.ResourceVersion != "1001" {
		t.Errorf("plan %+v, patch %s", p, p.Patch)
	}
}

func TestRestartRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Facts)
		text   string
	}{
		{"F-70 the database is down", func(f *Facts) { f.Dependencies[0].Up = false },
			"checks.database is unhealthy (1 of 2 dependencies): a restart of the app cannot repair it"},
		{"an external API is down (trap 17)", func(f *Facts) {
			f.Dependencies = append(f.Dependencies, Dependency{Check: "checks.openai", Known: true})
		}, "checks.openai is unhealthy"},
		{"crash loop", func(f *Facts) { f.Workload.Pods[1].Waiting = "CrashLoopBackOff" }, "already restarts them"},
		{"image pull", func(f *Facts) { f.Workload.Pods[1].Waiting = "ErrImagePull" }, "ErrImagePull"},
		{"not a deployment", func(f *Facts) {
			f.Workload.Target.Kind, f.Incident.Target.Kind = "daemonset",
				"daemonset"
		}, "deployments only"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := facts("restart")
			tc.change(&f)
			_, answers := Consider(f)
			checkHeld(t, answers, "plan", incident.Skip, tc.text)
		})
	}
}

func TestRestartRefusesRecreate(t *testing.T) {
	f := facts("restart")
	f.Workload.Recreate = true
	_, answers := Consider(f)
	if h, reason, _ := Held(answers); h != incident.Skip ||
		reason != "plan: the strategy of shop/deployment/agent-system is Recreate: a restart stops all 4 replicas "+
			"at once" {
		t.Errorf("%s: %s", h, reason)
	}
}

func TestADependencyThatIsNotKnownDoesNotRefuse(t *testing.T) {
	f := facts("restart")
	f.Dependencies = []Dependency{{Check: "database"}}
	mustPlan(t, f)
}
