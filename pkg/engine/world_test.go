package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// world is one small cluster: a deployment, watchdog's own objects, and a hidden
// cause of trouble. It is the test's stand-in for the API server; the integration
// tests use a real one.
type world struct {
	mu        sync.Mutex
	replicas  int
	jobState  incident.Rollout
	jobErr    error
	version   int // resourceVersion
	op        string
	template  string
	revisions []remediate.Revision
	writes    []string // op ids whose write was accepted
	sick      func(w *world) bool
	human     string // hold annotation
	silenced  string // what the rule's alert is silenced by
	// What maintenance windows say, and further alerts on watchdog itself.
	maintenance incident.Maintenance
	suspended   remediate.Suspension
	own         []incident.Alert
	looked      func() // before each look at the target
	manager     []remediate.Manager
	services    func(w *world) []remediate.Service

	objects map[string]string                    // name → JSON
	words   map[string]incident.ResponderActions // by incident
	rv      map[string]int

	// Faults.
	loseReply    int             // answer the next n writes with "unknown" although applied
	dropWrite    int             // answer the next n writes with "unknown" without applying
	denies       incident.Action // the action whose writes are refused
	denied       int
	auditFails   bool
	doubted      string // why it is doubted from before its first step on
	auditFailsOn string
	restored     []incident.Incident
	audits       []audit.Record
	told         map[string]incident.Incident
	opened       map[string]bool
	conflicts    int
}

func newWorld() *world {
	return &world{
		replicas: 3, version: 1, template: "good", objects: map[string]string{}, words: map[string]incident.ResponderActions{},
		rv: map[string]int{}, told: map[string]incident.Incident{}, opened: map[string]bool{},
		sick: func(*world) bool { return false },
		revisions: []remediate.Revision{{Number: 1, UID: "rs-good", Name: "shop-1",
			CreatedAt: time.Now().Add(-time.Hour), Template: tmpl("good"), Images: []string{"shop:good"}}},
	}
}

func tmpl(image string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"spec":{"containers":[{"name":"shop","image":"shop:%s"}]}}`, image))
}

var shop = incident.Target{Name: "shop", Namespace: "shop", Kind: "deployment", Workload: "shop", UID: ""}

func (w *world) Workload(context.Context, incident.Target, string) (remediate.Workload, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := shop
	t.UID = "uid-1"
	ann := map[string]string{remediate.OpAnnotation: w.op}
	if w.human != "" {
		ann[remediate.HoldAnnotation] = w.human
	}
	var services []remediate.Service
	if w.services != nil {
		services = w.services(w)
	}
	return remediate.Workload{
		Services: services, Target: t, ResourceVersion: fmt.Sprint(w.version), Generation: 1, Observed: 1,
		Desired: w.replicas, Ready: w.replicas, Updated: w.replicas, Available: w.replicas,
		MaxUnavailable: 0, MaxSurge: 1, Annotations: ann, Template: tmpl(w.template), Revisions: w.revisions,
		EndpointsReady: w.replicas, Managers: w.manager, ReadAt: time.Now(),
	}, nil
}

func (w *world) Rollouts(ctx context.Context, _ string,
	targets []incident.Target) (map[string]remediate.Workload, error) {
	all := map[string]remediate.Workload{}
	for _, t := range targets {
		all[t.String()], _ = w.Workload(ctx, t, "")
	}
	return all, nil
}

func (w *world) References(_ context.Context, _ string, refs []remediate.Reference) []remediate.Reference {
	return refs
}

func (w *world) Write(_ context.Context, opID string, p incident.Plan) (incident.Outcome, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dropWrite > 0 {
		w.dropWrite--
		return incident.Unknown, errors.New("connection reset before the request left")
	}
	if w.denies != "" && p.Action == w.denies {
		w.denied++
		return incident.Denied, errors.New("an admission policy refuses it")
	}
	if p.Object.ResourceVersion != fmt.Sprint(w.version) || p.Object.UID != "uid-1" {
		w.conflicts++
		return incident.Conflicted, fmt.Errorf("the object has version %d, not %s", w.version, p.Object.ResourceVersion)
	}
	var patch struct {
		Spec struct {
			Replicas *int
			Template json.RawMessage
		}
	}
	if err := json.Unmarshal(p.Patch, &patch); err != nil {
		return incident.Denied, err
	}
	if patch.Spec.Replicas != nil {
		w.replicas = *patch.Spec.Replicas
	}
	if m := regexp.MustCompile(`"image":"shop:(\w+)"`).FindSubmatch(patch.Spec.Template); m != nil {
		w.template = string(m[1])
	}
	w.version++
	w.op = opID
	w.writes = append(w.writes, opID)
	if w.loseReply > 0 {
		w.loseReply--
		return incident.Unknown, errors.New("timeout")
	}
	return incident.Applied, nil
}

func (w *world) Find(_ context.Context, opID string, _ incident.Plan) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.op == opID, nil
}

func (w *world) Job(context.Context, incident.Object) (incident.Rollout, error) {
	return w.jobState, w.jobErr
}

func (w *world) Capture(context.Context, incident.Target, string) (string, string, error) {
	return "evidence/x", "", nil
}

func (w *world) get(name string, into any) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s, ok := w.objects[name]; ok {
		_ = json.Unmarshal([]byte(s), into)
		return fmt.Sprint(w.rv[name])
	}
	return ""
}

func (w *world) put(name string, v any, version string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.objects[name]; ok != (version != "") || ok && fmt.Sprint(w.rv[name]) != version {
		return "", incident.ErrConflict
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	w.objects[name] = string(b)
	w.rv[name]++
	return fmt.Sprint(w.rv[name]), nil
}

func (w *world) Incidents(context.Context) ([]incident.Stored, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []incident.Stored
	for name, s := range w.objects {
		var i incident.Incident
		if name[0] == 'i' && json.Unmarshal([]byte(s), &i) == nil {
			all = append(all, incident.Stored{Incident: i, Version: fmt.Sprint(w.rv[name]), Newer: i.Format > 1,
				Responders: w.words[i.ID]})
		}
	}
	return all, nil
}

func (w *world) EachIncident(ctx context.Context, each func(incident.Stored) error) error {
	all, err := w.Incidents(ctx)
	for _, s := range all {
		err = cmp.Or(err, each(s))
	}
	return err
}

func (w *world) StoredIncident(ctx context.Context, id string) (incident.Stored, bool, error) {
	all, err := w.Incidents(ctx)
	k := slices.IndexFunc(all, func(s incident.Stored) bool { return s.Incident.ID == id })
	if k < 0 {
		return incident.Stored{}, false, err
	}
	return all[k], true, err
}

func (w *world) SaveIncident(_ context.Context, i incident.Incident, version string) (string, error) {
	return w.put("i/"+i.ID, i, version)
}

func (w *world) ResponderActions(_ context.Context, id string) (incident.ResponderActions, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.words[id], nil
}

func (w *world) ChangedResponderActions(context.Context) map[string]incident.ResponderActions {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.words)
}

// patch is what a person writes on an incident.
func (w *world) patch(id string, p incident.ResponderActions) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.words[id] = w.words[id].With(p)
}

func (w *world) DeleteIncident(context.Context, string) error { return nil }

func (w *world) Ledger(context.Context) (incident.Ledger, string, error) {
	var l incident.Ledger
	v := w.get("ledger", &l)
	return l, v, nil
}

func (w *world) SwapLedger(_ context.Context, l incident.Ledger, version string) (string, error) {
	return w.put("ledger", l, version)
}

func (w *world) Records(context.Context, string) (map[string][]remediate.Record, string, error) {
	r := map[string][]remediate.Record{}
	v := w.get("records", &r)
	return r, v, nil
}

func (w *world) SwapRecords(_ context.Context, _ string, r map[string][]remediate.Record,
	version string) (string, error) {
	return w.put("records", r, version)
}

// stage is a world with a rule over it and an engine that works it.
type stage struct {
	*world
	ladder  []incident.Action
	mode    incident.Mode
	firing  bool
	active  time.Time
	limits  incident.Limits
	engine  *Engine
	options func(action incident.Action) remediate.Options
	whole   FleetHealth
	unfit   string

	instead  Store    // of the world; nil: the world itself
	released []string // uids
	response incident.Response
}

func newStage(w *world, ladder ...incident.Action) *stage {
	s := &stage{world: w, ladder: ladder, whole: FleetHealth{Watched: 1, Unhealthy: 1}, mode: incident.Auto,
		limits: incident.Limits{
			PerTarget: incident.Rate{Count: 3, Per: time.Hour}, PerNamespace: incident.Rate{Count: 5, Per: time.Hour},
			Cluster: incident.Rate{Count: 10, Per: time.Hour}, Concurrent: 2, Cooldown: 5 * time.Minute,
		}, options: func(incident.Action) remediate.Options {
			return remediate.Options{By: "1", Max: 10, Lease: 10 * time.Minute, SingleSource: "one rule in this test"}
		}}
	return s
}

// alerts is the rule: it fires while the world is sick, and clears at once.
func (s *stage) alerts() []incident.Alert {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := incident.Alert{Rule: "errors", Severity: incident.P1, Verdict: incident.OK, Value: 0, Bound: 1, Above: true,
		Source: "app", EvaluatedAt: time.Now(), Reason: "0 < 1"}
	for i, act := range s.ladder {
		a.Ladder = append(a.Ladder, incident.Rung{Action: act, Class: remediate.ClassOf(act), Index: i,
			Settle: 10 * time.Second, Verify: time.Minute})
	}
	if s.sick(s.world) {
		if !s.firing {
			s.active = time.Now()
		}
		a.Firing, a.Verdict, a.Value, a.Reason, a.ActiveAt = true, incident.Breach, 5, "5 > 1", s.active
	}
	s.firing = a.Firing
	return []incident.Alert{a}
}

func (s *stage) view(string) Snapshot {
	alerts := s.alerts()
	bad := alerts[0].Firing
	s.mu.Lock()
	defer s.mu.Unlock()
	if bad {
		alerts[0].Silenced = s.silenced
	}
	if bad && s.looked != nil {
		s.looked()
	}
	ready := map[string]int{}
	if s.services != nil {
		for _, x := range s.services(s.world) {
			ready[x.Name] = x.Ready
		}
	}
	return Snapshot{Alerts: alerts, Maintenance: s.maintenance, Suspended: s.suspended,
		Rollout: incident.Rollout{Known: true, Done: true, Ready: s.replicas, Endpoints: ready}, Revision: "rs-" +
			s.template,
		Signals: []remediate.Signal{{Source: "app", Known: true, Bad: bad, At: time.Now()},
			{Source: "probe", Known: true, Bad: bad, At: time.Now()}}}
}

func (s *stage) further() []incident.Alert {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own
}

var opIDs atomic.Int64

// start builds a new engine over the same world: what a restart does.
func (s *stage) start(ctx context.Context, done chan<- error) {
	s.engine = New(Options{
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Cluster: s.world,
		Store: cmp.Or[Store](s.instead, s.world),
		Audit: func(all ...audit.Record) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.auditFails || slices.ContainsFunc(all, func(r audit.Record) bool { return r.Kind == s.auditFailsOn }) {
				return errors.New("disk full")
			}
			s.audits = append(s.audits, all...)
			return nil
		},
		Tell: func(i incident.Incident) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.told[i.ID] = i
			s.opened[i.ID] = true
		},
		Released: func(r Release) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.released = append(s.released, r.Revision.UID)
		},
		Restored: func(open []incident.Incident) { s.restored = open },
		NewID:    func() string { return fmt.Sprintf("id%04d", opIDs.Add(1)) },
		Policy:   incident.DefaultPolicy(),
		Unfit:    s.unfit,
	})
	policy := incident.DefaultPolicy()
	policy.Response = s.response
	s.engine.Use(&Setup{
		Policy: policy,
		Config: "c1", Targets: map[string]TargetSetup{"shop": {Target: shop, Mode: incident.Auto, ModeWhy: "the test"}},
		Snapshot: s.view, FleetHealth: func() FleetHealth { return s.whole }, Own: s.further,
		Fresh:        func(context.Context, string) (Snapshot, error) { return s.view("shop"), nil },
		Dependencies: func(context.Context, string) []remediate.Dependency { return nil },
		Rung: func(_ string, _ incident.Alert, i int) Rung {
			return Rung{Options: s.options(s.ladder[i]), Mode: s.mode, ModeWhy: "the test"}
		},
		Settings: remediate.Settings{AvailabilityFloor: 0.5, MaxUnhealthy: 0.3, SuspectWindow: 30 * time.Minute,
			GoodAfter: time.Minute, HumanChange: 10 * time.Minute, OwnChange: time.Hour, MaxReplicas: 50,
			StaleAfter: 30 * time.Second},
		Limits: s.limits, Installation: "watchdog",
	})
	s.engine.CanaryFailed(s.doubted)
	go func() { done <- s.engine.Run(ctx) }()
}

// about returns the incident last told on the named target.
func (s *stage) about(name string) incident.Incident {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.told {
		if i.Target.Name == name {
			return i
		}
	}
	return incident.Incident{}
}

// only returns the one incident that was ever told.
func (s *stage) only() incident.Incident {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.told) != 1 {
		return incident.Incident{ID: fmt.Sprintf("%d incidents", len(s.told))}
	}
	for _, i := range s.told {
		return i
	}
	return incident.Incident{}
}

func (s *stage) accepted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.writes)
}

// audited reports whether a record says the word.
func (s *stage) audited(word string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.audits, func(r audit.Record) bool { return strings.Contains(r.Kind+" "+r.Text, word) })
}
