package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/alertmanager"
	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/maintenance"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/timeinterval"
)

// peers is an Alertmanager as its client shows it: silences by key.
type peers struct {
	now   func() time.Time
	byKey map[string]alertmanager.Silence
	made  int
	calls int
	down  bool
}

var errPeers = errors.New("no peer answers")

func (p *peers) call() error {
	if p.calls++; p.down {
		return errPeers
	}
	for key, s := range p.byKey {
		if !p.now().Before(s.EndsAt) {
			delete(p.byKey, key)
		}
	}
	return nil
}

func (p *peers) Create(_ context.Context, w alertmanager.Window) (alertmanager.Silence, error) {
	if err := p.call(); err != nil {
		return alertmanager.Silence{}, err
	}
	if s, ok := p.byKey[w.Key]; ok {
		return s, nil
	}
	p.made++
	s := alertmanager.Silence{ID: fmt.Sprint("s", p.made), Matchers: w.Matchers, StartsAt: w.StartsAt, EndsAt: w.EndsAt,
		Comment: w.Comment}
	p.byKey[w.Key] = s
	return s, nil
}

func (p *peers) Extend(_ context.Context, key string, until time.Time) (alertmanager.Silence, error) {
	if err := p.call(); err != nil {
		return alertmanager.Silence{}, err
	}
	s, ok := p.byKey[key]
	if !ok {
		return s, alertmanager.ErrNone
	}
	if until.After(s.EndsAt) {
		s.EndsAt = until
	}
	p.byKey[key] = s
	return s, nil
}

func (p *peers) Expire(_ context.Context, key string) error {
	if err := p.call(); err != nil {
		return err
	}
	delete(p.byKey, key)
	return nil
}

// page is a status page that remembers what it was told.
type page struct {
	told []string
	down bool
}

func (p *page) Maintain(_ context.Context, m notify.ScheduledMaintenance, state string) error {
	if p.down {
		return errors.New("500")
	}
	p.told = append(p.told, fmt.Sprintf("%s %s %s until %s", m.Key, state, m.Name, m.Until.Format("15:04")))
	return nil
}

// ward is a leader over a cluster of its own.
type ward struct {
	*Controller
	t         *testing.T
	clock     *hand
	stored    map[string]kube.StoredWindow
	peers     *peers
	page      *page
	incidents []incident.Incident
}

func newWard(t *testing.T) *ward {
	d := &ward{t: t, clock: &hand{noon}, stored: map[string]kube.StoredWindow{}, page: &page{}}
	d.peers = &peers{now: d.clock.now, byKey: map[string]alertmanager.Silence{}}
	d.lead()
	return d
}

// lead begins with another leader, which knows nothing but what is stored.
func (d *ward) lead() {
	var file []maintenance.Window
	if d.Controller != nil {
		file = d.windows.file
	}
	w := NewWindows(slog.New(slog.DiscardHandler), d.clock.now)
	targets := map[string]engine.TargetSetup{}
	for name, ns := range map[string]string{"shop": "shop", "cart": "shop", "mail": "post"} {
		targets[name] = engine.TargetSetup{Target: incident.Target{Name: name, Namespace: ns}}
	}
	w.Use(file, slices.Sorted(maps.Keys(targets)))
	d.Controller = New(slog.New(slog.DiscardHandler), d.clock.now, w)
	d.Use(d.peers, nil, targets)
	d.public = d.page
	d.Controller.incidents = func() []incident.Incident { return d.incidents }
	d.save = func(_ context.Context, name, version string, st maintenance.Status) (string, error) {
		s := d.stored[name]
		if s.Version != version {
			return "", incident.ErrConflict
		}
		s.Status, s.Version = st, version+"1"
		d.stored[name] = s
		return s.Version, nil
	}
}

// after lets time pass, looks, and tends.
func (d *ward) after(span time.Duration) *ward {
	d.clock.at = d.clock.at.Add(span)
	d.windows.Take(slices.Collect(maps.Values(d.stored)), nil, nil)
	d.Reconcile(d.t.Context())
	return d
}

func (d *ward) change(name string, f func(*maintenance.Spec)) *ward {
	s := d.stored[name]
	f(&s.Spec)
	s.Version += "p"
	d.stored[name] = s
	return d
}

func (d *ward) silences() string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(d.peers.byKey)) {
		s := d.peers.byKey[key]
		if !d.clock.at.Before(s.EndsAt) {
			continue
		}
		all = append(all, fmt.Sprintf("%s %s until %s", key, s.Matchers, s.EndsAt.Format("15:04")))
	}
	return strings.Join(all, "; ")
}

func (d *ward) want(what, silences string) {
	d.t.Helper()
	if got := d.silences(); got != silences {
		d.t.Errorf("%s: %s\nwant %s", what, got, silences)
	}
}

func loud(name string, from, until time.Duration, targets ...string) kube.StoredWindow {
	s := storedWindow(name, noon.Add(from), noon.Add(until), holdAll, targets...)
	s.Spec.Silence = true
	return s
}

func TestASilenceFollowsItsWindow(t *testing.T) {
	d := newWard(t)
	d.stored["db"] = loud("db", 10*time.Minute, time.Hour, "shop")
	d.after(0).want("long before it", "")
	d.after(6*time.Minute).want("soon", `maintenance/db/targets {target=~"shop"} until 13:00`)
	if s := d.stored["db"].Status; s.Phase != maintenance.Scheduled || fmt.Sprint(s.Silences) != "[s1]" ||
		!s.First.Equal(noon.Add(time.Hour)) {
		t.Errorf("%+v", s)
	}
	calls := d.peers.calls
	d.after(5 * time.Second)
	if d.peers.calls != calls {
		t.Error("Alertmanager is asked although nothing changed")
	}
	d.lead()
	d.after(10 * time.Minute)
	if d.peers.made != 1 || d.stored["db"].Status.Phase != maintenance.Active {
		t.Errorf("another leader made %d silences; %s", d.peers.made, d.stored["db"].Status.Phase)
	}
	d.change("db", func(s *maintenance.Spec) { s.Until = s.Until.Add(time.Hour) }).after(time.Minute).want("extended",
		`maintenance/db/targets {target=~"shop"} until 14:00`)
	d.change("db", func(s *maintenance.Spec) { s.Until = s.Until.Add(-30 * time.Minute) }).after(time.Minute).want("made shorter",
		`maintenance/db/targets {target=~"shop"} until 13:30`)
	d.lead()
	d.change("db", func(s *maintenance.Spec) { s.Ended = &maintenance.Word{At: d.clock.at} }).
		after(time.Minute).want("ended under another leader", "")
	if s := d.stored["db"].Status; len(s.Silences) != 0 || s.Phase != maintenance.Ended || s.Problem != "" {
		t.Errorf("%+v", s)
	}
	made, calls := d.peers.made, d.peers.calls
	d.after(time.Minute).after(time.Hour)
	if d.peers.made != made || d.peers.calls != calls {
		t.Error("a window that has ended is seen to again")
	}
}

// Who ends a window's silence at Alertmanager wins, also over another leader.
func TestASilenceThatAPersonEndedIsNotMadeAgain(t *testing.T) {
	d := newWard(t)
	d.stored["db"] = loud("db", 0, time.Hour, "shop")
	d.after(time.Second)
	clear(d.peers.byKey)
	d.after(checkSilences).want("looked after", "")
	d.lead()
	d.after(time.Second).want("by another leader", "")
	d.change("db", func(s *maintenance.Spec) { s.Until = s.Until.Add(time.Hour) }).after(checkSilences).want("extended",
		"")
	if s := d.stored["db"].Status; !strings.Contains(s.Problem,
		"silence maintenance/db/targets is gone (expired manually") {
		t.Errorf("%+v", s)
	}
	d.change("db", func(s *maintenance.Spec) { s.Ended = &maintenance.Word{At: d.clock.at} }).after(time.Second)
	if s := d.stored["db"].Status; len(s.Silences) != 0 || s.Problem != "" {
		t.Errorf("%+v", s)
	}
}

func TestASilenceOfAWindowThatIsGoneIsEnded(t *testing.T) {
	d := newWard(t)
	d.stored["db"] = loud("db", 0, time.Hour, "shop")
	d.after(time.Minute)
	delete(d.stored, "db")
	d.after(time.Minute).want("deleted", "")
}

func TestWhichAlertsAWindowSilences(t *testing.T) {
	for name, c := range map[string]struct {
		targets []string
		want    string
	}{
		"one of a namespace": {[]string{"shop"}, `maintenance/x/targets {target=~"shop"} until 13:00`},
		"a whole namespace": {[]string{"shop", "cart"},
			`maintenance/x/namespaces {namespace=~"shop",target=""} until 13:00; maintenance/x/targets {target=~"cart|shop"} until 13:00`},
		"everything": {nil,
			`maintenance/x/namespaces {namespace=~"post|shop",target=""} until 13:00; maintenance/x/targets ` +
				`{target=~"cart|mail|shop"} until 13:00`},
		"a target that is none": {[]string{"gone"}, ""},
	} {
		d := newWard(t)
		d.stored["x"] = loud("x", 0, time.Hour, c.targets...)
		d.after(0).want(name, c.want)
	}
}

func TestAnAlertmanagerThatDoesNotAnswerIsAskedAgain(t *testing.T) {
	d := newWard(t)
	d.stored["db"] = loud("db", 0, time.Hour, "shop")
	d.peers.down = true
	d.after(time.Second)
	if s := d.stored["db"].Status; !strings.Contains(s.Problem, "no peer answers") {
		t.Errorf("%+v", s)
	}
	calls := d.peers.calls
	d.after(5 * time.Second)
	if d.peers.calls != calls {
		t.Error("no pause")
	}
	d.peers.down = false
	d.after(tendAgain).want("back", `maintenance/db/targets {target=~"shop"} until 13:00`)
	if s := d.stored["db"].Status; s.Problem != "" {
		t.Errorf("%+v", s)
	}
	d.peers.down = true
	d.change("db", func(s *maintenance.Spec) { s.Ended = &maintenance.Word{At: d.clock.at} }).after(time.Second)
	if s := d.stored["db"].Status; len(s.Silences) != 1 || s.Problem == "" {
		t.Errorf("not ended, and %+v", s)
	}
	d.peers.down = false
	d.after(tendAgain).want("ended", "")
	if s := d.stored["db"].Status; len(s.Silences) != 0 || s.Problem != "" {
		t.Errorf("%+v", s)
	}
}

func recurring(t *testing.T) maintenance.Window {
	t.Helper()
	c, err := timeinterval.New([]timeinterval.Interval{{Times: []timeinterval.Times{{StartTime: "13:00",
		EndTime: "14:00"}}}})
	if err != nil {
		t.Fatal(err)
	}
	return maintenance.Window{Name: "nightly", Recurs: c, Targets: []string{"shop"}, Silence: true,
		Public: &maintenance.Public{Name: "Database maintenance"}}
}

func TestEachTimeOfARecurringWindowIsItsOwn(t *testing.T) {
	d := newWard(t)
	d.windows.Use([]maintenance.Window{recurring(t)}, []string{"shop"})
	d.after(0).want("an hour before", "")
	d.after(58*time.Minute).want("soon", `maintenance/nightly/20260301T130000Z/targets {target=~"shop"} until 14:00`)
	d.after(30 * time.Minute)
	d.after(time.Hour).want("over", "")
	d.after(23*time.Hour).want("a day later",
		`maintenance/nightly/20260302T130000Z/targets {target=~"shop"} until 14:00`)
	want := []string{
		"maintenance/nightly/20260301T130000Z scheduled Database maintenance until 14:00",
		"maintenance/nightly/20260301T130000Z in_progress Database maintenance until 14:00",
		"maintenance/nightly/20260302T130000Z scheduled Database maintenance until 14:00",
		"maintenance/nightly/20260301T130000Z completed Database maintenance until 14:00",
		"maintenance/nightly/20260302T130000Z in_progress Database maintenance until 14:00",
	}
	if !slices.Equal(d.page.told, want) {
		t.Errorf("the public was told\n%s", strings.Join(d.page.told, "\n"))
	}
}

func TestThePublicHearsOfEachChangeOnce(t *testing.T) {
	d := newWard(t)
	s := storedWindow("db", noon.Add(time.Hour), noon.Add(2*time.Hour), holdAll, "shop")
	s.Spec.Public = &maintenance.Public{Name: "Database maintenance", Body: "Orders may be slow."}
	d.stored["db"] = s
	quiet := storedWindow("quiet", noon, noon.Add(time.Hour), holdAll)
	d.stored["quiet"] = quiet
	d.page.down = true
	d.after(0)
	if st := d.stored["db"].Status; st.Public != "" || !strings.Contains(st.Problem,
		"could not set the status page to scheduled: 500") {
		t.Errorf("%+v", st)
	}
	d.page.down = false
	d.after(tendAgain).after(time.Second)
	d.after(time.Hour).after(time.Second)
	d.change("db", func(s *maintenance.Spec) { s.Until = s.Until.Add(time.Hour) }).after(time.Second)
	d.after(2 * time.Hour) // overrun: the work is not over
	d.change("db", func(s *maintenance.Spec) { s.Ended = &maintenance.Word{At: d.clock.at} }).after(time.Second)
	d.lead()
	d.after(time.Minute)
	want := []string{
		"maintenance/db scheduled Database maintenance until 14:00", "maintenance/db in_progress Database " +
			"maintenance until 14:00",
		"maintenance/db in_progress Database maintenance until 15:00", "maintenance/db completed Database " +
			"maintenance until 15:00",
	}
	if !slices.Equal(d.page.told, want) {
		t.Errorf("the public was told\n%s", strings.Join(d.page.told, "\n"))
	}
	if st := d.stored["db"].Status; st.Public != "completed" {
		t.Errorf("%+v", st)
	}
	if d.public = nil; d.after(time.Second) == nil {
		t.Error("without a status page")
	}
}

func TestTheAccountOfAWindowOutlivesItsLeader(t *testing.T) {
	d := newWard(t)
	d.stored["db"] = storedWindow("db", noon, noon.Add(time.Hour), holdAll, "shop")
	bad := func(id, target string) incident.Incident {
		return incident.Incident{ID: id, Target: incident.Target{Name: target}, Phase: incident.Open,
			Alerts:      []incident.Alert{{Rule: "down", Firing: true}},
			Maintenance: incident.Maintenance{Window: "w", Held: "w"}}
	}
	told := bad("i3", "shop")
	told.Receipts = map[string]incident.Receipt{"slack": {Ref: "1"}}
	d.incidents = []incident.Incident{bad("i1", "shop"), bad("i2", "shop"), told, bad("i4", "mail")}
	d.after(time.Minute)
	if p := d.stored["db"].Status.Pages; fmt.Sprint(p.Held) != "[i1 i2]" || d.windows.held["db"] != 2 {
		t.Errorf("%+v", p)
	}
	d.lead()
	d.incidents[0].Phase = incident.Resolved
	d.after(time.Minute)
	d.clock.at = noon.Add(time.Hour)
	d.incidents[1].Maintenance = incident.Maintenance{}
	d.after(time.Second)
	if p := d.stored["db"].Status.Pages; len(p.Held) != 0 || p.Resolved != 1 || p.Delivered != 1 {
		t.Errorf("%+v", p)
	}
	if d.stored["db"].Status.Phase != maintenance.Overrun {
		t.Error(d.stored["db"].Status.Phase)
	}
}

// One window is over and another still holds the page: it was not delivered.
func TestAPageThatAnotherWindowHoldsIsStillHeld(t *testing.T) {
	i := incident.Incident{ID: "i1", Target: incident.Target{Name: "shop"}, Phase: incident.Open,
		Alerts:      []incident.Alert{{Rule: "down", Firing: true}},
		Maintenance: incident.Maintenance{Window: "w", Held: "w"}}
	w := maintenance.Window{Name: "db", Effects: holdAll}
	a := account(maintenance.Account{}, w, maintenance.Active, []incident.Incident{i})
	if a = account(a, w, maintenance.Ended, []incident.Incident{i}); len(a.Held) != 1 || a.Delivered != 0 {
		t.Errorf("%+v", a)
	}
	if b := account(maintenance.Account{}, w, maintenance.Ended, []incident.Incident{i}); b.All() != 0 {
		t.Errorf("a window that is over takes on pages: %+v", b)
	}
	i.Maintenance = incident.Maintenance{}
	if a = account(a, w, maintenance.Ended, []incident.Incident{i}); len(a.Held) != 0 || a.Delivered != 1 {
		t.Errorf("%+v", a)
	}
}

func TestAWindowThatMakesNoSenseSaysSo(t *testing.T) {
	d := newWard(t)
	d.stored["db"] = storedWindow("db", noon, noon.Add(-time.Hour), holdAll)
	d.after(0)
	if s := d.stored["db"].Status; !strings.Contains(s.Problem,
		"the window has no effect: until 2026-03-01T11:00:00Z is not after from") {
		t.Errorf("%+v", s)
	}
}
