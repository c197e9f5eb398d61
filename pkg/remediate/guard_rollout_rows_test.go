package remediate

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// labelled is a template whose pods carry further labels; with is one with more in its spec.
func labelled(image, labels string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"metadata":{"labels":{"app":"agent-system"%s}},`+
		`"spec":{"containers":[{"name":"app","image":%q}]}}`, labels, image))
}

func withSpec(image, spec string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"metadata":{"labels":{"app":"agent-system"}},`+
		`"spec":{"containers":[{"name":"app","image":%q%s}}`, image, spec))
}

// release gives the present revision and the one to go back to their templates.
func release(f *Facts, now, before json.RawMessage) {
	f.Workload.Template, f.Workload.Revisions[0].Template, f.Workload.Revisions[1].Template = now, now, before
}

// What a release brings beside its image, and what a rollback to the one before meets then.
func TestRollbackLooksAtWhatTheOldRevisionNeeds(t *testing.T) {
	const v1, v2 = "agent-system:v2.1.5", "agent-system:v2.2.0"
	selected := func(selector map[string]string) func(*Facts) {
		return func(f *Facts) {
			release(f, labelled(v2, `,"version":"v2"`), labelled(v1, `,"version":"v1"`))
			f.Workload.Services = []Service{{Name: "all", Selector: map[string]string{"app": "agent-system"}, Ready: 4},
				{Name: "front", Selector: selector, Ready: 4}}
		}
	}
	needs := func(now, before string, found ...Reference) func(*Facts) {
		return func(f *Facts) {
			release(f, withSpec(v2, now), withSpec(v1, before))
			f.References = found
		}
	}
	const (
		envFrom = `,"envFrom":[{"configMapRef":{"name":"cfg-1"}}]}]`
		key     = `,"env":[{"name":"A","valueFrom":{"configMapKeyRef":{"name":"cfg-1","key":"a"}}}]}]`
		own     = `,"envFrom":[{"secretRef":{"name":"s-1"}}]}]`
		ownKey  = `,"env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"s-1","key":"a"}}}]}]`
	)
	cfg := Reference{Kind: configMap, Name: "cfg-1"}
	for _, tc := range []struct {
		name   string
		change func(*Facts)
		guard  string
		hold   incident.Hold
		text   string
	}{
		{"X20 the Service selects the new version only",
			selected(map[string]string{"app": "agent-system", "version": "v2"}), "service selector", incident.HandOver,
			"Service front selects version=v2, but the pods of revision 3 (agent-system:v2.1.5) have version=v1: " +
				"it has 4 ready endpoints of the workload and would have none"},
		{"X20 the old pods have no such label", func(f *Facts) {
			selected(map[string]string{"tier": "web"})(f)
			release(f, labelled(v2, `,"tier":"web"`), labelled(v1, ``))
		}, "service selector", incident.HandOver, "have no label tier"},
		{"X20 Services may not be read", func(f *Facts) { f.Workload.NoServices = "list services: forbidden" },
			"service selector", incident.HandOver, "list services: forbidden"},
		{"X20 every Service selects both", selected(map[string]string{"app": "agent-system"}), "", "", ""},

		{"X24 nothing but an annotation differs", func(f *Facts) {
			release(f, template(v1, "deployed", "today"), template(v1, "deployed", "yesterday"))
			f.Workload.Revisions = f.Workload.Revisions[:2]
		}, "plan", incident.HandOver, "none of 1 other revisions is known to be good: 3 (agent-system:v2.1.5) " +
			"differs from the current one only in annotations and dates: it would start the same images"},
		{"X24 nothing but a date in a label and a variable differs", func(f *Facts) {
			at := func(d, n string) json.RawMessage {
				return json.RawMessage(`{"metadata":{"labels":{"app":"a","date":"` + d +
					`"}},"spec":{"containers":[{"name":"app","image":"app:latest","env":[{"name":"DEPLOYED","value":"` +
					n + `"},{"name":"B","value":"1"}]}]}}`)
			}
			release(f, at("20260301-114500", "2026-03-01T11:45:00Z"), at("1772193600", "1772193600000"))
			f.Workload.Revisions = f.Workload.Revisions[:2]
		}, "plan", incident.HandOver, "only in annotations and dates"},
		{"X24 the tag was moved since, to what was never good", func(f *Facts) {
			f.Workload.Revisions[2].Template = template("app:latest", "deployed", "1")
			f.Workload.Revisions[1].Template = template("app:latest", "deployed", "2")
			f.Records[1].GoodAt = time.Time{}
		}, "plan", incident.HandOver, "2 (agent-system:v2.1.4) would start the same pods as revision 3 (agent-system:v2.1.5), " +
			"which is not known to be good"},
		{"X24 a variable differs that is no date", func(f *Facts) {
			at := func(n string) json.RawMessage {
				return json.RawMessage(`{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"app",` +
					`"image":"app:latest","env":[{"name":"POOL","value":"` + n + `"}]}]}}`)
			}
			release(f, at("20"), at("30"))
		}, "", "", ""},

		{"X25 the ConfigMap was pruned", needs(`}]`, envFrom, Reference{Kind: configMap, Name: "cfg-1", Gone: true}),
			"references", incident.HandOver,
			"the pods of revision 3 (agent-system:v2.1.5) need ConfigMap cfg-1, which no longer exists: they would not start"},
		{"X25 its key was dropped", needs(`}]`, key, Reference{Kind: configMap, Name: "cfg-1", Keys: []string{"a"},
			MissingKeys: []string{"a"}}), "references", incident.HandOver, "ConfigMap cfg-1, which has no key a"},
		{"X25 it could not be looked for", needs(`}]`, envFrom,
			Reference{Kind: configMap, Name: "cfg-1", Unknown: "get configmaps: forbidden"}),
			"references", incident.HandOver, "could not be read: get configmaps: forbidden"},
		{"X25 nobody looked", needs(`}]`, envFrom), "references", incident.HandOver, "was not checked"},
		{"X25 it is there", needs(`}]`, envFrom, cfg), "", "", ""},
		{"X25 it is optional", needs(`}]`, `,"envFrom":[{"configMapRef":{"name":"cfg-1","optional":true}}]}]`),
			"", "", ""},
		{"X25 a volume's claim is gone", needs(`}]`,
			`}],"volumes":[{"name":"d","persistentVolumeClaim":{"claimName":"disk"}}]`,
			Reference{Kind: volumeClaim, Name: "disk", Gone: true}), "references", incident.HandOver,
			"PersistentVolumeClaim disk, which no longer exists"},
		{"X25 a projected ConfigMap is gone", needs(`}]`,
			`}],"volumes":[{"name":"d","projected":{"sources":[{"configMap":{"name":"cfg-1"}}]}}]`,
			Reference{Kind: configMap, Name: "cfg-1", Gone: true}), "references", incident.HandOver, "ConfigMap cfg-1"},
		{"X25 the account is gone", needs(`}]`, `}],"serviceAccountName":"old"`,
			Reference{Kind: serviceAccount, Name: "old", Gone: true}), "references", incident.HandOver,
			"ServiceAccount old, which no longer exists"},
		{"X25 a Secret that the present pods use, too", needs(own, own), "", "", ""},
		{"X25 a Secret that only the old pods use", needs(`}]`, own), "references", incident.HandOver,
			"need Secret s-1, which cannot be checked: watchdog reads no Secrets"},
		{"X25 a key of it that the present pods do not use", needs(own, ownKey), "references", incident.HandOver,
			"Secret s-1"},
		{"X25 a Secret of the present pods, none of which has started", func(f *Facts) {
			needs(own, own)(f)
			lost(f, 4)
			for k := range f.Workload.Pods {
				f.Workload.Pods[k].Waiting = "CreateContainerConfigError"
			}
		}, "references", incident.HandOver, "no pod of the current revision has started with it"},
		{"X25 a volume's Secret that only the old pods use",
			needs(`}]`, `}],"volumes":[{"name":"d","secret":{"secretName":"tls-1"}}]`), "references", incident.HandOver,
			"Secret tls-1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := facts("rollback")
			tc.change(&f)
			_, answers := Consider(f)
			if tc.guard == "" {
				if h := holding(answers); len(h) > 0 {
					t.Errorf("held: %+v", h)
				}
				return
			}
			checkHeld(t, answers, tc.guard, tc.hold, tc.text)
		})
	}
}

func TestWhatIsLookedForDependsOnTheRung_X25(t *testing.T) {
	f := facts("rollback")
	spec := `,"envFrom":[{"configMapRef":{"name":"cfg"}},{"secretRef":{"name":"s"}}]}],"volumes":[{"name":"d",` +
		`"persistentVolumeClaim":{"claimName":"disk"}}]`
	release(&f, withSpec("agent-system:v2.2.0", spec), withSpec("agent-system:v2.1.5", spec))
	for action, want := range map[incident.Action]string{"rollback": "[ConfigMap cfg PersistentVolumeClaim disk]",
		"restart": "[PersistentVolumeClaim disk]", "scale": "[]"} {
		f.Rung.Action = action
		if got := fmt.Sprint(Needs(f)); got != want {
			t.Errorf("%s: %s, want %s", action, got, want)
		}
	}
}

func TestWhatIsBeingDeletedIsNotWritten_X27(t *testing.T) {
	for _, action := range []incident.Action{"scale", "restart", "rollback", "job"} {
		f := facts(action)
		f.Workload.Deleting, f.Workload.Finalizers = f.Now.Add(-time.Minute), []string{"foregroundDeletion"}
		_, answers := Consider(f)
		checkHeld(t, answers, "deletion", incident.HandOver,
			`shop/deployment/agent-system has been terminating since 2026-03-01T11:59:00Z (finalizers "foregroundDeletion")`)
	}
	f := facts("scale")
	f.Workload.HPA = hpa()
	f.Workload.HPA.Deleting = f.Now
	_, answers := Consider(f)
	checkHeld(t, answers, "deletion", incident.Skip, "HPA agent-system-hpa has been terminating")
	f, lease := leased(t, false)
	f.Workload.Deleting = f.Now
	if _, answers := Revert(f, lease); guardHold(answers, "deletion") != incident.HandOver {
		t.Errorf("a lease is taken back: %+v", answers)
	}
}

func TestAnAutoscalerThatKEDAMadeIsItsOwn_X23(t *testing.T) {
	f := facts("scale")
	f.Workload.HPA = hpa()
	f.Workload.HPA.Owner = "ScaledObject cart-scaling"
	_, answers := Consider(f)
	checkHeld(t, answers, "other owner", incident.Skip,
		"KEDA owns HPA agent-system-hpa through ScaledObject cart-scaling and would undo a scale; instead: raise "+
			"minReplicaCount of ScaledObject cart-scaling")
	f.Workload.HPA.Owner = "Flux kustomization apps/shop"
	_, answers = Consider(f)
	checkHeld(t, answers, "other owner", incident.Skip, "Flux kustomization apps/shop owns HPA agent-system-hpa")
	f.Rung = incident.Rung{Action: "restart", Class: incident.C3}
	if _, answers := Consider(f); guardHold(answers, "other owner") != "" {
		t.Errorf("a restart does not write it: %+v", holding(answers))
	}
}

// redeployed is a workload whose present template is an old one, deployed again.
func redeployed() Facts {
	f := facts("rollback")
	r := f.Workload.Revisions
	r[0].CreatedAt = f.Now.Add(-47 * time.Hour)
	f.Workload.Managers[0].At = f.Now.Add(-15 * time.Minute)
	return f
}

func TestTheAgeOfARevisionCountsFromWhenItBecameThePresentOne_X26(t *testing.T) {
	f := redeployed()
	f.Records[0].CurrentAt = f.Now.Add(-15 * time.Minute)
	mustPlan(t, f)
	f.Records[0].CurrentAt = f.Now.Add(-3 * time.Hour)
	_, answers := Consider(f)
	checkHeld(t, answers, "plan", incident.Skip, "the breach began 2h50m0s after revision 4")
	// A restart of it, longer ago, with another release in between, is not its beginning.
	f.Records[0].CurrentAt = f.Now.Add(-15 * time.Minute)
	old := f.Workload.Revisions[0]
	old.UID, old.Number, old.Template, old.CreatedAt = "u-1", 1, template("agent-system:v2.2.0", RestartedAtAnnotation,
		"x"), f.Now.Add(-40*time.Hour)
	f.Workload.Revisions = append(f.Workload.Revisions, old)
	mustPlan(t, f)
}

func TestWhenARevisionBecameThePresentOneIsRecorded_X26(t *testing.T) {
	f := redeployed()
	// Seen for the first time: the last write of the template tells.
	first, _ := Observe(nil, f.Workload, true, f.Now, f.Settings)
	if rec, _ := record(first, "u-4"); !rec.CurrentAt.Equal(f.Now.Add(-15 * time.Minute)) {
		t.Errorf("first seen: %+v", rec)
	}
	// An old template under a higher number: now it tells, too.
	r := f.Workload.Revisions
	r[2].Number = 5
	f.Workload.Template, f.Workload.Managers[0].At = r[2].Template, f.Now.Add(-time.Minute)
	next, _ := Observe(first, f.Workload, false, f.Now, f.Settings)
	if rec, _ := record(next, "u-2"); !rec.CurrentAt.Equal(f.Now.Add(-time.Minute)) {
		t.Errorf("deployed again: %+v", rec)
	}
	// A writer that is ahead, or none, is not believed.
	f.Workload.Managers[0].At = f.Now.Add(time.Minute)
	next, _ = Observe(first, f.Workload, false, f.Now, f.Settings)
	if rec, _ := record(next, "u-2"); !rec.CurrentAt.Equal(f.Now) {
		t.Errorf("a clock that is ahead: %+v", rec)
	}
}

func TestWhatWasRestoredLongAgoIsNoReasonToHandOver_X26(t *testing.T) {
	f := redeployed()
	f.Records[0].RestoredBy, f.Records[0].CurrentAt = "op 1", f.Now.Add(-40*time.Hour)
	_, answers := Consider(f)
	checkHeld(t, answers, "plan", incident.Skip, "the release is not the suspect")
}

func TestWhoeverDeploysAgainWhatWasRolledBackIsNamed_A8(t *testing.T) {
	f := redeployed()
	f.Records[0].RestoredBy, f.Records[0].CurrentAt, f.Records[0].RolledBackAt = "kubectl-set",
		f.Now.Add(-15*time.Minute), f.Now.Add(-40*time.Minute)
	_, answers := Consider(f)
	checkHeld(t, answers, "plan", incident.HandOver,
		"watchdog rolled back revision 4 (agent-system:v2.2.0) at 2026-03-01T11:20:00Z, and kubectl-set "+
			"deployed it again: watchdog does not roll it back twice")
	f.Records[0].RolledBackAt = time.Time{}
	_, answers = Consider(f)
	checkHeld(t, answers, "plan", incident.HandOver,
		"was made current again by kubectl-set, which may be a rollback")
}

// harmed is the world after a rollback that took endpoints away.
func harmed(t *testing.T) (Facts, incident.Lease) {
	t.Helper()
	f := facts("rollback")
	p := mustPlan(t, f)
	f.Workload.Template, f.Workload.ResourceVersion = template("agent-system:v2.1.5"), "2001"
	f.Incident, f.Alert, f.Rung, f.Options = incident.Incident{}, incident.Alert{}, incident.Rung{}, Options{}
	lease := incident.Lease{Op: opID, Incident: "inc-1", Plan: p, ExpiresAt: f.Now}
	f.Ledger.Leases, f.OpID = []incident.Lease{lease}, opID+"r"
	return f, lease
}

func TestARollbackThatDidHarmIsTakenBack_X20(t *testing.T) {
	f, lease := harmed(t)
	p, answers := Revert(f, lease)
	if h, reason, _ := Held(answers); h != "" {
		t.Fatalf("held: %s", reason)
	}
	if want := "revert the rollback of shop/deployment/agent-system, from revision 3 (agent-system:v2.1.5) to 4 " +
		"(agent-system:v2.2.0): op " + opID + " was harmful"; p.Summary != want ||
		p.Action != incident.ActionRevert {
		t.Errorf("%s: %q", p.Action, p.Summary)
	}
	hash := Hash(p)
	p = filled(t, p, f.Workload)
	if string(p.Patch) != `{"spec":{"template":{"spec":{"containers":[{"image":"agent-system:v2.2.0","name":"app"}]}}}}` ||
		p.Object.ResourceVersion != "2001" || p.Is != lease.Plan.Was || p.Hash != hash {
		t.Errorf("%+v, patch %s", p, p.Patch)
	}
	f.Workload.ResourceVersion = "2002"
	if again, answers := Recheck(f, p); len(holding(answers)) > 0 || again.Object.ResourceVersion != "2002" {
		t.Errorf("recheck: %+v, %+v", again.Object, holding(answers))
	}
}

func TestARollbackThatDidHarmIsLeftToWhoeverCameLater_X20(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Facts)
		hold   incident.Hold
		text   string
	}{
		{"another template", func(f *Facts) { f.Workload.Template = template("agent-system:v2.3.0") }, incident.Skip,
			"is no longer that of revision 3"},
		{"made anew", func(f *Facts) { f.Workload.Target.UID = "other" }, incident.Skip, "is now another object"},
		{"a person's hold", func(f *Facts) { f.Workload.Annotations = map[string]string{HoldAnnotation: "wait"} },
			incident.Suppress, "wait"},
		{"the kill switch", func(f *Facts) { f.Ledger.Hold = &incident.Attribution{By: "eve"} }, incident.Suppress,
			"eve"},
		{"the old template is gone", func(f *Facts) { f.Workload.Revisions = f.Workload.Revisions[1:] },
			incident.HandOver, "manually"},
		{"the old template is another one", func(f *Facts) { f.Workload.Revisions[0].Template = template("evil:v1") },
			incident.HandOver, "manually"},
		{"an earlier version's inverse that leads elsewhere", func(f *Facts) {
			f.Ledger.Leases[0].Plan.Back = nil
			f.Ledger.Leases[0].Plan.Inverse = []byte(`{"spec":{"template":{"spec":{"hostNetwork":true}}}}`)
		}, incident.HandOver, "manually"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, _ := harmed(t)
			tc.change(&f)
			_, answers := Revert(f, f.Ledger.Leases[0])
			if h, reason, _ := Held(answers); h != tc.hold || !containsFold(reason, tc.text) {
				t.Errorf("%s: %s", h, reason)
			}
		})
	}
}
