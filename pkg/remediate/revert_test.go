package remediate

import (
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// leased is the world after a scale whose lease has ended.
func leased(t *testing.T, autoscaled bool) (Facts, incident.Lease) {
	t.Helper()
	f := facts("scale")
	if autoscaled {
		f.Workload.HPA = hpa()
	}
	p := mustPlan(t, f)
	f.Now = f.Now.Add(time.Hour)
	f.Workload.ResourceVersion = "2001"
	if autoscaled {
		f.Workload.HPA.Min, f.Workload.HPA.ResourceVersion = 5, "77"
	} else {
		f.Workload.Desired = 5
	}
	f.Incident, f.Alert, f.Rung, f.Options = incident.Incident{}, incident.Alert{}, incident.Rung{}, Options{}
	lease := incident.Lease{Op: opID, Incident: "inc-1", Plan: p, ExpiresAt: f.Now}
	f.Ledger.Leases = []incident.Lease{lease}
	f.OpID = "01JQ0000000000000000REVERT"
	return f, lease
}

func TestRevertGoesBackToWhatWasBefore(t *testing.T) {
	for _, autoscaled := range []bool{false, true} {
		f, lease := leased(t, autoscaled)
		// A restart of ours since then does not concern the field.
		f.Workload.Annotations = map[string]string{OpAnnotation: "another op"}
		p, answers := Revert(f, lease)
		if h, reason, _ := Held(answers); h != "" {
			t.Fatalf("held: %s", reason)
		}
		rv, patch, before, after := "2001", `{"spec":{"replicas":4}}`, "5", "4"
		if autoscaled {
			rv, patch, before, after = "77", `{"spec":{"minReplicas":2}}`, "5", "2"
		}
		if p.Action != incident.ActionRevert || string(p.Patch) != patch || p.Before != before || p.After != after ||
			p.Object.ResourceVersion != rv || p.Object.UID != lease.Plan.Object.UID || p.Hash != Hash(p) ||
			p.Lease != 0 {
			t.Errorf("plan %+v, patch %s", p, p.Patch)
		}
		f.Workload.ResourceVersion = "2002"
		again, answers := Recheck(f, p)
		if h, reason, _ := Held(answers); h != "" || !autoscaled && again.Object.ResourceVersion != "2002" {
			t.Errorf("recheck held by %s %s: %+v", h, reason, again.Object)
		}
	}
}

func TestRevertYields(t *testing.T) {
	for _, tc := range []struct {
		name       string
		autoscaled bool
		change     func(*Facts)
		hold       incident.Hold
		text       string
	}{
		{"INV-26 a person scaled since", false, func(f *Facts) {
			f.Workload.Desired = 9
			f.Workload.Managers = append(f.Workload.Managers,
				Manager{Name: "kubectl-scale", At: f.Now.Add(-time.Minute), Replicas: true})
		}, incident.Skip, "spec.replicas of deployments agent-system is 9, not the 5 that watchdog wrote: " +
			"kubectl-scale changed it 1m0s ago"},
		{"already set back", false, func(f *Facts) { f.Workload.Desired = 4; f.Workload.Managers = nil }, incident.Skip,
			"an unknown writer"},
		{"a later op of ours", false, func(f *Facts) {
			f.Workload.Desired, f.Workload.Managers, f.Workload.Annotations = 7, []Manager{{Name: "watchdog", At: f.Now,
				Replicas: true}}, map[string]string{OpAnnotation: "op-2"}
		}, incident.Skip, "op op-2"},
		{"minReplicas changed", true, func(f *Facts) { f.Workload.HPA.Min = 6 }, incident.Skip,
			"spec.minReplicas of horizontalpodautoscalers agent-system-hpa is 6"},
		{"minReplicas changed by an op", true, func(f *Facts) {
			f.Workload.HPA.Min, f.Workload.HPA.Annotations = 6, map[string]string{OpAnnotation: "op-3"}
		}, incident.Skip, "op op-3"},
		{"the HPA is gone", true, func(f *Facts) { f.Workload.HPA = nil }, incident.Skip, "no longer exists"},
		{"the HPA is another", true, func(f *Facts) { f.Workload.HPA.UID = "u-x" }, incident.Skip,
			"is now another object"},
		{"an HPA came", false, func(f *Facts) { f.Workload.HPA = hpa() }, incident.Skip, "now owns spec.replicas"},
		{"the deployment was made anew", false, func(f *Facts) { f.Workload.Target.UID = "u-x" }, incident.Skip,
			"is now another object"},
		{"nothing was read", false, func(f *Facts) { f.Workload = Workload{} }, incident.Wait, "no uid"},
		{"hold", false, func(f *Facts) { f.Workload.Annotations = map[string]string{HoldAnnotation: "x"} },
			incident.Suppress, "hold"},
		{"INV-30 in maintenance", false, func(f *Facts) {
			f.Suspended = Suspension{From: incident.C3,
				Why: "in maintenance until 03:00 UTC"}
		}, incident.Suppress, "in maintenance until 03:00 UTC"},
		{"kill switch", false, func(f *Facts) { f.Ledger.Hold = &incident.Attribution{} }, incident.Suppress, "hold"},
		{"an op in flight", false, func(f *Facts) {
			f.Ledger.Ops = []incident.Op{{ID: "o", Plan: incident.Plan{Target: f.Workload.Target}}}
		}, incident.Wait, "in flight"},
		{"INV-47 observe", false, func(f *Facts) { f.Mode = incident.Observe }, incident.Advise,
			"would have done: revert spec.replicas"},
		{"blind", false, func(f *Facts) { f.Blind = "x" }, incident.Freeze, "trust"},
		{"Argo CD came", false, func(f *Facts) { f.Workload.Owner = "Argo CD application shop" }, incident.Skip,
			"Argo CD"},
		{"another installation", false,
			func(f *Facts) { f.Workload.Annotations = map[string]string{ClaimAnnotation: "b"} }, incident.HandOver,
			"another installation"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, lease := leased(t, tc.autoscaled)
			planned, _ := Revert(f, lease)
			if tc.autoscaled {
				h := *f.Workload.HPA
				f.Workload.HPA = &h
			}
			tc.change(&f)
			_, answers := Revert(f, lease)
			if h := holding(answers); len(h) != 1 || h[0].Hold != tc.hold || !containsFold(h[0].Reason, tc.text) {
				t.Errorf("holds %+v, want %s saying %q", h, tc.hold, tc.text)
			}
			_, answers = Recheck(f, planned)
			if len(holding(answers)) == 0 {
				t.Error("recheck lets it pass")
			}
		})
	}
}

func TestALeaseWithoutAnInverseIsHandedOver(t *testing.T) {
	f, lease := leased(t, false)
	lease.Plan.Inverse = nil
	if _, answers := Revert(f, lease); answers[0].Hold != incident.HandOver {
		t.Errorf("%+v", answers)
	}
}
