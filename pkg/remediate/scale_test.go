package remediate

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"watchdog.io/watchdog/pkg/incident"
)

func hpa() *HPA {
	return &HPA{Name: "agent-system-hpa", UID: "u-hpa", ResourceVersion: "55", Min: 2, Max: 10, Current: 4, Desired: 4}
}

func TestScaleWritesReplicasUnderALease(t *testing.T) {
	got := mustPlan(t, facts("scale"))
	want := incident.Plan{
		Action: "scale", Class: incident.C2, Target: facts("scale").Workload.Target,
		Summary: "scale shop/deployment/agent-system from 4 to 5 replicas for 1h0m0s",
		Object: incident.Object{Group: "apps", Version: "v1", Resource: "deployments", Namespace: "shop",
			Name: "agent-system", UID: "u-deploy", ResourceVersion: "1001"},
		Patch: []byte(`{"spec":{"replicas":5}}`), Inverse: []byte(`{"spec":{"replicas":4}}`),
		Field: "spec.replicas", Before: "4", After: "5", Lease: time.Hour, Price: 1, Hash: got.Hash,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Trap 3: the autoscaler would overwrite replicas at its next look.
func TestTrap3ScaleRaisesTheAutoscalersMinimum(t *testing.T) {
	f := facts("scale")
	f.Workload.HPA = hpa()
	f.Workload.HPA.Desired = 6
	got := mustPlan(t, f)
	want := incident.Object{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers",
		Namespace: "shop", Name: "agent-system-hpa", UID: "u-hpa", ResourceVersion: "55"}
	if d := cmp.Diff(want, got.Object); d != "" {
		t.Error(d)
	}
	if string(got.Patch) != `{"spec":{"minReplicas":8}}` || string(got.Inverse) != `{"spec":{"minReplicas":2}}` ||
		got.Field != "spec.minReplicas" || got.Before != "2" || got.Price != 2 {
		t.Errorf("plan %+v, patch %s, inverse %s", got, got.Patch, got.Inverse)
	}
}

func TestScaleNumbers(t *testing.T) {
	for _, tc := range []struct {
		now  int
		o    Options
		want string
	}{
		{4, Options{By: "25%"}, "5"}, {5, Options{By: "25%"}, "7"}, {1, Options{By: "1%"}, "2"},
		{4, Options{By: "3"}, "7"},
		{4, Options{AtLeast: 6}, "6"}, {4, Options{AtLeast: 6, By: "100%"}, "8"}, {4, Options{AtLeast: 60}, "50"},
		{4, Options{By: "25%", AtLeast: 9, Max: 7}, "7"},
	} {
		f := facts("scale")
		f.Options = tc.o
		f.Workload.Desired, f.Workload.Ready, f.Workload.Updated, f.Workload.Available, f.Workload.Pods = tc.now,
			tc.now, tc.now, tc.now, pods(tc.now, "u-4")
		if got := mustPlan(t, f); got.After != tc.want || got.Lease != defaultLease {
			t.Errorf("%d %+v: to %s for %s, want %s", tc.now, tc.o, got.After, got.Lease, tc.want)
		}
	}
}

func TestScaleRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Facts)
		text   string
	}{
		{"trap 2: at least 3 of 4 would lower", func(f *Facts) { f.Options = Options{AtLeast: 3} },
			"already at 4 replicas"},
		{"trap 2: at least 4 of 4", func(f *Facts) { f.Options = Options{AtLeast: 4} }, "already at 4 replicas"},
		{"INV-20 at the rung's max", func(f *Facts) { f.Options.Max = 4 }, "the rung's max is 4"},
		{"INV-20 above the rung's max", func(f *Facts) { f.Options.Max = 2 }, "the rung's max is 2"},
		{"INV-20 at the hard cap", func(f *Facts) { f.Settings.MaxReplicas = 4 }, "max_replicas is 4"},
		{"no cap is no licence", func(f *Facts) { f.Settings.MaxReplicas = 0 }, "max_replicas is 0"},
		{"trap 3: HPA at its maximum", func(f *Facts) { f.Workload.HPA = hpa(); f.Workload.HPA.Desired = 10 },
			"HPA is at its maximum 10"},
		{"HPA minimum above what is allowed", func(f *Facts) { f.Workload.HPA = hpa(); f.Workload.HPA.Min = 21 },
			"currently 21"},
		{"neither by nor at_least", func(f *Facts) { f.Options = Options{} }, "neither"},
		{"by is no number", func(f *Facts) { f.Options.By = "lots" }, "by: lots"},
		{"by is negative", func(f *Facts) { f.Options.By = "-25%" }, "-25%"},
		{"by is zero", func(f *Facts) { f.Options.By = "0" }, "by: 0"},
		{"by is beyond belief", func(f *Facts) { f.Options.By = "99999999999" }, "99999999999"},
		{"map 13: crash loop", func(f *Facts) { f.Workload.Pods[0].Waiting = "CrashLoopBackOff" },
			"1 of 4 pods of revision 4 (agent-system:v2.2.0) are failing (CrashLoopBackOff): scaling adds load and fixes " +
				"nothing"},
		{"map 13: image pull", func(f *Facts) { f.Workload.Pods[0].Waiting = "ImagePullBackOff" }, "ImagePullBackOff"},
		{"map 13: crash loop between two crashes",
			func(f *Facts) { f.Workload.Pods[0].Ready = false; f.Workload.Pods[0].Restarts = 5 }, "5 restarts"},
		{"unschedulable", func(f *Facts) { f.Workload.Pods[3].Scheduled = false }, "unschedulable"},
		{"dependency down", func(f *Facts) { f.Dependencies[0].Up = false }, "checks.database is unhealthy"},
		{"not a deployment", func(f *Facts) {
			f.Workload.Target.Kind, f.Incident.Target.Kind = "statefulset",
				"statefulset"
		}, "deployments only"},
		{"switched off", func(f *Facts) { f.Workload.Desired = 0; f.Workload.Pods = nil }, "0 replicas"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := facts("scale")
			tc.change(&f)
			p, answers := Consider(f)
			checkHeld(t, answers, "plan", incident.Skip, tc.text)
			if p.Patch != nil {
				t.Errorf("a refused plan has a patch: %s", p.Patch)
			}
		})
	}
}

func TestPausedIsSkipped(t *testing.T) {
	for _, action := range []incident.Action{"scale", "restart", "rollback"} {
		f := facts(action)
		f.Workload.Paused = true
		_, answers := Consider(f)
		for _, a := range holding(answers) {
			if a.Hold != incident.Skip || a.Guard != "plan" && a.Guard != "paused" {
				t.Errorf("%s: %+v", action, a)
			}
		}
		if h := holding(answers); len(h) != 2 {
			t.Errorf("%s: plan and guard should both say it: %+v", action, h)
		}
	}
}

// INV-20: whatever the facts, what scale writes is more than what there is, and
// the inverse is what there was.
func TestScaleNeverLowers(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	made := 0
	for range 5000 {
		f := facts("scale")
		f.Options = Options{By: []string{"", "1", "7", "10%", "25%", "400%"}[r.IntN(6)], AtLeast: r.IntN(20) - 2,
			Max: r.IntN(20) - 2}
		f.Settings.MaxReplicas = r.IntN(25) - 1
		f.Workload.Desired = r.IntN(20)
		if r.IntN(2) == 0 {
			f.Workload.HPA = &HPA{Name: "h", UID: "u-h", ResourceVersion: "1", Min: r.IntN(12), Max: r.IntN(20),
				Current: r.IntN(20), Desired: r.IntN(20)}
		}
		p, a := planScale(f)
		if a != nil {
			continue
		}
		made++
		l := leverOf(f.Workload)
		wrote, err := fieldValue(p.Patch, p.Field)
		back, errBack := fieldValue(p.Inverse, p.Field)
		if err != nil || errBack != nil || wrote <= l.now || wrote <= l.value || back != l.value ||
			wrote > f.Settings.MaxReplicas ||
			p.After != strconv.Itoa(wrote) || p.Price != wrote-l.now || f.Workload.HPA != nil &&
			wrote > f.Workload.HPA.Max {
			t.Fatalf("%+v\nwrites %d, goes back to %d: %+v", f.Workload, wrote, back, p)
		}
	}
	if made < 250 {
		t.Fatalf("only %d of 5000 plans were made", made)
	}
}

// Two leases on one field: the later goes back to where the earlier began.
func TestASecondScaleGoesBackToTheFirstValue(t *testing.T) {
	f := facts("scale")
	first := mustPlan(t, f)
	f.Ledger.Leases = []incident.Lease{{Op: "op-1", Plan: first}}
	f.Workload.Desired, f.Workload.Ready, f.Workload.Updated, f.Workload.Available, f.Workload.Pods = 5, 5, 5, 5,
		pods(5, "u-4")
	f.Options.Max = 20
	second := mustPlan(t, f)
	if second.Before != "5" || second.After != "7" || string(second.Inverse) != `{"spec":{"replicas":4}}` {
		t.Errorf("from %s to %s, back with %s", second.Before, second.After, second.Inverse)
	}
}
