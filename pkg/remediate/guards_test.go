package remediate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

func containsFold(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

func TestEveryActionPassesWhenNothingSpeaksAgainstIt(t *testing.T) {
	for _, action := range []incident.Action{"capture", "scale", "restart", "rollback", "job"} {
		p, answers := Consider(facts(action))
		if h, reason, _ := Held(answers); h != "" || p.Summary == "" || p.Hash == "" || p.Class != ClassOf(action) {
			t.Errorf("%s: held by %s %s: %+v", action, h, reason, p)
		}
	}
}

// Each guard alone holds what it is there for. A guard that is broken lets its
// rows pass; a guard that holds too much shows in a row of another.
func TestGuardsHold(t *testing.T) {
	at := func(f *Facts, ago time.Duration) time.Time { return f.Now.Add(-ago) }
	spent := func(f *Facts, n int, target, ns string) {
		for i := range n {
			f.Ledger.Spent = append(f.Ledger.Spent, incident.Spent{Op: fmt.Sprint("o", i), Incident: "inc-1",
				Target: target, Namespace: ns, Action: "restart", At: at(f, 20*time.Minute)})
		}
	}
	const self = "shop/deployment/agent-system"
	for _, tc := range []struct {
		name   string
		action incident.Action
		change func(*Facts)
		guard  string
		hold   incident.Hold
		text   string
	}{
		{"kill switch", "scale", func(f *Facts) { f.Ledger.Hold = &incident.Attribution{By: "eve", Reason: "no"} },
			"kill switch", incident.Suppress, "eve"},
		{"INV-01 another op in flight", "scale", func(f *Facts) {
			f.Ledger.Ops = []incident.Op{{ID: "other", Plan: incident.Plan{Action: "restart",
				Target: f.Workload.Target}}}
		}, "single flight", incident.Wait, "other"},
		{"INV-17 target's budget", "restart", func(f *Facts) { spent(f, 3, self, "other") }, "budget per target",
			incident.Wait, "3 of 3"},
		{"INV-17 namespace's budget", "scale", func(f *Facts) { spent(f, 5, "x", "shop") }, "budget per namespace",
			incident.Wait, "5 of 5"},
		{"INV-17 cluster's budget", "job", func(f *Facts) { spent(f, 10, "x", "y") }, "budget of the cluster",
			incident.Wait, "10 of 10"},
		{"INV-22 cooldown", "scale", func(f *Facts) {
			f.Ledger.Spent = []incident.Spent{{Op: "o", Incident: "inc-0", Target: self, At: at(f, 9*time.Minute),
				EndedAt: at(f, 2*time.Minute)}}
		}, "cooldown", incident.Wait, "2m0s ago"},
		{"concurrent ops", "scale", func(f *Facts) {
			f.Ledger.Ops = []incident.Op{{ID: "a", Plan: incident.Plan{Target: incident.Target{Name: "a"}}},
				{ID: "b", Plan: incident.Plan{Target: incident.Target{Workload: "b"}}}}
		}, "concurrent ops", incident.Wait, "2 of 2"},
		{"F-16 made anew", "scale", func(f *Facts) { f.Incident.Target.UID = "u-old" }, "target", incident.HandOver,
			"u-old"},
		{"another workload was read", "scale", func(f *Facts) { f.Incident.Target.Workload = "other" },
			"target", incident.HandOver, "other"},
		{"INV-03 no resourceVersion", "scale", func(f *Facts) { f.Workload.ResourceVersion = "" },
			"target", incident.HandOver, "conditionally"},
		{"F-23 namespace terminating", "scale", func(f *Facts) { f.Workload.NamespaceTerminating = true },
			"target", incident.HandOver, "terminating"},
		{"no uid was read", "job", func(f *Facts) { f.Workload.Target.UID = "" }, "target", incident.HandOver,
			"no uid"},
		{"INV-25 hold on the workload", "scale",
			func(f *Facts) { f.Workload.Annotations = map[string]string{HoldAnnotation: "migration\nruns"} },
			"hold", incident.Suppress, `"migration\nruns"`},
		{"INV-25 empty hold", "job", func(f *Facts) { f.Workload.Annotations = map[string]string{HoldAnnotation: ""} },
			"hold", incident.Suppress, `=""`},
		{"INV-25 hold on the namespace", "restart",
			func(f *Facts) { f.Workload.NamespaceAnnotations = map[string]string{HoldAnnotation: "audit"} },
			"hold", incident.Suppress, "namespace shop"},
		{"INV-25 hold on the autoscaler", "scale", func(f *Facts) {
			f.Workload.HPA = hpa()
			f.Workload.HPA.Annotations = map[string]string{HoldAnnotation: "x"}
		}, "hold", incident.Suppress, "HPA agent-system-hpa"},
		{"INV-30 silenced", "scale",
			func(f *Facts) { f.Alert.Silenced = `silenced by 0d1a until 2026-01-01T13:00:00Z by eve "move"` },
			"silence", incident.Suppress, `by eve "move"; expire the silence`},
		{"INV-30 in maintenance", "scale", func(f *Facts) {
			f.Suspended = Suspension{From: incident.C2,
				Why: "in maintenance until 03:00 UTC, 42m left, by alice: database upgrade"}
		}, "maintenance", incident.Suppress,
			"in maintenance until 03:00 UTC, 42m left, by alice: database upgrade; actions of class C2 and above " +
				"are suspended, scale is C2"},
		{"INV-30 a job in maintenance", "job",
			func(f *Facts) { f.Suspended = Suspension{From: incident.C2, Why: "in maintenance"} },
			"maintenance", incident.Suppress, "job is C2"},
		{"INV-30 a restart where only safe actions may be",
			"restart", func(f *Facts) { f.Suspended = Suspension{From: incident.C3, Why: "in maintenance"} },
			"maintenance", incident.Suppress, "class C3 and above are suspended, restart is C3"},
		{"INV-47 observe", "scale", func(f *Facts) { f.Mode = incident.Observe }, "mode", incident.Advise,
			"mode observe (set by rule error_rate): would have done: scale"},
		{"suggest", "rollback", func(f *Facts) { f.Mode = incident.Suggest }, "mode", incident.Advise,
			"would have done: roll back"},
		{"approve, and nobody answered", "scale", func(f *Facts) { f.Mode = incident.Approve },
			"approval", incident.Ask, "0 of 1 approvals of plan"},
		{"approve, and the word is for another op", "restart", func(f *Facts) { approval(f, "restart", "op-0", false) },
			"approval", incident.Ask, "0 of 1 approvals"},
		{"approve, and the word is for another plan",
			"scale", func(f *Facts) { approval(f, "rollback", f.OpID, false) }, "approval", incident.Ask,
			"eve (now) approved plan"},
		{"denied", "scale", func(f *Facts) { approval(f, "scale", f.OpID, true) }, "approval", incident.Skip,
			"denied by eve (now) at"},
		{"approved when the request was over", "scale", func(f *Facts) {
			approval(f, "scale", f.OpID, false)
			f.Incident.Asked = &incident.Request{Op: f.OpID, Until: f.Now}
			word := f.Responders.Approved[f.OpID]["eve"]
			word.At = f.Now
			f.Responders.Approved[f.OpID]["eve"] = word
		}, "approval", incident.Ask, "expired at"},
		{"approved in time, and held until long after", "scale", func(f *Facts) {
			approval(f, "scale", f.OpID, false)
			f.Incident.Asked = &incident.Request{Op: f.OpID, At: at(f, 2*time.Hour), Until: at(f, time.Hour)}
			word := f.Responders.Approved[f.OpID]["eve"]
			word.At = at(f, 90*time.Minute)
			f.Responders.Approved[f.OpID]["eve"] = word
		}, "approval", incident.Ask, "could not be executed within"},
		{"INV-48 no mode", "job", func(f *Facts) { f.Mode = "" }, "mode", incident.Advise, "mode observe"},
		{"INV-29 another installation", "scale",
			func(f *Facts) { f.Workload.Annotations = map[string]string{ClaimAnnotation: "staging"} },
			"claim", incident.HandOver, "staging"},
		{"INV-29 another installation has the autoscaler", "scale", func(f *Facts) {
			f.Workload.HPA = hpa()
			f.Workload.HPA.Annotations = map[string]string{ClaimAnnotation: "staging"}
		}, "claim", incident.HandOver, "staging"},
		{"INV-12 recovered", "scale", func(f *Facts) { f.Alert.Verdict = incident.OK }, "verdict", incident.Wait,
			"recovered"},
		{"INV-08 no data", "scale", func(f *Facts) { f.Alert.Verdict = incident.NoData }, "verdict", incident.Freeze,
			"NO_DATA"},
		{"INV-08 conflict", "rollback", func(f *Facts) { f.Alert.Verdict = incident.Conflict },
			"verdict", incident.Freeze, "CONFLICT"},
		{"INV-08 never judged", "restart", func(f *Facts) { f.Alert.Verdict = "" }, "verdict", incident.Freeze,
			"not evaluated"},
		{"not firing yet", "restart", func(f *Facts) { f.Alert.Firing = false }, "verdict", incident.Wait,
			"not firing yet"},
		{"INV-09 stale", "scale", func(f *Facts) { f.Alert.EvaluatedAt = at(f, 46*time.Second) }, "stale evidence",
			incident.Freeze, "46s ago"},
		{"INV-09 from the future", "job", func(f *Facts) { f.Alert.EvaluatedAt = at(f, -31*time.Second) },
			"stale evidence", incident.Freeze, "-31s ago"},
		{"never evaluated", "scale", func(f *Facts) { f.Alert.EvaluatedAt = time.Time{} }, "stale evidence",
			incident.Freeze, "never"},
		{"INV-13 blind", "scale", func(f *Facts) { f.Blind = "the canary query fails" }, "blind", incident.Freeze,
			"canary"},
		{"INV-14 storm", "restart", func(f *Facts) { f.Unhealthy = 4 }, "max unhealthy", incident.Freeze, "4 of 10"},
		{"INV-14 two of two", "rollback", func(f *Facts) { f.Watched, f.Unhealthy = 2, 2 }, "max unhealthy",
			incident.Freeze, "limit 1"},
		{"INV-14 share is no number", "restart", func(f *Facts) {
			f.Settings.MaxUnhealthy, f.Unhealthy = math.NaN(),
				2
		}, "max unhealthy", incident.Freeze, "2 of 10"},
		{"INV-11 one source", "restart", func(f *Facts) { f.Signals = f.Signals[:1] }, "corroboration", incident.Wait,
			"1 of 2"},
		{"INV-11 one source twice", "rollback", func(f *Facts) { f.Signals[1].Source = "probe" },
			"corroboration", incident.Wait, "1 of 2"},
		{"F-68 the sources contradict", "restart", func(f *Facts) { f.Signals[1].Bad = false },
			"corroboration", incident.Wait, "1 report healthy (prometheus)"},
		{"INV-16 a webhook is no source", "restart", func(f *Facts) { f.Signals[0].Source = "alertmanager" },
			"corroboration", incident.Wait, "1 of 2"},
		{"INV-16 told from outside, and own eyes see nothing", "scale", func(f *Facts) {
			f.Alert.Source = SourceAlertmanager
			f.Signals[0].Bad, f.Signals[1].Bad = false, false
		}, "external alert", incident.Wait, "0 report unhealthy and 2 healthy"},
		{"INV-16 told from outside, and nobody looks", "job", func(f *Facts) {
			f.Alert.Source,
				f.Signals = SourceAlertmanager, nil
		}, "external alert", incident.Wait, "0 report unhealthy and 0 healthy (none)"},
		{"the second source cannot tell", "restart", func(f *Facts) { f.Signals[0].Known = false },
			"corroboration", incident.Wait, "1 of 2"},
		{"the second source is old", "restart", func(f *Facts) { f.Signals[0].At = at(f, time.Minute) },
			"corroboration", incident.Wait, "1 of 2"},
		{"INV-27 Argo CD", "rollback", func(f *Facts) { f.Workload.Owner = "Argo CD application shop" }, "other owner",
			incident.Skip, "argocd app rollback"},
		{"INV-27 Flux", "restart", func(f *Facts) { f.Workload.Owner = "Flux kustomization apps/shop" }, "other owner",
			incident.Skip, "flux suspend"},
		{"INV-27 Argo Rollouts", "scale", func(f *Facts) { f.Workload.Owner = "Rollout shop" }, "other owner",
			incident.Skip, "kubectl argo rollouts"},
		{"INV-27 Flagger", "rollback", func(f *Facts) { f.Workload.Owner = "Flagger canary shop" }, "other owner",
			incident.Skip, "canary"},
		{"INV-27 OLM", "scale", func(f *Facts) { f.Workload.Owner = "OLM clusterserviceversion x" }, "other owner",
			incident.Skip, "Subscription"},
		{"INV-27 an owner not known by name", "scale", func(f *Facts) { f.Workload.Owner = "Widget w" }, "other owner",
			incident.Skip, "Widget w"},
		{"INV-27 KEDA", "scale", func(f *Facts) { f.Workload.HPA = hpa(); f.Workload.HPA.Name = "keda-hpa-shop" },
			"other owner", incident.Skip, "ScaledObject shop"},
		{"INV-27 HPA from Git", "scale", func(f *Facts) {
			f.Workload.HPA = hpa()
			f.Workload.HPA.Annotations = map[string]string{"argocd.argoproj.io/tracking-id": "shop:hpa"}
		}, "other owner", incident.Skip, "Git"},
		{"INV-26 a person edits", "rollback", func(f *Facts) {
			f.Workload.Managers = append(f.Workload.Managers,
				Manager{Name: "kubectl-edit", At: at(f, 40*time.Second), Template: true})
		}, "human change", incident.HandOver,
			"kubectl-edit changed spec.template 40s ago, 4m20s after the incident opened; no actions for 10m0s"},
		{"INV-26 a person scales", "job", func(f *Facts) {
			f.Workload.Managers = append(f.Workload.Managers,
				Manager{Name: "kubectl", At: at(f, 5*time.Minute), Replicas: true})
		}, "human change", incident.HandOver, "spec.replicas 5m0s ago"},
		{"INV-26 without a window any change counts", "scale", func(f *Facts) {
			f.Settings.HumanChange, f.Incident.OpenedAt = 0, at(f, 2*time.Hour)
			f.Workload.Managers[0].At = at(f, time.Hour)
		}, "human change", incident.HandOver, "1h0m0s ago"},
		{"INV-19 a rollout moves", "scale", func(f *Facts) {
			f.Workload.Updated, f.Workload.Pods = 2,
				append(pods(2, "u-4"), pods(2, "u-3")...)
		}, "rollout", incident.Wait, "2 are updated"},
		{"F-108 generation not observed", "restart", func(f *Facts) { f.Workload.Generation = 8 },
			"rollout", incident.Wait, "observed generation 7 of 8"},
		{"F-108 a crash loop of a template that is gone already",
			"rollback", func(f *Facts) { crashing(f, 4); f.Workload.Generation = 8 }, "rollout", incident.Wait,
			"observed generation 7 of 8"},
		{"a rollback before the first pod had time", "rollback", func(f *Facts) {
			f.Workload.Pods, f.Workload.Updated, f.Workload.Revisions[0].CreatedAt = pods(4,
				"u-3"), 0, f.Now.Add(-2*time.Minute)
			f.Alert.ActiveAt = f.Now.Add(-time.Minute)
		}, "rollout", incident.Wait, "in progress"},
		{"INV-30 a rollback while the rollout still moves", "rollback", func(f *Facts) { young(f, 1) },
			"rollout", incident.Wait, "in progress"},
		{"a restart while pods still start", "restart", func(f *Facts) { young(f, 1) }, "rollout", incident.Wait,
			"in progress"},
		{"INV-19 too few stay ready (trap 17: the last healthy agent)",
			"restart", func(f *Facts) { f.Workload.Desired, f.Workload.Ready, f.Workload.Pods = 1, 1, pods(1, "u-4") },
			"availability floor", incident.Skip, "0 in the worst case"},
		{"INV-19 too few are ready now (trap 17)", "restart", func(f *Facts) { lost(f, 2) }, "availability floor",
			incident.Wait, "2 of 4 replicas are ready, 1 in the worst case"},
		{"INV-19 nothing is ready", "restart", func(f *Facts) { lost(f, 4) }, "availability floor", incident.Wait,
			"0 of 4"},
		{"INV-19 Recreate with ready pods", "rollback", func(f *Facts) { f.Workload.Recreate = true },
			"availability floor", incident.Skip, "Recreate"},
		{"floor above all", "restart", func(f *Facts) { f.Settings.AvailabilityFloor = math.NaN() },
			"availability floor", incident.Skip, "minimum 4"},
		{"F-24 disruption budget", "restart",
			func(f *Facts) { f.Workload.Budgets = []Budget{{"pdb-a", 1}, {"pdb-b", 0}} }, "disruption budget",
			incident.Wait, "pdb-b allows 0"},
		{"F-24 disruption budget of a rollback that takes ready pods",
			"rollback", func(f *Facts) { f.Workload.Budgets = []Budget{{"pdb", 0}} }, "disruption budget",
			incident.Wait, "pdb"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := facts(tc.action)
			tc.change(&f)
			_, answers := Consider(f)
			checkHeld(t, answers, tc.guard, tc.hold, tc.text)
		})
	}
}

// lost makes n pods not ready since long; young since a moment.
func lost(f *Facts, n int) {
	f.Workload.Ready, f.Workload.Available = f.Workload.Desired-n, f.Workload.Desired-n
	for i := range n {
		f.Workload.Pods[i].Ready = false
	}
}

func young(f *Facts, n int) {
	lost(f, n)
	for i := range n {
		f.Workload.Pods[i].StartedAt = f.Now.Add(-time.Minute)
	}
}

func crashing(f *Facts, n int) {
	young(f, n)
	for i := range n {
		f.Workload.Pods[i].Waiting, f.Workload.Pods[i].LastExit = "CrashLoopBackOff", "exit 1 (Error)"
	}
}

func TestGuardsLetPassAndSayWhy(t *testing.T) {
	for _, tc := range []struct {
		name        string
		action      incident.Action
		change      func(*Facts)
		guard, text string
	}{
		{"our own claim", "scale",
			func(f *Facts) { f.Workload.Annotations = map[string]string{ClaimAnnotation: "main"} },
			"claim", "this installation"},
		{"silenced, and allowed all the same", "restart", func(f *Facts) {
			f.Alert.Silenced,
				f.Settings.RemediateSilenced = "silenced by 0d1a", true
		},
			"silence", "silenced by 0d1a; silenced_alerts: remediate"},
		{"not silenced", "job", func(f *Facts) {}, "silence", "0 silences match"},
		{"in no maintenance", "restart", func(f *Facts) {}, "maintenance", "0 maintenance windows"},
		{"only safe actions, and a scale is one",
			"scale", func(f *Facts) {
				f.Suspended = Suspension{From: incident.C3,
					Why: "in maintenance until 03:00 UTC"}
			},
			"maintenance", "in maintenance until 03:00 UTC; actions of class C3 and above"},
		{"the waiver is recorded", "restart", func(f *Facts) {
			f.Signals, f.Options.SingleSource = nil,
				"only prometheus sees memory"
		}, "corroboration", "only prometheus sees memory"},
		{"the contradiction is named", "restart", func(f *Facts) {
			f.Signals = append(f.Signals, Signal{Source: "kubernetes", Known: true, At: f.Now})
		}, "corroboration", "1 report healthy (kubernetes)"},
		{"INV-16 own eyes see it, too", "scale", func(f *Facts) {
			f.Alert.Source, f.Signals = SourceAlertmanager,
				f.Signals[:1]
		}, "external alert", "1 of watchdog's own sources report unhealthy"},
		{"one source is enough to scale", "scale", func(f *Facts) { f.Signals = nil },
			"corroboration", "class C3 and above"},
		{"a deploy before the incident is no meddling", "rollback", func(f *Facts) {}, "human change", "0 of 1"},
		{"what was long ago in a long incident", "scale", func(f *Facts) {
			f.Incident.OpenedAt = f.Now.Add(-2 * time.Hour)
			f.Workload.Managers[0].At = f.Now.Add(-time.Hour)
		}, "human change", "0 of 1"},
		{"the autoscaler's owner is asked through it", "scale", func(f *Facts) { f.Workload.HPA = hpa() },
			"other owner", "HPA agent-system-hpa"},
		{"a job beside a rollout", "job", func(f *Facts) { f.Workload.Generation = 9 }, "rollout", "0 fields"},
		{"a job beside a paused deployment", "job", func(f *Facts) { f.Workload.Paused = true }, "paused", "0 fields"},
		{"as many as the share allows", "restart", func(f *Facts) { f.Unhealthy = 3 }, "max unhealthy", "3 of 10"},
		{"no witness, but a waiver", "restart", func(f *Facts) { f.Signals, f.Options.SingleSource = nil, "x" },
			"corroboration", "(none)"},
		{"rollback ends the rollout that crashes although a pod still starts", "rollback", func(f *Facts) {
			crashing(f, 2)
			f.Workload.Pods[1].Waiting, f.Workload.Pods[1].LastExit = "", ""
		}, "rollout", "1 of 4 pods of revision 4 (agent-system:v2.2.0) are failing (CrashLoopBackOff, exit 1 (Error))"},
		{"rollback ends the rollout that makes no pod at all",
			"rollback", func(f *Facts) { f.Workload.Pods, f.Workload.Updated = pods(4, "u-3"), 0 },
			"rollout", "0 of 0 pods"},
		{"ready pods may be young", "restart",
			func(f *Facts) { lost(f, 1); f.Workload.Pods[3].StartedAt = f.Now.Add(-time.Second) },
			"rollout", "no rollout"},
		{"a job beside Argo CD", "job", func(f *Facts) { f.Workload.Owner = "Argo CD application shop" }, "other owner",
			"0 fields"},
		{"INV-30 rollback ends the rollout that crashes", "rollback", func(f *Facts) {
			crashing(f, 2)
			f.Workload.Updated = 2
			f.Workload.Pods = append(f.Workload.Pods[:2], pods(2, "u-3")...)
		}, "rollout", "2 of 2 pods of revision 4"},
		{"rollback ends the rollout that hangs", "rollback", func(f *Facts) { lost(f, 1) }, "rollout", "1 of 4 pods"},
		{"pods lost after the rollout do not block a restart", "restart", func(f *Facts) { lost(f, 1) },
			"rollout", "no rollout"},
		{"pods lost after the rollout do not block a scale", "scale", func(f *Facts) { lost(f, 1) },
			"rollout", "no rollout"},
		{"a rollback of a workload that is all down",
			"rollback", func(f *Facts) { crashing(f, 4); f.Workload.Budgets = []Budget{{"pdb", 0}} },
			"availability floor", "no worse"},
		{"its disruption budget", "rollback",
			func(f *Facts) { crashing(f, 4); f.Workload.Budgets = []Budget{{"pdb", 0}} }, "disruption budget",
			"none of the 0 ready"},
		{"Recreate and all down", "rollback", func(f *Facts) { f.Workload.Recreate = true; crashing(f, 4) },
			"availability floor", "no worse"},
		{"a rollback at the floor takes no ready pod", "rollback", func(f *Facts) { crashing(f, 2) },
			"availability floor", "2 in the worst case"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := facts(tc.action)
			tc.change(&f)
			_, answers := Consider(f)
			if h := holding(answers); len(h) > 0 {
				t.Fatalf("held: %+v", h)
			}
			for _, a := range answers {
				if a.Guard == tc.guard && containsFold(a.Reason, tc.text) {
					return
				}
			}
			t.Errorf("no answer of %q says %q: %+v", tc.guard, tc.text, answers)
		})
	}
}

func TestACaptureIsHeldByNothing(t *testing.T) {
	f := facts("capture")
	f.Mode, f.Blind, f.Unhealthy, f.Alert.Verdict, f.Ledger.Hold = "", "blind", 10, incident.NoData,
		&incident.Attribution{}
	if _, answers := Consider(f); len(holding(answers)) > 0 {
		t.Errorf("held: %+v", holding(answers))
	}
}

func TestPageHandsOver(t *testing.T) {
	p, answers := Consider(facts("page"))
	checkHeld(t, answers, "plan", incident.HandOver, "the ladder reached page")
	if p.Summary != "" || p.Patch != nil {
		t.Errorf("a page has a plan: %+v", p)
	}
}

func TestAnUnknownActionIsHandedOverAndDistrusted(t *testing.T) {
	_, answers := Consider(facts("drain"))
	checkHeld(t, answers, "plan", incident.HandOver, `"drain"`)
	if ClassOf("drain") != incident.C5 {
		t.Errorf("class of an unknown action is %d", ClassOf("drain"))
	}
}

// INV-47: what cannot be planned is not done in mode observe either.
func TestObserveHoldsEvenWithoutAPlan(t *testing.T) {
	f := facts("scale")
	f.Mode, f.Options = incident.Observe, Options{}
	_, answers := Consider(f)
	for _, a := range answers {
		if a.Guard == "mode" && (a.Hold != incident.Advise || !containsFold(a.Reason, "would have planned a scale")) {
			t.Errorf("%+v", a)
		}
	}
	if h, _, _ := Held(answers); h != incident.Skip {
		t.Errorf("held by %s", h)
	}
}

// A ladder never goes back: a rung must not be skipped while a person holds the target.
func TestAHoldOutweighsARungThatCannotHelp(t *testing.T) {
	f := facts("scale")
	f.Settings.MaxReplicas = 4
	f.Workload.Annotations = map[string]string{HoldAnnotation: "x"}
	_, answers := Consider(f)
	if h, _, _ := Held(answers); h != incident.Suppress {
		t.Errorf("held by %q: %+v", h, answers)
	}
}

func TestHeldTakesTheWeightiestAndTheLatestRetry(t *testing.T) {
	early, late := noon(), noon().Add(time.Hour)
	w := func(at time.Time) incident.Answer {
		return incident.Answer{Guard: "w", Hold: incident.Wait, Reason: "wait " + at.Format("15:04"), RetryAt: at}
	}
	of := func(h incident.Hold) incident.Answer {
		return incident.Answer{Guard: "g", Hold: h, Reason: "two\nlines"}
	}
	for _, tc := range []struct {
		answers []incident.Answer
		hold    incident.Hold
		reason  string
		retry   time.Time
	}{
		{nil, "", "", time.Time{}},
		{[]incident.Answer{of("")}, "", "", time.Time{}},
		{[]incident.Answer{w(late), w(early)}, incident.Wait, "w: wait 13:00", late},
		{[]incident.Answer{w(early), w(late)}, incident.Wait, "w: wait 13:00", late},
		{[]incident.Answer{of(incident.Advise), w(late)}, incident.Advise,
			"g: two lines; mode auto would also wait: w: wait 13:00", late},
		{[]incident.Answer{of(incident.Advise), of(incident.Skip)}, incident.Skip, "g: two lines", time.Time{}},
		{[]incident.Answer{of(incident.HandOver), of(incident.Skip)}, incident.HandOver, "g: two lines", time.Time{}},
		{[]incident.Answer{of(incident.HandOver), of(incident.Freeze)}, incident.Freeze, "g: two lines", time.Time{}},
		{[]incident.Answer{of(incident.Suppress), of(incident.Freeze)}, incident.Suppress, "g: two lines", time.Time{}},
		{[]incident.Answer{of("unheard of"), of(incident.Suppress)}, "unheard of", "g: two lines", time.Time{}},
	} {
		h, reason, retry := Held(tc.answers)
		if h != tc.hold || reason != tc.reason || !retry.Equal(tc.retry) {
			t.Errorf("%+v: got %q %q %s", tc.answers, h, reason, retry)
		}
	}
}

// INV-14: more breach never permits more action.
func TestMoreBreachNeverPermitsMore(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		f := facts("restart")
		f.Watched, f.Settings.MaxUnhealthy = r.IntN(50)-2, r.Float64()*1.2-0.2
		held := false
		for n := range 60 {
			f.Unhealthy = n
			now := fewUnhealthy(f, incident.Plan{}).Hold != ""
			if held && !now {
				t.Fatalf("%d of %d with share %g permits what %d did not", n, f.Watched, f.Settings.MaxUnhealthy, n-1)
			}
			held = now
		}
		if !held {
			t.Fatalf("59 of %d with share %g is permitted", f.Watched, f.Settings.MaxUnhealthy)
		}
	}
}

// Random facts, bad and good: every answer has a guard and a reason with content,
// nothing panics, and the facts are not changed.
func TestEveryAnswerHasAReason(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		f := randomFacts(r)
		p, answers := Consider(f)
		_, more := Recheck(f, p)
		for _, a := range append(answers, more...) {
			if a.Guard == "" || len(a.Reason) < len("not set") || strings.Contains(a.Reason, "%!") ||
				strings.ContainsRune(a.Reason, '\n') {
				t.Fatalf("answer %+v", a)
			}
		}
		if len(answers) < len(Guards()) {
			t.Fatalf("%d answers of %d guards", len(answers), len(Guards()))
		}
	}
}

func randomFacts(r *rand.Rand) Facts {
	f := facts([]incident.Action{"capture", "page", "scale", "restart", "rollback", "job", "?"}[r.IntN(7)])
	coin := func() bool { return r.IntN(4) == 0 }
	w := &f.Workload
	w.Desired, w.Ready, w.Updated, w.Available = r.IntN(6), r.IntN(6), r.IntN(6), r.IntN(6)
	w.MaxUnavailable, w.MaxSurge = r.IntN(4)-1, r.IntN(3)
	w.Recreate, w.Paused, w.NamespaceTerminating = coin(), coin(), coin()
	if coin() {
		w.HPA = &HPA{Name: "h", UID: "u-h", ResourceVersion: "1", Min: r.IntN(5), Max: r.IntN(9), Current: r.IntN(9),
			Desired: r.IntN(9)}
	}
	if coin() {
		w.Revisions = w.Revisions[:r.IntN(3)]
	}
	if coin() {
		w.Template = nil
	}
	if coin() {
		f.Records = nil
	}
	if coin() {
		f.Alert = incident.Alert{}
	}
	if coin() {
		f.Settings, f.Limits = Settings{}, incident.Limits{}
	}
	if coin() {
		f.Options = Options{By: []string{"", "x", "-1", "0%", "200%", "3"}[r.IntN(6)], AtLeast: r.IntN(9)}
	}
	for i := range w.Pods {
		w.Pods[i].Ready, w.Pods[i].Terminating, w.Pods[i].Restarts = coin(), coin(), r.IntN(5)
	}
	f.Unhealthy = r.IntN(6)
	return f
}

// approval makes the mode approve, and a person answer the plan of an action.
func approval(f *Facts, action incident.Action, op string, denied bool) {
	f.Mode = incident.Approve
	planned := facts(action)
	planned.OpID = f.OpID
	p, _ := Consider(planned)
	f.Responders.Approved = map[string]map[string]incident.Approval{op: {"eve": {Attribution: incident.Attribution{By: "eve",
		Reason: "now"}, Plan: p.Hash, Denied: denied}}}
}

// What was approved is done, also when time has passed: a restart writes the time
// of the plan that was shown.
func TestAnApprovedPlanPasses(t *testing.T) {
	for _, action := range []incident.Action{"scale", "restart", "rollback", "job"} {
		f := facts(action)
		f.Mode = incident.Approve
		p, answers := Consider(f)
		if h, reason, _ := Held(answers); h != incident.Ask {
			t.Fatalf("%s: held by %q %s before anybody answered", action, h, reason)
		}
		f.Incident.Asked = &incident.Request{Op: f.OpID, Plan: p, At: f.Now, Until: f.Now.Add(time.Hour)}
		f.Responders.Approved = map[string]map[string]incident.Approval{
			f.OpID: {"eve": {Attribution: incident.Attribution{By: "eve"}, Plan: p.Hash}}}
		f.Now = f.Now.Add(3 * time.Second)
		again, answers := Consider(f)
		if h, reason, _ := Held(answers); h != "" || again.Hash != p.Hash {
			t.Fatalf("%s: held by %q %s; plan %.12s, was %.12s", action, h, reason, again.Hash, p.Hash)
		}
		f.Incident.Asked = nil
		if _, answers = Recheck(f, again); !passes(answers) {
			t.Fatalf("%s: not sent: %+v", action, answers)
		}
		// A word that is taken back counts until the write.
		f.Responders.Approved[f.OpID] = map[string]incident.Approval{"bob": {Plan: p.Hash, Denied: true}}
		if _, answers = Recheck(f, again); passes(answers) {
			t.Fatalf("%s: sent, and it was denied meanwhile", action)
		}
	}
}

func passes(answers []incident.Answer) bool {
	h, _, _ := Held(answers)
	return h == ""
}

// A word is not lost because something else holds the action for a moment.
func TestAnApprovedPlanMayWait(t *testing.T) {
	f := facts("scale")
	approval(&f, "scale", f.OpID, false)
	p, _ := Consider(f)
	f.Incident.Asked = &incident.Request{Op: f.OpID, Plan: p, At: f.Now.Add(-time.Hour), Until: f.Now.Add(-lateUse)}
	if a := approved(f, p); a.Hold != "" {
		t.Errorf("%+v", a)
	}
}

// A rung may want several people, who are people, none of whom asked for it, and
// time for an objection (SEC-08).
func TestAQuorumApproves_SEC08(t *testing.T) {
	type say struct {
		who    string
		denied bool
	}
	for _, tt := range []struct {
		name string
		by   string
		said []say
		hold incident.Hold
		want string
	}{
		{"nobody", "", nil, incident.Ask, "0 of 2 approvals"},
		{"one", "", []say{{"alice", false}}, incident.Ask, "1 of 2 approvals of plan"},
		{"two", "", []say{{"alice", false}, {"bob", false}}, incident.Wait, "2 of 2 approvals of plan"},
		{"one and a program", "", []say{{"alice", false}, {"system:serviceaccount:ci:deployer", false}}, incident.Ask,
			"is a service account, so its approval does not count; 1 of 2"},
		{"one and who asked for it", "bob", []say{{"alice", false}, {"bob", false}}, incident.Ask,
			"bob (why not) requested the action, so their approval does not count; 1 of 2"},
		{"one under two names", "", []say{{"alice@example.com", false}, {"Alice@example.com", false}}, incident.Ask,
			"counts once; 1 of 2"},
		{"one and who asked for it, by another name", "Bob", []say{{"alice", false}, {"bob", false}}, incident.Ask,
			"requested the action, so their approval does not count; 1 of 2"},
		{"three, of whom one asked", "bob", []say{{"alice", false}, {"bob", false}, {"eve", false}}, incident.Wait,
			"2 of 2"},
		{"two, and one objects", "", []say{{"alice", false}, {"bob", false}, {"eve", true}}, incident.Skip,
			"denied by eve"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := facts("restart")
			f.Mode, f.Options.Approvals, f.Options.CoolOff = incident.Approve, 2, time.Minute
			p, _ := Consider(f)
			f.Incident.Asked = &incident.Request{Op: f.OpID, Plan: p, At: f.Now, Until: f.Now.Add(time.Hour), By: tt.by}
			words := map[string]incident.Approval{}
			for _, s := range tt.said {
				words[s.who] = incident.Approval{Attribution: incident.Attribution{By: s.who, Reason: "why not"},
					Plan: p.Hash, Denied: s.denied}
			}
			f.Responders.Approved = map[string]map[string]incident.Approval{f.OpID: words}
			_, answers := Consider(f)
			hold, reason, retry := Held(answers)
			if hold != tt.hold || !strings.Contains(reason, tt.want) {
				t.Fatalf("%s: %s; want %s: %s", hold, reason, tt.hold, tt.want)
			}
			if hold != incident.Wait {
				return
			}
			if !retry.Equal(f.Now.Add(time.Minute)) {
				t.Errorf("asked again at %s", retry)
			}
			f.Incident.Asked.ReadyAt = f.Now
			f.Now = f.Now.Add(time.Minute - 1)
			if a := approved(f, p); a.Hold != incident.Wait {
				t.Errorf("done before the cool-off was over: %+v", a)
			}
			f.Now = f.Now.Add(1)
			if a := approved(f, p); a.Hold != "" {
				t.Errorf("not done after the cool-off: %+v", a)
			}
		})
	}
}

// A name that no API server knows counts for no yes and is told shortly; a no counts.
func TestANameWithoutEndCountsForANoOnly(t *testing.T) {
	for _, denied := range []bool{false, true} {
		f := facts("scale")
		f.Mode = incident.Approve
		p, _ := Consider(f)
		name := strings.Repeat("e", 300<<10)
		f.Responders.Approved = map[string]map[string]incident.Approval{f.OpID: {name: {Plan: p.Hash, Denied: denied}}}
		_, answers := Consider(f)
		h, reason, _ := Held(answers)
		if want := map[bool]incident.Hold{true: incident.Skip, false: incident.Ask}[denied]; h != want ||
			len(reason) > 1000 {
			t.Errorf("denied %v: %s, %d bytes", denied, h, len(reason))
		}
	}
}
