package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/internal/policyfile"
	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/ingest"
	"watchdog.io/watchdog/pkg/notify/pagerduty"
	"watchdog.io/watchdog/pkg/policy"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/review/overdue"
)

const flappingConfig = `
mode: observe
targets:
  - {name: shop, namespace: prod, workload: deployment/shop}
thresholds: []
routes:
  - matchers: ['severity="critical"']
    severity: P0
    ladder: [page]
  - matchers: ['severity="warning"']
    severity: P2
    ladder: [page]
`

// outsider is a watchdog that alerts of other systems reach: the real engine and hints,
// a store in memory, and a pager that rings once for each page.
type outsider struct {
	t        *testing.T
	book     *ingest.Store
	external *ingest.ExternalAlerts
	policy   *policy.Policy
	engine   *engine.Engine
	registry *prometheus.Registry
	stop     func()
	ids      int

	mu       sync.Mutex
	stored   map[string]incident.Stored
	version  int
	told     map[string]incident.Incident
	receipts map[string]incident.Receipt
	rang     map[string]int   // by target
	own      []incident.Alert // what watchdog itself sees of shop
}

func (o *outsider) Incidents(context.Context) ([]incident.Stored, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b, err := json.Marshal(slices.Collect(maps.Values(o.stored)))
	var all []incident.Stored
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	return all, err
}

func (o *outsider) EachIncident(ctx context.Context, each func(incident.Stored) error) error {
	all, err := o.Incidents(ctx)
	for _, s := range all {
		err = cmp.Or(err, each(s))
	}
	return err
}

func (o *outsider) StoredIncident(_ context.Context, id string) (incident.Stored, bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s, ok := o.stored[id]
	return s, ok, nil
}

func (o *outsider) SaveIncident(_ context.Context, i incident.Incident, version string) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stored[i.ID].Version != version {
		return "", incident.ErrConflict
	}
	o.version++
	o.stored[i.ID] = incident.Stored{Incident: i, Version: fmt.Sprint(o.version)}
	return fmt.Sprint(o.version), nil
}

func (o *outsider) ResponderActions(context.Context, string) (incident.ResponderActions, error) {
	return incident.ResponderActions{}, nil
}

func (o *outsider) ChangedResponderActions(context.Context) map[string]incident.ResponderActions {
	return nil
}

func (o *outsider) DeleteIncident(_ context.Context, id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.stored, id)
	return nil
}

func (o *outsider) Ledger(context.Context) (incident.Ledger, string, error) {
	return incident.Ledger{}, "1", nil
}

func (o *outsider) SwapLedger(context.Context, incident.Ledger, string) (string, error) {
	return "1", nil
}

func (o *outsider) Records(context.Context, string) (map[string][]remediate.Record, string, error) {
	return nil, "", nil
}

func (o *outsider) SwapRecords(context.Context, string, map[string][]remediate.Record, string) (string, error) {
	return "1", nil
}

// tell is the pager: it rings when a page begins.
func (o *outsider) tell(i incident.Incident) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told[i.ID] = i
	was := o.receipts[i.ID]
	events, next := pagerduty.Events(i, was, nil, false)
	for _, e := range events {
		if e.Action == "trigger" && e.Key != was.Ref {
			o.rang[i.Target.Name]++
		}
	}
	o.receipts[i.ID] = next
}

// last is what was last told of an incident.
func (o *outsider) last(id string) incident.Incident {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.told[id]
}

func (o *outsider) rings(target string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.rang[target]
}

// says reports whether an open incident that people were told of says that the alert fires.
func (o *outsider) says(name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, i := range o.told {
		if a, _ := i.Alert(name); a.Firing && i.Phase != incident.Resolved {
			return true
		}
	}
	return false
}

func (o *outsider) post(sender string, status ingest.Status, name, severity string, more ...string) {
	o.t.Helper()
	a := ingest.Alert{Status: status, Sender: sender, StartsAt: time.Now(), ReceivedAt: time.Now(),
		Labels: model.LabelSet{"alertname": model.LabelValue(name), "severity": model.LabelValue(severity)}}
	for k := 0; k+1 < len(more); k += 2 {
		a.Labels[model.LabelName(more[k])] = model.LabelValue(more[k+1])
	}
	if status == ingest.Resolved {
		a.StartsAt, a.EndsAt = time.Now().Add(-time.Second), time.Now()
	}
	news, err := o.book.Accept([]ingest.Alert{a}, time.Now())
	if err != nil {
		o.t.Fatal(err)
	}
	targets, _ := o.external.Take(news)
	o.engine.Wake(targets...)
}

// playOutsider begins with a history: 150 incidents of shop, and an unreviewed P0 of
// shop and of what is not watched, which are the oldest of all.
func playOutsider(t *testing.T, story func(o *outsider)) {
	t.Helper()
	p, err := policy.New(policyfile.Load(t, flappingConfig, ""))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		o := &outsider{t: t, policy: p, book: ingest.NewStore(ingest.Limits{}),
			external: ingest.NewExternalAlerts(time.Now), stored: map[string]incident.Stored{},
			told: map[string]incident.Incident{}, receipts: map[string]incident.Receipt{}, rang: map[string]int{}}
		o.external.Use(p.Target(nil))
		o.external.Synced()
		past := func(id string, target incident.Target, s incident.Severity, ago time.Duration) {
			i := incident.New(id, target, time.Now().Add(-ago))
			i.Phase, i.Severity, i.ResolvedAt = incident.Resolved, s, time.Now().Add(-ago)
			o.stored[id] = incident.Stored{Incident: i, Version: "0"}
		}
		shop := incident.Target{Name: "shop", Namespace: "prod", Kind: "deployment", Workload: "shop"}
		past("p0-shop", shop, incident.P0, 1000*time.Hour)
		past("p0-node", incident.Target{Name: "not watched: NodeDown"}, incident.P0, 1000*time.Hour)
		for k := range 150 {
			past(fmt.Sprint("old-", k), shop, incident.P2, time.Duration(900-k)*time.Hour)
		}
		o.lead()
		story(o)
		o.stop()
	})
}

// lead is a new leader's process, until stop is called.
func (o *outsider) lead() {
	p := o.policy
	o.registry = prometheus.NewRegistry()
	o.engine = engine.New(engine.Options{
		Logger: slog.New(slog.DiscardHandler), Registerer: o.registry, Store: o,
		Audit: func(...audit.Record) error { return nil }, Tell: o.tell,
		Keep: overdue.New(prometheus.NewRegistry(), nil).Keep,
		NewID: func() string {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.ids++
			return fmt.Sprint("new-", o.ids)
		},
		Restored: func(open []incident.Incident) { o.external.Restore(open, nil, o.book) },
	})
	setup := p.Setup()
	setup.Other, setup.Others = policy.Other, o.external.Unwatched
	setup.FleetHealth = func() engine.FleetHealth { return engine.FleetHealth{Watched: 1} }
	setup.Snapshot = func(target string) engine.Snapshot {
		v := p.View(o.external.AlertsOf(target, nil), nil)
		o.mu.Lock()
		defer o.mu.Unlock()
		if target == "shop" {
			v.Alerts = append(v.Alerts, o.own...)
		}
		return v
	}
	o.engine.Use(setup)
	ctx, cancel := context.WithCancel(o.t.Context())
	done := make(chan error)
	go func() { done <- o.engine.Run(ctx) }()
	time.Sleep(time.Second)
	o.stop = func() {
		cancel()
		if err := <-done; err != nil {
			o.t.Error(err)
		}
	}
}

// SEC-32: who may post alerts posts some that begin and end again and again for an hour.
func TestFlappingAlertsOfOthersDoNotEraseTheHistory_S07(t *testing.T) {
	const most = 4 // pages in an hour for each name
	for _, tc := range []struct {
		name      string
		names     int
		half      time.Duration // how long each fires, and then not
		namespace string
		target    bool // they name a target, and not what is not watched
	}{
		{"every 25 seconds", 40, 10 * time.Second, "prod", false},
		{"every 8 minutes", 15, 4 * time.Minute, "prod", false},
		{"every 24 minutes, which is calmer than what is waited for", 15, 12 * time.Minute, "prod", false},
		{"about a target, every two minutes", 15, time.Minute, "prod", true},
	} {
		playOutsider(t, func(o *outsider) {
			attack := func(status ingest.Status) {
				for k := range tc.names {
					more := []string{"namespace", tc.namespace}
					if tc.target {
						more = append(more, "target", "shop")
					}
					o.post("evil", status, fmt.Sprint("Evil", k), "critical", more...)
				}
			}
			honest := 0
			for began := time.Now(); time.Since(began) < time.Hour; {
				attack(ingest.Firing)
				time.Sleep(tc.half / 2)
				name := fmt.Sprint("Honest", honest)
				honest++
				// One that comes from the same sender, and one from another.
				o.post(map[bool]string{true: "evil", false: "alertmanager"}[honest%2 == 0], ingest.Firing, name,
					"warning", "namespace", "billing")
				time.Sleep(5 * time.Second)
				if target := "not watched: " + name + " in billing"; honest < 50 &&
					(!o.says(name) || o.rings(target) != 1) {
					t.Errorf("%s: %s began 5 seconds ago: told %v, rang %d times", tc.name, name, o.says(name),
						o.rings(target))
				}
				o.post("alertmanager", ingest.Resolved, name, "warning", "namespace", "billing")
				time.Sleep(tc.half - tc.half/2)
				attack(ingest.Resolved)
				time.Sleep(tc.half)
			}
			synctest.Wait() // nobody works now
			all, worst := 0, 0
			for k := range tc.names {
				target := fmt.Sprintf("not watched: Evil%d in prod", k)
				if tc.target {
					target = "shop"
				}
				n := o.rings(target)
				worst = max(worst, n)
				if all += n; n > most || n == 0 {
					t.Errorf("%s: %s rang %d times in an hour, want 1 to %d", tc.name, target, n, most)
				}
				if tc.target {
					break
				}
			}
			t.Logf("%s: %d pages in an hour for %d names, at most %d each; %d incidents stored", tc.name, all, tc.names,
				worst, len(o.stored))
			for _, id := range []string{"p0-shop", "p0-node", "old-0", "old-149"} {
				if _, there := o.stored[id]; !there {
					t.Errorf("%s: incident %s was erased", tc.name, id)
				}
			}
			if flaps := count(t, o.registry,
				"watchdog_incident_flaps_total"); (flaps > 0) != (tc.half < incident.FlapCalm) {
				t.Errorf("%s: %v times an alert came back, says the metric", tc.name, flaps)
			}
			if gone := count(t, o.registry, "watchdog_incidents_deleted_total"); int(gone) != 152+o.ids-len(o.stored) {
				t.Errorf("%s: %v incidents were deleted, says the metric; it were %d", tc.name, gone,
					152+o.ids-len(o.stored))
			}
			if len(o.stored) > 800 {
				t.Errorf("%s: %d incidents are stored", tc.name, len(o.stored))
			}
		})
	}
}

// An alert on a target that flaps does not hide what watchdog sees of it.
func TestWhatWatchdogSeesRingsBesideAFlappingAlert_S07(t *testing.T) {
	playOutsider(t, func(o *outsider) {
		for range 5 {
			o.post("alertmanager", ingest.Firing, "Slow", "critical", "target", "shop")
			time.Sleep(time.Minute)
			o.post("alertmanager", ingest.Resolved, "Slow", "critical", "target", "shop")
			time.Sleep(time.Minute)
		}
		before := o.rings("shop")
		o.mu.Lock()
		o.own = []incident.Alert{{Rule: "Down", Severity: incident.P0, Firing: true, Verdict: incident.Breach,
			Source: "prometheus", EvaluatedAt: time.Now(), ActiveAt: time.Now(),
			Ladder: []incident.Rung{{Action: "page", Class: incident.C1}}}}
		o.mu.Unlock()
		o.engine.Wake("shop")
		time.Sleep(2 * time.Second)
		if n := o.rings("shop"); before != 2 || n != 3 || !o.says("Down") {
			t.Errorf("rang %d times for what flaps, and %d times after watchdog saw it, too; told: %v", before,
				n-before, o.says("Down"))
		}
	})
}

// A new leader goes on waiting for the calm that another has begun to wait for.
func TestANewLeaderKeepsAFlappingIncidentOpen_S07(t *testing.T) {
	playOutsider(t, func(o *outsider) {
		flap := func() {
			o.post("alertmanager", ingest.Firing, "NodeDown", "critical")
			time.Sleep(time.Minute)
			o.post("alertmanager", ingest.Resolved, "NodeDown", "critical")
		}
		flap()
		time.Sleep(time.Minute)
		flap()
		time.Sleep(incident.FlapCalm / 2)
		o.stop()
		o.lead()
		flap()
		time.Sleep(incident.FlapCalm / 2)
		o.stop()
		o.lead()
		if i := o.last("new-2"); o.rings("not watched: NodeDown") != 2 || o.last("new-3").ID != "" ||
			i.Phase == incident.Resolved || i.CalmSince.IsZero() {
			t.Errorf("rang %d times, also in %q; the incident is %s, calm since %s", o.rings("not watched: NodeDown"),
				o.last("new-3").ID, i.Phase, i.CalmSince)
		}
		time.Sleep(incident.FlapCalm/2 + 6*time.Second)
		if i := o.last("new-2"); i.Phase != incident.Resolved {
			t.Errorf("after a calm of %s it is %s", incident.FlapCalm, i.Phase)
		}
	})
}

func count(t *testing.T, r *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
