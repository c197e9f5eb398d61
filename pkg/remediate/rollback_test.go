package remediate

import (
	"testing"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"watchdog.io/watchdog/pkg/incident"
)

// Trap 20: the target is computed from what was seen to be good, not a constant.
func TestTrap20RollbackGoesToTheNewestGoodRevision(t *testing.T) {
	f := facts("rollback")
	p := mustPlan(t, f)
	if p.Patch != nil || p.Inverse != nil {
		t.Errorf("the plan carries the template: %s", p.Patch)
	}
	p = filled(t, p, f.Workload)
	if string(p.Patch) != `{"spec":{"template":{"spec":{"containers":[{"image":"agent-system:v2.1.5","name":"app"}]}}}}` {
		t.Errorf("patch %s", p.Patch)
	}
	if p.Field != "revision" || p.Before != "4 (agent-system:v2.2.0)" || p.After != "3 (agent-system:v2.1.5)" ||
		p.Class != incident.C4 || p.Price != 5 || p.Revision.UID != "u-3" || p.Back.UID != "u-4" || p.Is == "" ||
		p.Lease != 0 {
		t.Errorf("plan %+v", p)
	}
	if want := "roll back shop/deployment/agent-system from revision 4 (agent-system:v2.2.0) to revision 3 " +
		"(agent-system:v2.1.5), known good since 2026-02-27T13:00:00Z"; p.Summary != want {
		t.Errorf("summary %q", p.Summary)
	}
}

func TestTrap20RollbackPassesOverRevisionsThatAreNotGood(t *testing.T) {
	for name, change := range map[string]func(*Facts){
		"never good":  func(f *Facts) { f.Records[1].GoodAt = time.Time{} },
		"never seen":  func(f *Facts) { f.Records = append(f.Records[:1], f.Records[2]) },
		"rolled back": func(f *Facts) { f.Records[1].RolledBackAt = f.Now.Add(-time.Hour) },
		"F-109 it is gone": func(f *Facts) {
			f.Workload.Revisions = append(f.Workload.Revisions[:1],
				f.Workload.Revisions[2])
		},
		"a restart of it was rolled back": func(f *Facts) {
			f.Workload.Revisions = append(f.Workload.Revisions,
				Revision{Number: 1, UID: "u-1", Template: template("agent-system:v2.1.5", RestartedAtAnnotation, "x"),
					CreatedAt: f.Now.Add(-200 * time.Hour)})
			f.Records = append(f.Records, Record{UID: "u-1", RolledBackAt: f.Now.Add(-time.Hour)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := facts("rollback")
			change(&f)
			if p := mustPlan(t, f); p.After != "2 (agent-system:v2.1.4)" {
				t.Errorf("goes to %s", p.After)
			}
		})
	}
}

func TestRollbackRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Facts)
		hold   incident.Hold
		text   string
	}{
		{"INV-31 none is good", func(f *Facts) { f.Records = f.Records[:1] }, incident.HandOver,
			"none of 2 other revisions is known to be good: 3 (agent-system:v2.1.5) was never observed running; 2 " +
				"(agent-system:v2.1.4)"},
		{"F-109 no history", func(f *Facts) { f.Workload.Revisions = f.Workload.Revisions[:1] }, incident.HandOver,
			"no other revision exists"},
		{"INV-32 the breach came long after",
			func(f *Facts) { f.Workload.Revisions[0].CreatedAt = f.Now.Add(-3 * time.Hour) }, incident.Skip,
			"2h50m0s after revision 4 (agent-system:v2.2.0) was deployed, more than 30m0s"},
		{"INV-32 the breach came before",
			func(f *Facts) { f.Workload.Revisions[0].CreatedAt = f.Now.Add(-8 * time.Minute) }, incident.Skip,
			"2m0s before"},
		{"INV-32 nobody knows when it began", func(f *Facts) { f.Alert.ActiveAt = time.Time{} }, incident.Skip,
			"unknown when"},
		{"INV-32 a restart does not make an old release suspect", func(f *Facts) {
			f.Workload.Revisions[0].Template = template("agent-system:v2.1.5", RestartedAtAnnotation,
				"2026-03-01T11:45:00Z")
			f.Workload.Template = f.Workload.Revisions[0].Template
		}, incident.Skip, "47h50m0s after"},
		{"INV-34 no-rollback",
			func(f *Facts) { f.Workload.Annotations = map[string]string{NoRollbackAnnotation: "schema 12"} },
			incident.Skip, "schema 12"},
		{"INV-33 restored by us", func(f *Facts) { f.Records[0].RestoredBy = "op 1" }, incident.HandOver,
			"never rolls back a rollback"},
		{"INV-33 restored by us and restarted since", func(f *Facts) {
			f.Workload.Template = template("agent-system:v2.2.0", RestartedAtAnnotation, "now")
			restarted := f.Workload.Revisions[0]
			restarted.UID, restarted.Number, restarted.Template = "u-5", 5, f.Workload.Template
			f.Workload.Revisions = append([]Revision{restarted}, f.Workload.Revisions...)
			f.Workload.Pods = pods(4, "u-5")
			f.Records[0].RestoredBy = "op 1"
		}, incident.HandOver, "never rolls back a rollback"},
		{"INV-33 one in this incident already", func(f *Facts) {
			f.Incident.Attempts = []incident.Attempt{{Action: "rollback", Verdict: incident.NoEffect}}
		}, incident.HandOver, "1 of 1 rollbacks"},
		{"the database is down", func(f *Facts) { f.Dependencies[0].Up = false }, incident.Skip, "checks.database"},
		{"the template cannot be read", func(f *Facts) { f.Workload.Revisions[1].Template = []byte(`[1]`) },
			incident.HandOver, "not a JSON object"},
		{"not a deployment", func(f *Facts) {
			f.Workload.Target.Kind, f.Incident.Target.Kind = "statefulset",
				"statefulset"
		}, incident.Skip, "deployments only"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := facts("rollback")
			tc.change(&f)
			p, answers := Consider(f)
			checkHeld(t, answers, "plan", tc.hold, tc.text)
			if p.Changeful() {
				t.Errorf("a refused plan writes: %+v", p)
			}
		})
	}
}

func TestAnAbortedRollbackDoesNotCount(t *testing.T) {
	f := facts("rollback")
	f.Incident.Attempts = []incident.Attempt{{Action: "rollback", Verdict: incident.Aborted}}
	mustPlan(t, f)
}

func TestRollbackWaitsForTheController(t *testing.T) {
	f := facts("rollback")
	f.Workload.Template, f.Workload.Generation = template("agent-system:v2.3.0"), 8
	_, answers := Consider(f)
	if h, _, _ := Held(answers); h != incident.Wait {
		t.Errorf("held by %q: %+v", h, holding(answers))
	}
}

// Our own restart makes a revision; the deploy before it stays the suspect.
func TestARestartDoesNotHideTheSuspect(t *testing.T) {
	f := facts("rollback")
	restarted := f.Workload.Revisions[0]
	restarted.UID, restarted.Number, restarted.CreatedAt = "u-5", 5, f.Now.Add(-4*time.Minute)
	restarted.Template = template("agent-system:v2.2.0", RestartedAtAnnotation, "2026-03-01T11:56:00Z")
	f.Workload.Template = restarted.Template
	f.Workload.Revisions = append([]Revision{restarted}, f.Workload.Revisions...)
	f.Workload.Pods = pods(4, "u-5")
	p := filled(t, mustPlan(t, f), f.Workload)
	if p.After != "3 (agent-system:v2.1.5)" {
		t.Errorf("goes to %s", p.After)
	}
	if string(p.Patch) != `{"spec":{"template":{"metadata":{"annotations":null},`+
		`"spec":{"containers":[{"image":"agent-system:v2.1.5","name":"app"}]}}}}` {
		t.Errorf("patch %s", p.Patch)
	}
}

// After a rollback Kubernetes gives the old ReplicaSet the highest number.
func TestTheCurrentRevisionIsKnownByTemplateNotByNumber(t *testing.T) {
	w := facts("rollback").Workload
	w.Template = template("agent-system:v2.1.5")
	w.Revisions[1].Template = []byte(`{"spec":{"containers":[{"image":"agent-system:v2.1.5","name":"app"}]},` +
		`"metadata":{"labels":{"app":"agent-system","pod-template-hash":"abc"}}}`)
	if r, ok := currentRevision(w); !ok || r.UID != "u-3" {
		t.Errorf("current is %+v", r)
	}
	w.Template = template("agent-system:v9")
	if r, ok := currentRevision(w); !ok || r.UID != "u-4" {
		t.Errorf("current is %+v", r)
	}
	w.Generation++
	if _, ok := currentRevision(w); ok {
		t.Error("a template that the controller has not seen has a revision")
	}
}

// A release that was good for a while and then broke is not what a restart of it goes back to.
func TestARestartIsNotRolledBackToItself(t *testing.T) {
	f := facts("rollback")
	f.Records[0].GoodAt = f.Now.Add(-9 * time.Minute) // while this rule was in breach: another's word
	restarted := f.Workload.Revisions[0]
	restarted.UID, restarted.Number = "u-5", 5
	restarted.Template = template("agent-system:v2.2.0", RestartedAtAnnotation, "x")
	f.Workload.Template = restarted.Template
	f.Workload.Revisions = append([]Revision{restarted}, f.Workload.Revisions...)
	f.Workload.Pods = pods(4, "u-5")
	if p := mustPlan(t, f); p.After != "3 (agent-system:v2.1.5)" {
		t.Errorf("goes to %s", p.After)
	}
}

func TestFirstSeenStandsInForAMissingCreationTime(t *testing.T) {
	f := facts("rollback")
	f.Workload.Revisions[0].CreatedAt = time.Time{}
	mustPlan(t, f)
	f.Records[0].SeenAt = f.Now.Add(-time.Hour)
	_, answers := Consider(f)
	checkHeld(t, answers, "plan", incident.Skip, "50m0s after")
}

func TestDescriptionsAreShort(t *testing.T) {
	r := Revision{Number: 7, Images: []string{"r.local:5000/a/b@sha256:0123456789abcdef0123", "c"}}
	if got := describe(r); got != "7 (b@sha256:0123456789ab, c)" {
		t.Error(got)
	}
	if got := describe(Revision{Number: 7}); got != "7" {
		t.Error(got)
	}
	if got := list([]string{"1", "2", "3", "4", "5", "6", "7"}); got != "1; 2; 3; 4; 5 and 2 more" {
		t.Error(got)
	}
}

func TestATemplateIsOneObject(t *testing.T) {
	for _, raw := range []string{``, `null`, `[]`, `{} {}`, `{`} {
		if _, err := templatePatch([]byte(raw), []byte(`{}`)); err == nil {
			t.Errorf("%q is taken for a template", raw)
		}
	}
}

func TestTemplatePatchKeepsLargeNumbersApart(t *testing.T) {
	a := []byte(`{"spec":{"x":9007199254740993}}`)
	b := []byte(`{"spec":{"x":9007199254740992}}`)
	patch, err := templatePatch(a, b)
	if err != nil {
		return // refusing is right: the patch cannot say it
	}
	got, _ := jsonpatch.MergePatch(wrapTemplate(a), patch)
	if !equalTemplates(mustUnwrap(t, got), b, false) {
		t.Errorf("patch %s yields %s", patch, got)
	}
}

func mustUnwrap(t *testing.T, object []byte) []byte {
	t.Helper()
	b, err := unwrapTemplate(object)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
