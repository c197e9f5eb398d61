package selfwatch

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/outbox"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/redact"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
	"watchdog.io/watchdog/pkg/storage"
)

// shelf is a store of incidents in memory.
type shelf struct {
	mu    sync.Mutex
	saved map[string]incident.Incident
}

func (s *shelf) EachIncident(context.Context, func(incident.Stored) error) error { return nil }
func (s *shelf) StoredIncident(context.Context, string) (incident.Stored, bool, error) {
	return incident.Stored{}, false, nil
}
func (s *shelf) SaveIncident(_ context.Context, i incident.Incident, _ string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saved[i.Target.Name] = i
	return "1", nil
}
func (s *shelf) ResponderActions(context.Context, string) (incident.ResponderActions, error) {
	return incident.ResponderActions{}, nil
}

func (s *shelf) ChangedResponderActions(context.Context) map[string]incident.ResponderActions {
	return nil
}

func (s *shelf) DeleteIncident(context.Context, string) error { return nil }
func (s *shelf) Ledger(context.Context) (incident.Ledger, string, error) {
	return incident.Ledger{}, "1", nil
}
func (s *shelf) SwapLedger(context.Context, incident.Ledger, string) (string, error) {
	return "1", nil
}
func (s *shelf) Records(context.Context, string) (map[string][]remediate.Record, string, error) {
	return nil, "", nil
}
func (s *shelf) SwapRecords(context.Context, string, map[string][]remediate.Record, string) (string, error) {
	return "1", nil
}

// ear is a receiver that hears everything, or hangs.
type ear struct {
	notify.Notifier
	name string
	cut  func() bool

	mu    sync.Mutex
	heard []incident.Incident
}

func (e *ear) Name() string { return e.name }

func (e *ear) Notify(ctx context.Context, i incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	if e.cut() {
		<-ctx.Done()
		return prev, ctx.Err()
	}
	e.mu.Lock()
	e.heard = append(e.heard, i)
	e.mu.Unlock()
	if e.Notifier != nil {
		return e.Notifier.Notify(ctx, i, prev)
	}
	return incident.Receipt{Ref: i.ID}, nil
}

// says returns the last incident heard about a target.
func (e *ear) says(target string) (last incident.Incident) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, i := range e.heard {
		if i.Target.Name == target {
			last = i
		}
	}
	return last
}

// chain is the real parts from a sample to a receiver, with a place to cut each link.
type chain struct {
	own      *Watch
	engine   *engine.Engine
	rules    *rules.Manager
	samples  *storage.Store
	outbox   *outbox.Outbox
	registry *prometheus.Registry
	leading  atomic.Bool
	answered atomic.Int64
	cut      atomic.Value // the link that is cut
	unstored atomic.Value // why incidents cannot be stored
	human    *ear
	shelf    *shelf
}

func newChain(t *testing.T) *chain {
	c := &chain{registry: prometheus.NewRegistry(), shelf: &shelf{saved: map[string]incident.Incident{}}}
	logger, interval := slog.New(slog.DiscardHandler), 15*time.Second
	c.cut.Store("")
	c.unstored.Store("")
	is := func(link string) func() bool { return func() bool { return c.cut.Load() == link } }
	c.human = &ear{name: "slack", cut: is("nobody")}
	var err error
	samples := storage.New(storage.Options{Now: func() time.Time {
		if is("samples")() {
			return time.Now().Add(24 * time.Hour) // every sample is too old
		}
		return time.Now()
	}})
	local := promql.NewLocal(samples, promql.LocalOptions{})
	c.rules, err = rules.NewManager(rules.Options{Interval: interval, Append: samples.Append,
		Target: func(l labels.Labels) (string, bool) { return l.Get("target"), true },
		Local: func(ctx context.Context, expr string, at time.Time) ([]promql.Point, error) {
			if is("judge")() || is("groups")() && !strings.Contains(expr, canaryName) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return local(ctx, expr, at)
		}})
	if err == nil {
		_, err = c.rules.Update(rules.Config{Thresholds: []rules.Threshold{CanaryRule()}})
	}
	if err != nil {
		t.Fatal(err)
	}
	c.samples = samples
	samples.OnAppend(c.rules.Appended)
	c.outbox, err = outbox.New(outbox.Options{Dir: filepath.Join(t.TempDir(), "outbox"), Logger: logger,
		Registerer: prometheus.NewRegistry(), Delivered: func(id, receiver string, r incident.Receipt) {
			if !c.own.Delivered(id, receiver, r) {
				c.engine.Delivered(id, receiver, r)
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	c.own = NewWatch(WatchOptions{
		Logger: logger, Registry: c.registry, Now: time.Now, Installation: "watchdog", Replica: "watchdog-0",
		Samples: samples, Local: local, Rules: c.rules, Outbox: c.outbox, Engine: func() Engine { return c.engine },
		Leading:  c.leading.Load,
		Recorded: func() error { return nil }, Answered: func() time.Time { return time.UnixMilli(c.answered.Load()) },
		Unstored: func() string { return c.unstored.Load().(string) },
		Bounds:   &Bounds{}, Secrets: &redact.Known{},
		Late: &LateProbes{Logger: slog.New(slog.DiscardHandler)}, Skipped: func() (skipped, due uint64) { return 0, 0 },
	})
	c.outbox.Replace([]notify.Notifier{c.human, &ear{name: notify.CanaryReceiver, Notifier: c.own.Sink(),
		cut: is("outbox")}})
	id := 0
	c.engine = engine.New(engine.Options{
		Logger: logger, Registerer: prometheus.NewRegistry(), Store: c.shelf, Tell: c.own.Tell,
		Audit: func(...audit.Record) error { return nil },
		NewID: func() string { id++; return "i" + string(rune('a'+id)) }, Policy: incident.DefaultPolicy(),
	})
	c.engine.Use(&engine.Setup{Installation: "watchdog", Canary: true,
		FleetHealth: func() engine.FleetHealth { return engine.FleetHealth{} },
		Snapshot: func(target string) engine.Snapshot {
			for is("engine")() && target == incident.Canary {
				time.Sleep(time.Second)
			}
			return seenOf(c.rules.AlertsOf(target))
		}})
	return c
}

// seenOf is what the engine is shown of alerts, as far as the canary's needs it.
func seenOf(alerts []rules.Alert) (s engine.Snapshot) {
	for _, x := range alerts {
		s.Alerts = append(s.Alerts, incident.Alert{
			Rule: x.Rule, Severity: incident.Severity(x.Severity), Firing: x.State == rules.Firing,
			Verdict: incident.Verdict(x.Verdict), Reason: x.Reason,
			Value: x.Value, Bound: x.Bound, Above: x.Above, Source: x.SourceKind, ActiveAt: x.ActiveAt,
			EvaluatedAt: x.EvaluatedAt, Lookback: x.Lookback,
		})
	}
	return s
}

// run works until the test ends.
func (c *chain) run(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		c.rules.Run(ctx, func(targets []string) { c.engine.Wake(targets...) })
	})
	all.Go(func() {
		if err := c.engine.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	all.Go(func() { _ = c.outbox.Run(ctx) })
	all.Go(func() { _ = c.own.Run(ctx) })
	all.Go(func() { // the ledger answers, as it does every few seconds
		for ctx.Err() == nil {
			c.answered.Store(time.Now().UnixMilli())
			time.Sleep(5 * time.Second)
		}
	})
	t.Cleanup(func() { c.cut.Store(""); stop(); all.Wait() })
}

func (c *chain) fitness() string {
	reason, _ := c.own.fit()
	return reason
}

func TestACanaryFliesFromASampleToAReceiver_W16(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t)
		c.run(t)
		time.Sleep(time.Minute)
		synctest.Wait()
		if c.fitness() != "canary" {
			t.Errorf("a replica that does not lead is fit: %q", c.fitness())
		}
		c.leading.Store(true)
		time.Sleep(time.Hour)
		synctest.Wait()
		if r, why := c.own.fit(); r != "" {
			t.Errorf("not fit: %s: %s", r, why)
		}
		if n := failures(c); n != "" {
			t.Errorf("failed at %s", n)
		}
		if i := c.human.says(incident.Canary); i.ID != "" {
			t.Errorf("a person was told: %+v", i)
		}
		if len(c.shelf.saved) != 0 {
			t.Errorf("stored: %v", c.shelf.saved)
		}
		if x := c.rules.Alerts(); len(x) != 0 || len(c.rules.Unhealthy()) != 0 {
			t.Errorf("it is shown: %v", x)
		}
	})
}

func TestEachLinkThatIsCutIsFoundWithinTwoIntervals_W16(t *testing.T) {
	for _, link := range []string{"samples", "judge", "engine", "outbox"} {
		t.Run(link, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newChain(t)
				c.leading.Store(true)
				c.run(t)
				// Cut a moment after one arrived: the worst moment.
				time.Sleep(20*time.Minute + 2*time.Second)
				synctest.Wait()
				if r, why := c.own.fit(); r != "" {
					t.Fatalf("not fit before: %s: %s", r, why)
				}
				c.cut.Store(link)
				time.Sleep(2 * 5 * time.Minute)
				synctest.Wait()
				if got := failures(c); got != link {
					t.Errorf("found at %q", got)
				}
				if r := c.fitness(); r == "" {
					t.Error("the heart beats on")
				}
				own := c.human.says(incident.Self)
				if a, ok := own.Alert("canary"); !ok || !a.Firing || !own.Paged {
					t.Errorf("nobody was told: %+v", own)
				}
				c.cut.Store("")
				time.Sleep(3 * time.Minute)
				synctest.Wait()
				if r, why := c.own.fit(); r != "" {
					t.Errorf("it does not recover: %s: %s", r, why)
				}
				if own := c.human.says(incident.Self); own.Phase != incident.Resolved {
					t.Errorf("watchdog's own incident is %s", own.Phase)
				}
			})
		})
	}
}

// Reads that work are not enough: nobody is told of an incident that cannot be stored.
func TestALeaderThatCannotStoreIncidentsSendsNoHeartbeat_W16(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t)
		c.leading.Store(true)
		c.run(t)
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		c.unstored.Store("incident 01a1 could not be stored")
		if r, why := c.own.fit(); r != "store" || why != "incident 01a1 could not be stored" {
			t.Errorf("%s: %s", r, why)
		}
		c.unstored.Store("")
		if r, why := c.own.fit(); r != "" {
			t.Errorf("%s: %s", r, why)
		}
	})
}

// failures names the links at which canaries were lost.
func failures(c *chain) string {
	families, _ := c.registry.Gather()
	var all []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "watchdog_canary_failed_total" && m.GetCounter().GetValue() > 0 {
				all = append(all, m.GetLabel()[0].GetValue())
			}
		}
	}
	return strings.Join(all, ",")
}

func TestWhenNobodyCanBePaged_INV45(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	old, fresh := now.Add(-muteFor), now.Add(-muteFor+time.Second)
	for _, tc := range []struct {
		name    string
		pagers  []string
		failing map[string]time.Time
		mute    bool
	}{
		{"all is well", []string{"pagerduty"}, nil, false},
		{"it fails for long", []string{"pagerduty"}, map[string]time.Time{"pagerduty": old}, true},
		{"it fails, but not for long", []string{"pagerduty"}, map[string]time.Time{"pagerduty": fresh}, false},
		{"one of two works", []string{"pagerduty", "phone"}, map[string]time.Time{"pagerduty": old}, false},
		{"both fail", []string{"pagerduty", "phone"}, map[string]time.Time{"pagerduty": old, "phone": old}, true},
		{"what fails pages nobody", []string{"pagerduty"}, map[string]time.Time{"slack": old}, false},
		{"nobody was ever asked to page", nil, map[string]time.Time{"statuspage": old}, false},
	} {
		if why := unpaged(tc.pagers, tc.failing, now); (why != "") != tc.mute {
			t.Errorf("%s: %q", tc.name, why)
		}
	}
}

func TestThatNobodyCanBePagedIsToldByWhoStillHears_INV45(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t)
		pager := &ear{name: "pagerduty", cut: func() bool { return c.cut.Load() == "pager" }}
		all := []notify.Notifier{c.human, pager, c.own.Sink()}
		c.outbox.Replace(all)
		c.own.Use(notify.Pagers(all), 5*time.Minute, nil)
		c.leading.Store(true)
		c.run(t)
		time.Sleep(time.Minute)
		synctest.Wait()
		c.cut.Store("pager")
		c.outbox.Tell(incident.Incident{ID: "x", Target: incident.Target{Name: "shop"}, Severity: incident.P0,
			UpdatedAt: time.Now()})
		time.Sleep(muteFor + 30*time.Second)
		synctest.Wait()
		if testutil.ToFloat64(c.own.unpaged) != 1 || c.fitness() != "receivers" {
			t.Errorf("not noticed: %q", c.fitness())
		}
		if a, ok := c.human.says(incident.Self).Alert("cannot_page"); !ok || !a.Firing {
			t.Errorf("not told: %+v", c.human.says(incident.Self))
		}
		c.cut.Store("")
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if testutil.ToFloat64(c.own.unpaged) != 0 || c.fitness() != "" ||
			c.human.says(incident.Self).Phase != incident.Resolved {
			t.Errorf("not over: %q, %+v", c.fitness(), c.human.says(incident.Self))
		}
	})
}

// fileAndObjective are a group of a rule file and the groups of an objective, both over
// samples of the target shop.
func fileAndObjective(t *testing.T) (file, objective []rules.Group) {
	t.Helper()
	file, err := rules.ParseFile("queue.yaml",
		[]byte("groups: [{name: queue, rules: [{alert: QueueTooLong, expr: queue_length > 10}]}]"), rules.Local)
	if err != nil {
		t.Fatal(err)
	}
	return file, rules.SLO{Name: "orders", Objective: 0.99, Window: time.Hour, Bad: "orders_bad", All: "orders",
		Source: rules.Local, File: "watchdog.yaml"}.Groups()
}

// A group of a rule file, or of an objective, that is evaluated no more is a blind spot
// like thresholds that are not: the heartbeat ends.
func TestAGroupThatIsNotEvaluatedEndsTheHeartbeat_W16(t *testing.T) {
	file, objective := fileAndObjective(t)
	for name, groups := range map[string][]rules.Group{"a rule file": file, "an objective": objective} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newChain(t)
				if _, err := c.rules.Update(rules.Config{Thresholds: []rules.Threshold{CanaryRule()},
					Groups: groups}); err != nil {
					t.Fatal(err)
				}
				c.leading.Store(true)
				c.run(t)
				time.Sleep(31 * time.Minute)
				synctest.Wait()
				if r, why := c.own.fit(); r != "" {
					t.Fatalf("not fit before: %s: %s", r, why)
				}
				c.cut.Store("groups")
				time.Sleep((roundsMissed + 2) * 5 * time.Minute) // the longest interval of an objective is 5m
				synctest.Wait()
				if r, why := c.own.fit(); r != "evaluation" || !strings.Contains(why, groups[0].Name) {
					t.Errorf("not noticed: %q, %q", r, why)
				}
				c.cut.Store("")
				time.Sleep(11 * time.Minute)
				synctest.Wait()
				if r, why := c.own.fit(); r != "" {
					t.Errorf("it does not recover: %s: %s", r, why)
				}
			})
		})
	}
}

// While nobody leads, what rule files and objectives see is named beside what thresholds see.
func TestTheLeaderlessMessageNamesWhatAllRulesSee_INV45(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t)
		file, objective := fileAndObjective(t)
		load := rules.Threshold{Name: "load", Severity: "P2", Expr: "load", Above: true, Bound: 10, Clear: 10,
			Targets: []string{"shop"}}
		if _, err := c.rules.Update(rules.Config{Thresholds: []rules.Threshold{CanaryRule(), load},
			Groups: append(file, objective...)}); err != nil {
			t.Fatal(err)
		}
		c.run(t)
		for range 4 * 60 { // an hour in which all goes wrong: half of an objective's long window
			at := model.TimeFromUnixNano(time.Now().UnixNano())
			for _, name := range []model.LabelValue{"load", "queue_length", "orders", "orders_bad"} {
				c.samples.Append([]*model.Sample{{Metric: model.Metric{model.MetricNameLabel: name, "target": "shop"},
					Value: 11, Timestamp: at}})
			}
			time.Sleep(15 * time.Second)
		}
		synctest.Wait()
		c.own.Leaderless(time.Now(), "connection refused")
		time.Sleep(2 * time.Minute)
		c.own.Leaderless(time.Now(), "connection refused")
		synctest.Wait()
		for _, want := range []string{"shop: load", "shop: QueueTooLong", "shop: ErrorBudgetBurn"} {
			if told := c.human.says(incident.Self); !strings.Contains(told.PageReason, want) {
				t.Errorf("%s is not named: %s", want, told.PageReason)
			}
		}
	})
}
