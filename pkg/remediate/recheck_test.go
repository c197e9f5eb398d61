package remediate

import (
	"slices"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// later is the same world a few seconds on: the op is reserved, and the status moved.
func later(f Facts, p incident.Plan) Facts {
	f.Now = f.Now.Add(3 * time.Second)
	f.Workload.ResourceVersion = "1002"
	if f.Workload.HPA != nil {
		h := *f.Workload.HPA
		h.ResourceVersion = "56"
		f.Workload.HPA = &h
	}
	f.Workload.Pods = slices.Clone(f.Workload.Pods)
	f.Workload.Managers = slices.Clone(f.Workload.Managers)
	op := incident.Op{ID: opID, Incident: "inc-1", Plan: p}
	f.Ledger, _ = f.Ledger.Reserve(op, f.Now, f.Limits)
	f.Incident.Op = &op
	return f
}

func TestRecheckBindsThePlanToTheFreshRead(t *testing.T) {
	for _, action := range []string{"scale", "restart", "rollback", "job", "capture", "hpa"} {
		f := facts("scale")
		if action == "hpa" {
			f.Workload.HPA = hpa()
		} else {
			f = facts(incident.Action(action))
		}
		// The op's own reservation must not use up what it was made from.
		f.Limits.PerTarget.Count, f.Limits.Concurrent = 1, 1
		p := mustPlan(t, f)
		f = later(f, p)
		got, answers := Recheck(f, p)
		if h, reason, _ := Held(answers); h != "" {
			t.Errorf("%s: held: %s", action, reason)
		}
		want := map[string]string{"scale": "1002", "restart": "1002", "rollback": "1002", "hpa": "56"}[action]
		if got.Object.ResourceVersion != want || got.Hash != p.Hash ||
			string(filled(t, got, f.Workload).Patch) != string(filled(t, p, f.Workload).Patch) {
			t.Errorf("%s: resourceVersion %q, want %q; %+v", action, got.Object.ResourceVersion, want, got)
		}
	}
}

func TestRecheckRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		action incident.Action
		change func(*Facts)
		hold   incident.Hold
		text   string
	}{
		{"F-105 replicas changed by others", "scale", func(f *Facts) {
			f.Workload.Desired, f.Workload.Ready, f.Workload.Available, f.Workload.Updated = 3, 3, 3, 3
		}, incident.Wait, "spec.replicas was 4 when planned, now spec.replicas is 3"},
		{"an HPA appeared", "scale", func(f *Facts) { f.Workload.HPA = hpa() }, incident.HandOver,
			"planned for uid u-deploy, now it is uid u-hpa"},
		{"F-16 made anew", "restart", func(f *Facts) { f.Workload.Target.UID = "u-new" }, incident.HandOver, "u-new"},
		{"F-108 deployed in between", "restart", func(f *Facts) {
			f.Workload.Template = template("agent-system:v2.2.1")
			f.Workload.Revisions[0].Template = f.Workload.Template
		}, incident.Wait, "restartedAt was never"},
		{"restarted in between", "restart", func(f *Facts) {
			f.Workload.Template = template("agent-system:v2.2.0", RestartedAtAnnotation, "2026-03-01T12:00:02Z")
			f.Workload.Revisions[0].Template = f.Workload.Template
		}, incident.Wait, "now restartedAt is 2026-03-01T12:00:02Z"},
		{"F-108 deployed in between, under the same image", "rollback", func(f *Facts) {
			f.Workload.Template = template("agent-system:v2.2.0", "config", "2")
			f.Workload.Revisions[0].Template = f.Workload.Template
		}, incident.Wait, "the workload changed since"},
		{"rolled back by a person in between", "rollback", func(f *Facts) {
			r := f.Workload.Revisions
			r[1].Number, r[0], r[1] = 5, r[1], r[0]
			r[0].Number = 5
			f.Workload.Template = r[0].Template
		}, incident.Skip, "not the suspect"},
		{"INV-12 F-71 recovered in between", "restart", func(f *Facts) { f.Alert.Verdict = incident.OK }, incident.Wait,
			"recovered"},
		{"F-104 held in between", "rollback",
			func(f *Facts) { f.Workload.Annotations = map[string]string{HoldAnnotation: "stop"} }, incident.Suppress,
			"stop"},
		{"F-104 kill switch in between", "scale", func(f *Facts) { f.Ledger.Hold = &incident.Attribution{} },
			incident.Suppress, "on hold"},
		{"the manifest changed in between", "job", func(f *Facts) {
			f.Options.Job = []byte(string(slices.Replace(slices.Clone([]byte(f.Options.Job)), 0, 1,
				[]byte(`{"x":1,`)...)))
			f.OpID = "01JQ0000000000000000000000"
		}, incident.Wait, "the workload changed since"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := facts(tc.action)
			p := mustPlan(t, f)
			f = later(f, p)
			f.Workload.Revisions = slices.Clone(f.Workload.Revisions)
			tc.change(&f)
			_, answers := Recheck(f, p)
			for _, a := range holding(answers) {
				if a.Hold == tc.hold && containsFold(a.Reason, tc.text) {
					if h, _, _ := Held(answers); h != tc.hold && tc.action != "job" {
						t.Errorf("held by %s, want %s: %+v", h, tc.hold, holding(answers))
					}
					return
				}
			}
			t.Errorf("want %s saying %q, got %+v", tc.hold, tc.text, holding(answers))
		})
	}
}

func TestThePlanHashChangesWithEveryParameter(t *testing.T) {
	base := mustPlan(t, facts("scale"))
	for name, change := range map[string]func(*incident.Plan){
		"action":  func(p *incident.Plan) { p.Action = "restart" },
		"uid":     func(p *incident.Plan) { p.Object.UID = "x" },
		"name":    func(p *incident.Plan) { p.Object.Name = "x" },
		"kind":    func(p *incident.Plan) { p.Object.Resource = "x" },
		"target":  func(p *incident.Plan) { p.Target.UID = "x" },
		"patch":   func(p *incident.Plan) { p.Patch = []byte(`{"spec":{"replicas":6}}`) },
		"create":  func(p *incident.Plan) { p.Create = []byte(`{}`) },
		"inverse": func(p *incident.Plan) { p.Inverse = nil },
		"lease":   func(p *incident.Plan) { p.Lease++ },
	} {
		p := base
		change(&p)
		if Hash(p) == base.Hash {
			t.Errorf("%s does not change the hash", name)
		}
	}
	same := base
	same.Object.ResourceVersion, same.Summary, same.Patch = "9", "other words", []byte(`{ "spec": {"replicas": 5} }`)
	if Hash(same) != base.Hash || len(base.Hash) != 64 {
		t.Errorf("the hash changed with what is no parameter: %s, %s", Hash(same), base.Hash)
	}
	for _, change := range []func(*Facts){
		func(f *Facts) { f.Options.By = "50%" }, func(f *Facts) { f.Options.Lease = time.Minute },
		func(f *Facts) { f.Workload.HPA = hpa() },
	} {
		f := facts("scale")
		change(&f)
		if mustPlan(t, f).Hash == base.Hash {
			t.Error("other options give the same hash")
		}
	}
}
