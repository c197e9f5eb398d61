package remediate

import (
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

func TestARestartThatWouldHangIsNotBegun_X28(t *testing.T) {
	const volume = `}],"volumes":[{"name":"d","persistentVolumeClaim":{"claimName":"disk"}}]`
	claim := func(modes ...string) Reference {
		return Reference{Kind: volumeClaim, Name: "disk", AccessModes: modes}
	}
	for _, tc := range []struct {
		name  string
		spec  string
		found []Reference
		text  string // empty: it is planned
	}{
		{"a volume of one node", volume, []Reference{claim("ReadWriteOnce")},
			"PersistentVolumeClaim disk (ReadWriteOnce) stays attached to the old pod's node"},
		{"a volume of one pod", volume, []Reference{claim("ReadWriteOncePod")},
			"PersistentVolumeClaim disk (ReadWriteOncePod)"},
		{"a volume that many may write", volume, []Reference{claim("ReadWriteOnce", "ReadWriteMany")}, ""},
		{"a volume that could not be looked at", volume,
			[]Reference{{Kind: volumeClaim, Name: "disk", Unknown: "forbidden"}}, "could not be read: forbidden"},
		{"a volume that nobody looked at", volume, nil, "was not checked"},
		{"a port of the node", `,"ports":[{"containerPort":80,"hostPort":8080}]}]`, nil,
			"host port 8080 is in use on every node that runs an old pod"},
		{"the node's network", `,"ports":[{"containerPort":9100}]}],"hostNetwork":true`, nil, "host port 9100"},
		{"a port of its own", `,"ports":[{"containerPort":80}]}]`, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := facts("restart")
			f.Workload.MaxUnavailable = 0
			f.Workload.Template = withSpec("agent-system:v2.2.0", tc.spec)
			f.Workload.Revisions[0].Template = f.Workload.Template
			f.References = tc.found
			if tc.text == "" {
				mustPlan(t, f)
				return
			}
			_, answers := Consider(f)
			checkHeld(t, answers, "plan", incident.Skip, tc.text)
			f.Workload.MaxUnavailable = 1 // an old pod ends first
			mustPlan(t, f)
		})
	}
}

func TestAForeignClaimSaysHowToTakeOver_A7(t *testing.T) {
	f := facts("scale")
	f.Workload.Annotations = map[string]string{ClaimAnnotation: "staging"}
	_, answers := Consider(f)
	checkHeld(t, answers, "claim", incident.HandOver,
		"if the other no longer exists, run `kubectl -n shop annotate deployment agent-system watchdog.io/managed-by-`")
	// An autoscaler's own claim counts, whoever has the workload.
	f.Workload.Annotations[ClaimAnnotation] = "main"
	f.Workload.HPA = hpa()
	f.Workload.HPA.Annotations = map[string]string{ClaimAnnotation: "staging"}
	_, answers = Consider(f)
	checkHeld(t, answers, "claim", incident.HandOver,
		"if the other no longer exists, run `kubectl -n shop annotate hpa agent-system-hpa watchdog.io/managed-by-`")
}

func TestNothingHappenedInTheFuture_X29(t *testing.T) {
	f := facts("scale")
	f.Workload.Managers[0].At = f.Now.Add(3 * time.Second)
	_, answers := Consider(f)
	checkHeld(t, answers, "human change", incident.HandOver,
		"kubectl-client-side-apply changed spec.replicas and spec.template just now, 5m3s after the incident opened")
	f.Incident.OpenedAt = f.Now.Add(-200 * time.Millisecond)
	f.Workload.Managers[0].At = f.Incident.OpenedAt.Truncate(time.Second)
	_, answers = Consider(f)
	checkHeld(t, answers, "human change", incident.HandOver, "1s before the incident opened")
}

func TestAControlConflictIsNamedOnce_X29(t *testing.T) {
	f, _ := acted(t, "scale")
	f.Workload.Desired = 4
	_, answers := Consider(f)
	checkHeld(t, answers, "control conflict", incident.HandOver, "watchdog changed spec.replicas from 4 to 5")
	if _, reason, _ := Held(answers); strings.Count(reason, "control conflict") != 1 {
		t.Errorf("said %q", reason)
	}
}
