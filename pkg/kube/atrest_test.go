package kube

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// acting is what the engine needs of a cluster.
type acting struct {
	*Reader
	*Writer
}

func (acting) Capture(context.Context, incident.Target, string) (string, string, error) {
	return "", "", nil
}

// fleet is 1,000 Deployments in 10 namespaces, each with one ReplicaSet and one pod.
func fleet(a *api) map[string]engine.TargetSetup {
	all := map[string]engine.TargetSetup{}
	for n := range 1000 {
		ns, name := fmt.Sprintf("ns%d", n%10), fmt.Sprintf("app%d", n)
		a.put("/apis/apps/v1/namespaces/"+ns+"/deployments/"+name, fmt.Sprintf(`{"metadata":{"name":%[1]q,"uid":"d-%[1]s",
			"generation":1},"spec":{"replicas":1,"selector":{"matchLabels":{"app":%[1]q}},
			"template":{"metadata":{"labels":{"app":%[1]q}}}},"status":{"observedGeneration":1,"readyReplicas":1,
			"updatedReplicas":1,"availableReplicas":1}}`, name))
		a.put("/apis/apps/v1/namespaces/"+ns+"/replicasets/"+name, fmt.Sprintf(`{"metadata":{"name":%[1]q,"uid":"rs-%[1]s",
			"labels":{"app":%[1]q},"annotations":{"deployment.kubernetes.io/revision":"1"},
			"ownerReferences":[{"uid":"d-%[1]s","controller":true}]},"spec":{"template":{"metadata":{"labels":{"app":%[1]q}}}}}`,
			name))
		a.put("/api/v1/namespaces/"+ns+"/pods/"+name, fmt.Sprintf(`{"metadata":{"name":%[1]q,"labels":{"app":%[1]q},
			"creationTimestamp":"2026-03-01T10:00:00Z","ownerReferences":[{"uid":"rs-%[1]s","controller":true}]},
			"status":{"conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2026-03-01T10:00:20Z"}]}}`, name))
		all[name] = engine.TargetSetup{Target: incident.Target{Name: name, Namespace: ns, Kind: "deployment",
			Workload: name}}
	}
	return all
}

// INV-53: what 1,000 targets cost the API server in requests for their revision records.
func TestRevisionsOfAThousandTargetsAreFewRequests_INV53(t *testing.T) {
	a, c := newAPI(t)
	targets := fleet(a)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	released := map[string]int64{} // revisions that the watches have seen, but for 1
	healthy := true
	var told []string
	judged := 0
	start := func() *engine.Engine {
		e := engine.New(engine.Options{
			Logger: slog.New(slog.DiscardHandler), Cluster: acting{NewReader(c), NewWriter(c, "w")},
			Store: NewStore(c, "w"), Audit: func(...audit.Record) error { return nil }, Tell: func(incident.Incident) {},
			Released: func(r engine.Release) { told = append(told, r.Target.Name) },
			Now:      func() time.Time { return now },
		})
		e.Use(&engine.Setup{Targets: targets, Settings: remediate.Settings{GoodAfter: 10 * time.Minute,
			StaleAfter: time.Minute},
			Newest: func(target string) (string, int64) {
				if n := released[target]; n > 0 {
					return fmt.Sprintf("rs-%s-%d", target, n), n
				}
				return "rs-" + target, 1
			},
			Snapshot: func(target string) engine.Snapshot {
				judged++
				v := engine.Snapshot{Rollout: incident.Rollout{Known: true, Done: true}, Revision: "rs-" + target,
					RevisionNumber: 1, Signals: []remediate.Signal{{Source: "probe", Known: true, Bad: !healthy, At: now}}}
				if n := released[target]; n > 0 {
					v.Revision, v.RevisionNumber = fmt.Sprintf("rs-%s-%d", target, n), n
				}
				return v
			}})
		return e
	}
	look := func(e *engine.Engine, when string, want map[string]int) {
		t.Helper()
		a.requests = nil
		if _, err := e.Pass(t.Context(), "/revisions"); err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, r := range a.requests {
			parts := strings.Split(r.path, "/")
			at := slices.Index(parts, "namespaces")
			got[r.method+" "+parts[at+2]]++
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	none := map[string]int{}
	e := start()
	look(e, "the first start of all", map[string]int{"GET ledgers": 10, "GET deployments": 10, "GET replicasets": 10,
		"GET pods": 10, "POST ledgers": 10})
	now = now.Add(5 * time.Minute)
	look(e, "nothing changed", none)
	now = now.Add(5 * time.Minute)
	look(e, "all have become good", map[string]int{"GET ledgers": 10, "GET deployments": 10, "GET replicasets": 10,
		"GET pods": 10, "PATCH ledgers": 10})
	now = now.Add(time.Hour)
	look(e, "nothing changed for long", none)

	e = start()
	look(e, "another start, nothing changed", map[string]int{"GET ledgers": 10})
	now = now.Add(time.Hour)
	look(e, "nothing changed after it", none)
	for _, step := range []struct {
		what  string
		after time.Duration
		do    func()
		want  int
	}{
		{"at once", 2 * time.Second, func() {}, 0},
		{"an alert changed", 2 * time.Second, func() { e.Wake("app3", "app5") }, 2},
		{"and no more", 2 * time.Second, func() {}, 0},
		{"all in their turn", 9 * time.Second, func() {}, 998},
		{"but for those judged since", 2 * time.Second, func() {}, 0},
	} {
		now, judged = now.Add(step.after), 0
		step.do()
		look(e, step.what, none)
		if judged != step.want {
			t.Errorf("%s: %d targets were judged, want %d", step.what, judged, step.want)
		}
	}

	a.put("/apis/apps/v1/namespaces/ns7/replicasets/app7-2", `{"metadata":{"name":"app7-2","uid":"rs-app7-2",
		"labels":{"app":"app7"},"annotations":{"deployment.kubernetes.io/revision":"2"},
		"ownerReferences":[{"uid":"d-app7","controller":true}]},"spec":{"template":{"metadata":{"labels":{"app":"app7"}}}}}`)
	released["app7"] = 2
	look(e, "one release", map[string]int{"GET ledgers": 1, "GET deployments": 1, "GET replicasets": 1, "GET pods": 1,
		"PATCH ledgers": 1})
	released["app8"] = 2 // the watches are ahead of what can be read, or wrong
	look(e, "a revision that cannot be read yet", map[string]int{"GET ledgers": 1, "GET deployments": 1,
		"GET replicasets": 1, "GET pods": 1})
	all, _, err := NewStore(c, "w").Records(t.Context(), "ns8")
	if r := all["ns8/deployment/app8"]; err != nil || len(r) != 1 || r[0].UID != "rs-app8" || r[0].GoodAt.IsZero() {
		t.Errorf("records of app8: %+v, %v", r, err)
	}
	if !slices.Equal(told, []string{"app7"}) {
		t.Errorf("told of the releases of %v", told)
	}
}

// INV-31: of the two ways to read rollouts, both have all that the records are made of.
func TestManyRolloutsAreReadAsFewAre_INV31(t *testing.T) {
	a, c := newAPI(t)
	fleet(a)
	var targets []incident.Target
	for n := range rolloutsTogether {
		targets = append(targets, incident.Target{Name: fmt.Sprintf("app%d0", n), Namespace: "ns0", Kind: "deployment",
			Workload: fmt.Sprintf("app%d0", n)})
	}
	targets[0].Workload = "app0"
	many, err := NewReader(c).Rollouts(t.Context(), "ns0", targets)
	if err != nil {
		t.Fatal(err)
	}
	lists := len(a.requests)
	for _, target := range targets {
		one, err := NewReader(c).Rollouts(t.Context(), "ns0", []incident.Target{target})
		if err != nil {
			t.Fatal(err)
		}
		few, listed := one[target.String()], many[target.String()]
		few.ReadAt, listed.ReadAt = time.Time{}, time.Time{}
		if d := cmp.Diff(few, listed); d != "" || len(few.Pods) != 1 || len(few.Revisions) != 1 {
			t.Errorf("%s: %s", target, d)
		}
	}
	if lists != 3 {
		t.Errorf("%d requests for many, want 3", lists)
	}
	_, err = NewReader(c).Rollouts(t.Context(), "ns0", append(targets, incident.Target{Namespace: "ns0",
		Kind: "deployment", Workload: "gone"}))
	if err == nil || !strings.Contains(err.Error(), "ns0/deployment/gone: not found") {
		t.Errorf("one that is gone: %v", err)
	}
}
