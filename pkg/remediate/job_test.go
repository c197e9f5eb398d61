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
	if p.Object.Name != "watchdog-clean-00abcdef" || p.Object.Namespace != "shop" || p.Object.Resource != "jobs" || p.Object.Group != "batch" || p.Class != incident.C2 || len(p.Patch) > 0 {
		t.Errorf("plan %+v", p.Object)
	}
	var got struct{ Metadata any }
	if err := json.Unmarshal(p.Create, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"name": "watchdog-clean-00abcdef", "namespace": "shop", "labels": map[string]any{"team": "a", "watchdog.io/op": opID}}
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
		{"trap 9: tty", replace(`"name":"clean",`, `"name":"clean","tty":true,`), "container clean wants a terminal"},
		{"trap 9: stdin", replace(`"name":"clean",`, `"name":"clean","stdin":true,`), "container clean wants a terminal"},
		{"trap 9: stdin in an init container", replace(`"containers"`, `"initContainers":[{"name":"i","stdin":true}],"containers"`), "container i wants a terminal"},
		{"trap 9: literal secret", replace(`"DAYS"`, `"Api_Token"`), "literal secret in env Api_Token"},
		{"trap 9: password in a URL", replace(`$(URL)`, `postgres://u:hunter2@db/x`), "a postgres:// URL holds a password"},
		{"trap 7: unresolved variable", replace(`tool:1`, `tool:${BUILD_VERSION}`), "${BUILD_VERSION} is not resolved"},
		{"trap 7: unresolved variable in a key", replace(`"team":`, `"${TEAM}":`), "${TEAM}"},
		{"no deadline", replace(`"activeDeadlineSeconds":60,`, ``), "activeDeadlineSeconds is missing"},
		{"backoff 4", replace(`"backoffLimit":1`, `"backoffLimit":4`), "backoffLimit is 4, more than 3"},
		{"no backoff", replace(`"backoffLimit":1,`, ``), "backoffLimit is missing"},
		{"another namespace", replace(`"name":"x"`, `"namespace":"kube-system"`), "kube-system"},
		{"no Job", replace(`"kind":"Job"`, `"kind":"CronJob"`), "batch/v1 CronJob"},
		{"no containers", json.RawMessage(`{"apiVersion":"batch/v1","kind":"Job","spec":{}}`), "0 containers"},
		{"nothing", nil, "read manifest"},
		{"null", json.RawMessage(`null`), "no object"},
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

func TestJobNeedsAnOp(t *testing.T) {
	f := facts("job")
	f.OpID = ""
	_, answers := Consider(f)
	checkHeld(t, answers, "plan", incident.HandOver, "no id")
}
