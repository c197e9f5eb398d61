// Package controller does what maintenance windows ask for in the world, and knows which
// of them are in force.
//
// It owns the windows of the file and of the cluster, the silences that are made for them,
// their posts on the status page, and the account of what was held. Its one rule: what a
// window asked for ends with it, also if the process that did it is gone.
package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	"watchdog.io/watchdog/pkg/alertmanager"
	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/maintenance"
	"watchdog.io/watchdog/pkg/notify"
)

// Silencer makes, extends and ends silences by key; each call may be repeated.
type Silencer interface {
	Create(ctx context.Context, w alertmanager.Window) (alertmanager.Silence, error)
	Extend(ctx context.Context, key string, until time.Time) (alertmanager.Silence, error)
	Expire(ctx context.Context, key string) error
}

// Publisher posts on the status page. Maintain brings it up to date with the state
// (scheduled, in_progress, completed); it may be called again with the same.
type Publisher interface {
	Maintain(ctx context.Context, m notify.ScheduledMaintenance, state string) error
}

const (
	// silenceAhead is how long before its window a silence is made: Alertmanager
	// keeps it pending until then.
	silenceAhead = 5 * time.Minute
	// publicAhead is how long before its beginning a recurring window is posted.
	publicAhead = 24 * time.Hour
	// tendAgain is the pause after what failed; checkSilences is how soon a silence
	// is looked after although nothing changed.
	tendAgain     = 30 * time.Second
	checkSilences = 5 * time.Minute
)

// Controller does, as the leader, what windows ask for in the world: silences, the public
// page, and the account of what was held.
type Controller struct {
	log       *slog.Logger
	now       func() time.Time
	windows   *Windows
	incidents func() []incident.Incident
	save      func(ctx context.Context, name, version string, st maintenance.Status) (string, error)

	mu      sync.Mutex
	public  Publisher // nil: there is no status page
	client  Silencer  // nil: there is no Alertmanager
	targets map[string]engine.TargetSetup

	// Of the one goroutine that tends.
	made  map[string]madeSilence         // by key
	told  map[string]toldPublic          // by key
	pages map[string]maintenance.Account // by name, of recurring windows
	later map[string]time.Time           // by key: not before
}

type madeSilence struct {
	id    string
	until time.Time
	at    time.Time // when it was last looked after
}

type toldPublic struct {
	m     notify.ScheduledMaintenance
	state string
}

// New returns a controller of the windows w. It does nothing before Run.
func New(log *slog.Logger, now func() time.Time, w *Windows) *Controller {
	return &Controller{log: log, now: now, windows: w, made: map[string]madeSilence{}, told: map[string]toldPublic{},
		pages: map[string]maintenance.Account{}, later: map[string]time.Time{}}
}

// Serve says where the incidents are known and a window's status is saved.
func (t *Controller) Serve(incidents func() []incident.Incident,
	save func(ctx context.Context, name, version string, st maintenance.Status) (string, error)) {
	t.incidents, t.save = incidents, save
}

// Use takes the Alertmanager, the public page and the targets of a configuration.
func (t *Controller) Use(c Silencer, p Publisher, targets map[string]engine.TargetSetup) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.client, t.public, t.targets = c, p, targets
}

// page is the status page in use.
func (t *Controller) page() Publisher {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.public
}

// Reconcile brings everything up to date once.
func (t *Controller) Reconcile(ctx context.Context) {
	file, _, stored := t.windows.all()
	now, all := t.now(), t.incidents()
	held := map[string]int{}
	wanted := map[string]bool{} // keys of silences
	for _, s := range stored {
		next := s.Status
		w, err := s.Spec.Window(s.Name, s.Status)
		if err != nil {
			next.Problem = "the window has no effect: " + err.Error()
			t.store(ctx, s, next)
			continue
		}
		next.Phase = w.PhaseAt(now)
		if next.First.IsZero() {
			next.First = w.Until
		}
		next.Pages = account(next.Pages, w, next.Phase, all)
		held[w.Name] = len(next.Pages.Held)
		ids, err1 := t.silence(ctx, w, "maintenance/"+w.Name, w.From, w.Until, len(s.Status.Silences) > 0, wanted)
		if len(ids) == 0 && len(s.Status.Silences) > 0 && err1 == nil {
			err1 = t.expire(ctx, "maintenance/"+w.Name) // of a leader before this one, too
		}
		if err1 == nil || len(ids) > 0 {
			next.Silences = ids
		}
		state, err2 := t.publish(ctx, w, "maintenance/"+w.Name, next.Phase, w.From, w.Until, s.Status.Public)
		next.Public = state
		next.Problem = problem(err1, err2)
		t.store(ctx, s, next)
	}
	for _, w := range file {
		begin, end := w.Span(now)
		phase := w.PhaseAt(now)
		if w.Page == maintenance.PageHold {
			t.pages[w.Name] = account(t.pages[w.Name], w, phase, all)
			held[w.Name] = len(t.pages[w.Name].Held)
		}
		if begin.IsZero() || end.IsZero() {
			continue
		}
		key := "maintenance/" + w.Name + "/" + begin.UTC().Format("20060102T150405Z")
		_, err1 := t.silence(ctx, w, key, begin, end, false, wanted)
		_, err2 := t.publish(ctx, w, key, phase, begin, end, "")
		if text := problem(err1, err2); text != "" {
			t.log.Warn("maintenance window", "window", w.Name, "problem", text)
		}
	}
	for key, m := range t.made {
		if wanted[key] {
			continue
		}
		if !now.Before(m.until) || t.expireOne(ctx, key) == nil {
			delete(t.made, key)
		}
	}
	t.over(ctx, now)
	t.windows.holds(held)
}

func problem(errs ...error) string {
	var all []string
	for _, err := range errs {
		if err != nil {
			all = append(all, err.Error())
		}
	}
	return strings.Join(all, "; ")
}

// store writes what changed of a window's status. Who loses to another writer does it
// with the next look.
func (t *Controller) store(ctx context.Context, s kube.StoredWindow, next maintenance.Status) {
	was := s.Status
	if was.Phase == next.Phase && was.First.Equal(next.First) && slices.Equal(was.Silences, next.Silences) &&
		was.Public == next.Public && was.Problem == next.Problem && was.Pages.Equal(next.Pages) {
		return
	}
	if _, err := t.save(ctx, s.Name, s.Version, next); err != nil {
		t.log.Debug("could not store the status of a maintenance window; will retry", "window", s.Name, "err", err)
		return
	}
	if was.Phase != next.Phase {
		t.log.Info("maintenance window", "window", s.Name, "phase", next.Phase)
	}
}

// account follows what a window holds. Once it is over it takes on nothing more.
func account(was maintenance.Account, w maintenance.Window, phase maintenance.Phase,
	all []incident.Incident) maintenance.Account {
	if w.Page != maintenance.PageHold {
		return was
	}
	resolved := map[string]bool{}
	var held []string
	for _, i := range all {
		resolved[i.ID] = i.Phase == incident.Resolved
		if !w.Covers(i.Target.Name) || !unheard(i) {
			continue
		}
		if phase == maintenance.Active || slices.Contains(was.Held, i.ID) {
			held = append(held, i.ID)
		}
	}
	return was.Next(held, func(id string) bool {
		over, known := resolved[id]
		return over || !known // one that is gone was resolved long ago
	})
}

// unheard reports whether there was no notification of the incident because its target is in
// maintenance.
func unheard(i incident.Incident) bool {
	if i.Phase == incident.Resolved || i.Maintenance.Held == "" || i.Silenced() == "" {
		return false
	}
	for _, r := range i.Receipts {
		if r.Ref != "" || r.State != "" {
			return false
		}
	}
	return true
}

// silence sees to the silences of a window's span and returns their ids. There were
// some before if a leader before this one has made them.
func (t *Controller) silence(ctx context.Context, w maintenance.Window, key string, begin, end time.Time, before bool,
	wanted map[string]bool) ([]string, error) {
	now := t.now()
	phase := w.PhaseAt(now)
	if !w.Silence || phase != maintenance.Active && (phase != maintenance.Scheduled || begin.Sub(now) > silenceAhead) {
		return nil, nil
	}
	t.mu.Lock()
	client, targets := t.client, t.targets
	t.mu.Unlock()
	if client == nil {
		return nil, fmt.Errorf("no silence created: alertmanager.silences is not configured")
	}
	var ids []string
	var gone error
	for name, m := range matchers(w, targets) {
		key := key + "/" + name
		wanted[key] = true
		had, ok := t.made[key]
		if !ok || !had.until.Equal(end) || now.Sub(had.at) >= checkSilences {
			if now.Before(t.later[key]) {
				continue
			}
			s, err := t.make(ctx, client, alertmanager.Window{Key: key, Comment: comment(w), Matchers: m,
				StartsAt: begin, EndsAt: end}, ok || before, now)
			if err != nil && !errors.Is(err, alertmanager.ErrNone) {
				t.later[key] = now.Add(tendAgain)
				return nil, err
			}
			delete(t.later, key)
			had = madeSilence{id: s.ID, until: end, at: now}
			t.made[key] = had
		}
		if had.id == "" {
			gone = fmt.Errorf("silence %s is gone (expired manually or lost by Alertmanager); it is not recreated",
				key)
			continue
		}
		ids = append(ids, had.id)
	}
	slices.Sort(ids)
	return ids, gone
}

// make sees to it that one silence is there and ends with the window. One that was there
// before and is gone was expired by somebody: it is not recreated, and the error is ErrNone.
func (t *Controller) make(ctx context.Context, c Silencer, w alertmanager.Window, before bool,
	now time.Time) (s alertmanager.Silence, err error) {
	if !w.StartsAt.After(now) {
		w.StartsAt = time.Time{}
	}
	if before {
		s, err = c.Extend(ctx, w.Key, w.EndsAt)
	} else {
		s, err = c.Create(ctx, w)
	}
	switch late := s.EndsAt.Sub(w.EndsAt); {
	case err != nil:
		return alertmanager.Silence{}, err
	case late < -time.Second: // a leader before this one has made it, for a shorter time
		return c.Extend(ctx, w.Key, w.EndsAt)
	case late > time.Second: // the window was made shorter
		if err := c.Expire(ctx, w.Key); err != nil {
			return alertmanager.Silence{}, err
		}
		return c.Create(ctx, w)
	}
	return s, nil
}

func comment(w maintenance.Window) string {
	text := "maintenance window " + w.Name
	if w.By != "" {
		text += " by " + w.By
	}
	if w.Reason != "" {
		text += ": " + w.Reason
	}
	return text
}

// silenceNames are the silences that a window has at most.
var silenceNames = []string{"targets", "namespaces"}

// matchers are what a window's silences match: alerts that name one of its targets, and
// of namespaces in which it covers every target, those that name none.
func matchers(w maintenance.Window, targets map[string]engine.TargetSetup) map[string]labels.Matchers {
	var names []string
	whole := map[string]bool{}
	for name, ts := range targets {
		ns := ts.Target.Namespace
		if _, seen := whole[ns]; !seen {
			whole[ns] = true
		}
		if w.Covers(name) {
			names = append(names, regexp.QuoteMeta(name))
		} else {
			whole[ns] = false
		}
	}
	all := map[string]labels.Matchers{}
	if len(names) == 0 {
		return all
	}
	slices.Sort(names)
	if m, err := labels.NewMatcher(labels.MatchRegexp, "target", strings.Join(names, "|")); err == nil {
		all["targets"] = labels.Matchers{m}
	}
	var spaces []string
	for ns, full := range whole {
		if full && ns != "" {
			spaces = append(spaces, regexp.QuoteMeta(ns))
		}
	}
	if slices.Sort(spaces); len(spaces) > 0 {
		m, err1 := labels.NewMatcher(labels.MatchRegexp, "namespace", strings.Join(spaces, "|"))
		none, err2 := labels.NewMatcher(labels.MatchEqual, "target", "")
		if err1 == nil && err2 == nil {
			all["namespaces"] = labels.Matchers{m, none}
		}
	}
	return all
}

// expire ends all silences of a window.
func (t *Controller) expire(ctx context.Context, key string) error {
	for _, name := range silenceNames {
		if err := t.expireOne(ctx, key+"/"+name); err != nil {
			return err
		}
		delete(t.made, key+"/"+name)
	}
	return nil
}

func (t *Controller) expireOne(ctx context.Context, key string) error {
	t.mu.Lock()
	c := t.client
	t.mu.Unlock()
	if c == nil {
		return nil // the one that had it is gone from the configuration
	}
	if t.now().Before(t.later[key]) {
		return fmt.Errorf("silence %s has not expired yet", key)
	}
	err := c.Expire(ctx, key)
	if delete(t.later, key); err != nil {
		t.later[key] = t.now().Add(tendAgain)
	}
	return err
}

// publish posts a window's span on the status page, if it changed, and returns the state
// posted last.
func (t *Controller) publish(ctx context.Context, w maintenance.Window, key string, phase maintenance.Phase, begin,
	end time.Time, was string) (string, error) {
	if w.Public == nil || t.page() == nil {
		return was, nil
	}
	now := t.now()
	state := map[maintenance.Phase]string{maintenance.Scheduled: "scheduled", maintenance.Active: "in_progress",
		maintenance.Overrun: "in_progress", maintenance.Ended: "completed"}[phase]
	if w.Recurs != nil && phase == maintenance.Scheduled && begin.Sub(now) > publicAhead {
		return was, nil
	}
	next := toldPublic{notify.ScheduledMaintenance{Key: key, Name: w.Public.Name, Body: w.Public.Body, From: begin,
		Until: end, Targets: w.Targets}, state}
	had, told := t.told[key]
	switch {
	case told && same(had, next), now.Before(t.later["public/"+key]):
		return was, nil
	case state == "completed" && (was == "completed" || was == "" && !told):
		return was, nil // it was never posted, or posted as completed
	}
	return t.announce(ctx, next, was)
}

func (t *Controller) announce(ctx context.Context, next toldPublic, was string) (string, error) {
	later := "public/" + next.m.Key
	if err := t.page().Maintain(ctx, next.m, next.state); err != nil {
		t.later[later] = t.now().Add(tendAgain)
		return was, fmt.Errorf("could not set the status page to %s: %w", next.state, err)
	}
	delete(t.later, later)
	t.told[next.m.Key] = next
	return next.state, nil
}

// same reports whether two posts are equal.
func same(a, b toldPublic) bool {
	return a.state == b.state && a.m.Name == b.m.Name && a.m.Body == b.m.Body && a.m.From.Equal(b.m.From) &&
		a.m.Until.Equal(b.m.Until) && slices.Equal(a.m.Targets, b.m.Targets)
}

// over posts the end of recurring windows, and forgets them.
func (t *Controller) over(ctx context.Context, now time.Time) {
	for _, key := range slices.Sorted(maps.Keys(t.told)) {
		had := t.told[key]
		recurs := strings.Count(key, "/") > 1
		if !recurs || now.Before(had.m.Until) || now.Before(t.later["public/"+key]) {
			continue
		}
		if had.state != "completed" {
			had.state = "completed"
			if _, err := t.announce(ctx, had, ""); err != nil {
				t.log.Warn("maintenance window", "key", key, "problem", err)
				continue
			}
		}
		delete(t.told, key)
	}
}
