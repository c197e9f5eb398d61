package remediate

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"watchdog.io/watchdog/pkg/incident"
)

func TestJobIsMadeUnderADeterministicName(t *testing.T) {
	p := mustPlan(t, facts("job"))
	if p.Object.Name != "watchdog-clean-00abcdef" || p.Object.Namespace != "shop" || p.Object.Resource != "jobs" ||
		p.Object.Group != "batch" || p.Class != incident.C2 || len(p.Patch) > 0 {
		t.Errorf("plan %+v", p.Object)
	}
	var got struct{ Metadata any }
	if err := json.Unmarshal(p.Create, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"name": "watchdog-clean-00abcdef", "namespace": "shop",
		"labels": map[string]any{"team": "a", "watchdog.io/op": opID}}
	if d := cmp.Diff(any(want), got.Metadata); d != "" {
		t.Error(d)
	}
	if again := mustPlan(t, facts("job")); string(again.Create) != string(p.Create) || again.Hash != p.Hash {
		t.Error("the same op makes another job")
	}
}

func TestJobNamesFitAndAreSafe(t *testing.T) {
	for name, want := range map[string]string{
		"Disk Cleanup_1":        "watchdog-disk-cleanup-1-00abcdef",
		"":                      "watchdog-00abcdef",
		"--":                    "watchdog-00abcdef",
		"../x":                  "watchdog-x-00abcdef",
		strings.Repeat("a", 99): "watchdog-" + strings.Repeat("a", 45) + "-00abcdef",
	} {
		if got := jobName(name, opID); got != want || len(got) > 63 {
			t.Errorf("%q: %q (%d), want %q", name, got, len(got), want)
		}
	}
}

func TestJobRefuses(t *testing.T) {
	replace := func(old, new string) json.RawMessage {
		s := string(goodJob())
		if !strings.Contains(s, old) {
			t.Fatalf("the manifest has no %s", old)
		}
		return json.RawMessage(strings.Replace(s, old, new, 1))
	}
	for _, tc := range []struct {
		name string
		job  json.RawMessage
		text string
	}{
		{"trap 9: tty", replace(`"name":"clean",`, `"name":"clean","tty":true,`), "container clean requests a terminal"},
		{"trap 9: stdin", replace(`"name":"clean",`, `"name":"clean","stdin":true,`),
			"container clean requests a terminal"},
		{"trap 9: stdin in an init container", replace(`"containers"`,
			`"initContainers":[{"name":"i","stdin":true}],"containers"`), "container i requests a terminal"},
		{"trap 9: literal secret", replace(`"DAYS"`, `"Api_Token"`), "literal secret in env Api_Token"},
		{"trap 9: password in a URL", replace(`$(URL)`, `postgres://u:hunter2@db/x`),
			"a postgres:// URL contains a password"},
		{"trap 7: unresolved variable", replace(`tool:1`, `tool:${BUILD_VERSION}`), "${BUILD_VERSION} is not substituted"},
		{"trap 7: unresolved variable in a key", replace(`"team":`, `"${TEAM}":`), "${TEAM}"},
		{"no deadline", replace(`"activeDeadlineSeconds":60,`, ``), "activeDeadlineSeconds is missing"},
		{"backoff 4", replace(`"backoffLimit":1`, `"backoffLimit":4`), "backoffLimit is 4, more than 3"},
		{"no backoff", replace(`"backoffLimit":1,`, ``), "backoffLimit is missing"},
		{"another namespace", replace(`"name":"x"`, `"namespace":"kube-system"`), "kube-system"},
		{"no Job", replace(`"kind":"Job"`, `"kind":"CronJob"`), "batch/v1 CronJob"},
		{"no containers", json.RawMessage(`{"apiVersion":"batch/v1","kind":"Job","spec":{}}`), "0 containers"},
		{"X96: privileged", replace(`"name":"clean",`, `"name":"clean","securityContext":{"privileged":true},`),
			"container clean is privileged (to permit it: `job_templates: allow: [privileged]`"},
		{"X96: escalation", replace(`"name":"clean",`,
			`"name":"clean","securityContext":{"allowPrivilegeEscalation":true},`), "allows privilege escalation"},
		{"X96: a capability", replace(`"name":"clean",`,
			`"name":"clean","securityContext":{"capabilities":{"add":["SYS_ADMIN"]}},`),
			"adds the capabilities SYS_ADMIN"},
		{"X96: a folder of the node", replace(`"containers"`,
			`"volumes":[{"name":"v","hostPath":{"path":"/"}}],"containers"`),
			"volume v mounts the node's directory / (to permit it: `job_templates: allow: [host]`"},
		{"X96: the node's network", replace(`"containers"`, `"hostNetwork":true,"containers"`), "it uses hostNetwork"},
		{"X96: a port of the node", replace(`"name":"clean",`, `"name":"clean","ports":[{"hostPort":22}],`),
			"uses host port 22"},
		{"X96: another account", replace(`"containers"`, `"serviceAccountName":"cluster-admin","containers"`),
			"runs as service account cluster-admin"},
		{"X96: another account by its old name", replace(`"containers"`,
			`"serviceAccount":"cluster-admin","containers"`), "runs as service account cluster-admin"},
		{"X96: many pods", replace(`"backoffLimit":1,`, `"backoffLimit":1,"parallelism":1000,`),
			"spec.parallelism is 1000"},
		{"X96: a shell", replace(`"args":["--url=$(URL)"]`, `"command":["/bin/bash","-ec","rm -rf /x"]`),
			"container clean runs a shell (/bin/bash -ec)"},
		{"X96: a shell by env", replace(`"args":["--url=$(URL)"]`, `"command":["/usr/bin/env","sh"],"args":["-c","x"]`),
			"runs a shell"},
		{"nothing", nil, "read manifest"},
		{"null", json.RawMessage(`null`), "not a JSON object"},
		{"two documents", append(goodJob(), goodJob()...), "read manifest"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := facts("job")
			f.Options.Job = tc.job
			_, answers := Consider(f)
			checkHeld(t, answers, "plan", incident.Skip, tc.text)
			for _, a := range answers {
				if strings.Contains(a.Reason, "hunter2") {
					t.Errorf("the reason repeats the password: %s", a.Reason)
				}
			}
		})
	}
}

// X96: what a template may do beyond the ordinary is allowed by name, and nothing else
// with it.
func TestJobRunsWithWhatItsTemplateIsAllowed(t *testing.T) {
	f := facts("job")
	f.Options.Job = json.RawMessage(strings.Replace(string(goodJob()), `"containers":[{"name":"clean",`,
		`"serviceAccountName":"cleaner","containers":[{"name":"clean","command":["sh","-c","x"],`, 1))
	f.Options.JobAllow = []string{AllowShell}
	_, answers := Consider(f)
	checkHeld(t, answers, "plan", incident.Skip, "service account cleaner")
	f.Options.JobAllow = []string{AllowShell, AllowServiceAccount}
	if p, answers := Consider(f); p.Object.Resource != "jobs" || len(holding(answers)) > 0 {
		t.Errorf("%+v %v", p.Object, holding(answers))
	}
}

func TestJobNeedsAnOp(t *testing.T) {
	f := facts("job")
	f.OpID = ""
	_, answers := Consider(f)
	checkHeld(t, answers, "plan", incident.HandOver, "no id")
}
