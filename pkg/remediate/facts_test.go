package remediate

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

const opID = "01JQ0000000000000000ABCDEF"

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func template(image string, annotations ...string) json.RawMessage {
	a := ""
	for i := 0; i+1 < len(annotations); i += 2 {
		a += fmt.Sprintf(`%q:%q,`, annotations[i], annotations[i+1])
	}
	if a != "" {
		a = `,"annotations":{` + a[:len(a)-1] + `}`
	}
	return json.RawMessage(fmt.Sprintf(`{"metadata":{"creationTimestamp":null,"labels":{"app":"agent-system"}%s},`+
		`"spec":{"containers":[{"name":"app","image":%q}]}}`, a, image))
}

func pods(n int, revision string) []Pod {
	var out []Pod
	for i := range n {
		out = append(out, Pod{Name: fmt.Sprintf("%s-%d", revision, i), Revision: revision, Ready: true, Scheduled: true,
			StartedAt: noon().Add(-14 * time.Minute)})
	}
	return out
}

// facts are those under which every action would be taken: revision 4 came up 15
// minutes ago, ten minutes ago the errors began, five minutes ago the incident opened.
func facts(action incident.Action) Facts {
	now := noon()
	target := incident.Target{Name: "agent-system", Namespace: "shop", Kind: "deployment", Workload: "agent-system",
		UID: "u-deploy"}
	rev := func(n int64, image string, age time.Duration) Revision {
		return Revision{Number: n, Name: fmt.Sprintf("agent-system-%d", n), UID: fmt.Sprintf("u-%d", n),
			CreatedAt: now.Add(-age), Images: []string{"registry.local/team/" + image}, Template: template(image)}
	}
	return Facts{
		Now: now, OpID: opID,
		Incident: incident.Incident{ID: "inc-1", Target: target, OpenedAt: now.Add(-5 * time.Minute)},
		Alert: incident.Alert{Rule: "error_rate", Firing: true, Verdict: incident.Breach, Value: 0.04, Bound: 0.001,
			Above:    true,
			ActiveAt: now.Add(-10 * time.Minute), EvaluatedAt: now.Add(-5 * time.Second)},
		Rung:    incident.Rung{Action: action, Class: ClassOf(action)},
		Options: Options{By: "25%", Max: 20, Lease: time.Hour, Job: goodJob(), JobName: "clean"},
		Mode:    incident.Auto, ModeWhy: "set by rule error_rate",
		Workload: Workload{
			Target: target, ResourceVersion: "1001", Generation: 7, Observed: 7, Desired: 4, Ready: 4, Updated: 4,
			Available: 4, MaxUnavailable: 1, MaxSurge: 1,
			Template: template("agent-system:v2.2.0"),
			Revisions: []Revision{rev(4, "agent-system:v2.2.0", 15*time.Minute),
				rev(3, "agent-system:v2.1.5", 48*time.Hour), rev(2, "agent-system:v2.1.4", 96*time.Hour)},
			Managers: []Manager{{Name: "kubectl-client-side-apply", At: now.Add(-15 * time.Minute), Template: true,
				Replicas: true},
				{Name: "kube-controller-manager", At: now.Add(-time.Minute), Replicas: true}},
			Pods: pods(4, "u-4"), ReadAt: now,
		},
		Limits: incident.Limits{PerTarget: incident.Rate{Count: 3, Per: time.Hour},
			PerNamespace: incident.Rate{Count: 5, Per: time.Hour},
			Cluster:      incident.Rate{Count: 10, Per: time.Hour}, Concurrent: 2, Cooldown: 5 * time.Minute},
		Signals: []Signal{{Source: "probe", Bad: true, Known: true, Detail: "health 503",
			At: now.Add(-3 * time.Second)},
			{Source: "prometheus", Bad: true, Known: true, Detail: "error_rate 4%", At: now.Add(-5 * time.Second)}},
		Dependencies: []Dependency{{Check: "database", Up: true, Known: true}, {Check: "redis"}},
		Watched:      10, Unhealthy: 1,
		Records: []Record{
			{UID: "u-4", Number: 4, SeenAt: now.Add(-15 * time.Minute)},
			{UID: "u-3", Number: 3, SeenAt: now.Add(-48 * time.Hour), GoodAt: now.Add(-47 * time.Hour)},
			{UID: "u-2", Number: 2, SeenAt: now.Add(-96 * time.Hour), GoodAt: now.Add(-95 * time.Hour)}},
		Settings: Settings{AvailabilityFloor: 0.5, MaxUnhealthy: 0.3, SuspectWindow: 30 * time.Minute,
			GoodAfter:   10 * time.Minute,
			HumanChange: 10 * time.Minute, MaxReplicas: 50, StaleAfter: 45 * time.Second},
		Installation: "main",
	}
}

func goodJob() json.RawMessage {
	return json.RawMessage(`{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"x","labels":{"team":"a"}},
		"spec":{"activeDeadlineSeconds":60,"backoffLimit":1,
		"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"clean","image":"tool:1","args":["--url=$(URL)"],
		"env":[{"name":"DB_PASSWORD","valueFrom":{"secretKeyRef":{"name":"db","key":"password"}}},{"name":"DAYS","value":"7"}]}]}}}}`)
}

func holding(answers []incident.Answer) []incident.Answer {
	var out []incident.Answer
	for _, a := range answers {
		if a.Hold != "" {
			out = append(out, a)
		}
	}
	return out
}

func mustPlan(t *testing.T, f Facts) incident.Plan {
	t.Helper()
	p, answers := Consider(f)
	if h := holding(answers); len(h) > 0 || p.Hash == "" {
		t.Fatalf("no plan: %+v", h)
	}
	return p
}

// checkHeld wants no plan, or one that exactly the given guard holds.
func checkHeld(t *testing.T, answers []incident.Answer, guard string, hold incident.Hold, text string) {
	t.Helper()
	h := holding(answers)
	if len(h) != 1 || h[0].Guard != guard || h[0].Hold != hold || !containsFold(h[0].Reason, text) {
		t.Errorf("holds:\n  %+v\nwant only %s of %q saying %q", h, hold, guard, text)
	}
}
