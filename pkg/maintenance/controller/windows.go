package controller

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/maintenance"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

const (
	// Look is how often the cluster is asked for maintenance windows.
	Look = 5 * time.Second
	// FirstLook is how long a new process waits for them before it leads: what is
	// held back would else be told.
	FirstLook = 10 * time.Second
)

// Windows knows the maintenance windows: those of the file, and those of the cluster
// as they were last read. A window that is once ends by the clock, also while the API
// server does not answer.
type Windows struct {
	log    *slog.Logger
	now    func() time.Time
	looked chan struct{} // closed once the first look is over, well or not
	once   sync.Once
	was    string // what was in force at the last look

	mu       sync.Mutex
	file     []maintenance.Window
	stored   []kube.StoredWindow
	cluster  []maintenance.Window
	present  maintenance.Present
	targets  []string        // sorted
	excluded map[string]bool // targets whose time was excluded since the process began
	held     map[string]int  // by window: pages that it holds, as the leader knows
	since    map[string]time.Time
	failing  bool
	odd      string
}

// NewWindows returns windows that know nothing yet.
func NewWindows(log *slog.Logger, now func() time.Time) *Windows {
	return &Windows{log: log, now: now, looked: make(chan struct{}), excluded: map[string]bool{},
		held: map[string]int{}, since: map[string]time.Time{}}
}

// Use takes the windows and the targets of a configuration.
func (w *Windows) Use(file []maintenance.Window, targets []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.file, w.targets, w.present = file, targets, maintenance.Present{}
}

// Take takes what the cluster said. On an error, what was last known stays.
func (w *Windows) Take(stored []kube.StoredWindow, odd, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.once.Do(func() { close(w.looked) })
	if err != nil {
		if !w.failing {
			w.log.Warn("could not read maintenance windows from the cluster; the last known ones apply until they end", "known",
				len(w.cluster), "err", err)
		}
		w.failing = true
		return
	}
	w.failing = false
	if said := text(odd); said != w.odd {
		if w.odd = said; said != "" {
			w.log.Warn("some maintenance windows have no effect", "err", odd)
		}
	}
	w.stored, w.cluster = stored, nil
	for _, s := range stored {
		if x, err := s.Spec.Window(s.Name, s.Status); err == nil {
			w.cluster = append(w.cluster, x)
		}
	}
	w.present = maintenance.Present{}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Look takes what the cluster has of windows now, and returns the targets of those in force
// if that is something else than at the look before. One goroutine calls it.
func (w *Windows) Look(ctx context.Context, read func(context.Context) (stored []kube.StoredWindow, odd,
	err error)) (news []string) {
	stored, odd, err := read(ctx)
	if ctx.Err() != nil {
		return nil
	}
	w.Take(stored, odd, err)
	p, targets := w.Active()
	is := ""
	for _, n := range p.Active {
		is += n.Name + n.String() + n.Effects.String()
	}
	if is == w.was {
		return nil
	}
	w.was = is
	return targets
}

// Await returns when the cluster was asked for the first time, or after the given time.
func (w *Windows) Await(ctx context.Context, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	select {
	case <-ctx.Done():
	case <-w.looked:
	}
}

// all returns every window, and those stored as they were read.
func (w *Windows) all() (file, cluster []maintenance.Window, stored []kube.StoredWindow) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.file, w.cluster, w.stored
}

// Active are the windows that are active now, and the configuration's targets.
func (w *Windows) Active() (maintenance.Present, []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.presently(), w.targets
}

// presently is the present; w.mu is held.
func (w *Windows) presently() maintenance.Present {
	if now := w.now(); !w.present.Holds(now) {
		w.present = maintenance.At(slices.Concat(w.file, w.cluster), now)
	}
	return w.present
}

// of returns what the windows mean for a target.
func (w *Windows) of(target string) maintenance.State {
	p, targets := w.Active()
	if _, is := slices.BinarySearch(targets, target); !is || len(p.Active) == 0 {
		return maintenance.State{Remediate: maintenance.RemediateNormal} // what is no target is in no window
	}
	return p.Of(target)
}

// Mean returns what the windows mean for a target, for the core and the guards.
func (w *Windows) Mean(target string) (m incident.Maintenance, s remediate.Suspension) {
	state := w.of(target)
	if state.In != nil {
		m.Window = state.In.String()
	}
	if state.Held != nil {
		m.Held = state.Held.String()
	}
	if state.Suspended != nil {
		s = remediate.Suspension{From: incident.C2, Why: state.Suspended.Left(w.now()), Until: state.Suspended.End}
		if state.Remediate == maintenance.RemediateSafe {
			s.From = incident.C3
		}
	}
	return m, s
}

// Expected reports whether trouble of a target is expected: nobody is told of it and
// nothing is done. It says nothing of the others then.
func (w *Windows) Expected(target string) bool {
	s := w.of(target)
	return s.Held != nil && s.Remediate == maintenance.RemediateOff
}

// Samples say whose time is excluded from error budgets. One whose time no longer is
// gets a 0, so that the last 1 is not taken for the present.
func (w *Windows) Samples() []*model.Sample {
	at := model.TimeFromUnixNano(w.now().UnixNano())
	p, targets := w.Active()
	var all []*model.Sample
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range targets {
		out := p.Of(t).Excluded
		if !out && !w.excluded[t] {
			continue
		}
		w.excluded[t] = true
		value := model.SampleValue(0)
		if out {
			value = 1
		}
		all = append(all, &model.Sample{Metric: model.Metric{model.MetricNameLabel: rules.SLOExcluded,
			"target": model.LabelValue(t)}, Value: value, Timestamp: at})
	}
	return all
}

// Alarms are the alerts on windows that take longer than was meant, part of watchdog's
// own incident. hold returns by what a target is kept on hold.
func (w *Windows) Alarms(hold func(target string) string) []incident.Alert {
	_, cluster, _ := w.all()
	now := w.now()
	found := maintenance.Check(cluster, now, hold)
	w.mu.Lock()
	defer w.mu.Unlock()
	rule := func(name string, severity incident.Severity, text string, ladder ...incident.Rung) incident.Alert {
		a := incident.Alert{Rule: name, Severity: severity, Verdict: incident.OK, Reason: "no longer firing", Source: "watchdog",
			EvaluatedAt: now, Ladder: ladder}
		if text == "" {
			delete(w.since, name)
			return a
		}
		if w.since[name].IsZero() {
			w.since[name] = now
		}
		a.Firing, a.Verdict, a.Reason, a.ActiveAt = true, incident.Breach, text, w.since[name]
		return a
	}
	return []incident.Alert{
		rule("maintenance_ending", incident.P3, found.Ending),
		rule("maintenance_overrun", incident.P2, found.Overrun,
			incident.Rung{Action: incident.ActionPage, Class: incident.C1}),
		rule("still_in_maintenance", incident.P3, found.Still),
	}
}

// holds takes how many pages each window holds.
func (w *Windows) holds(held map[string]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = held
}

// Trouble counts the targets, and those of them that are bad, but for those whose
// Trouble is expected.
func (w *Windows) Trouble(targets, bad []string) (watched, unhealthy int) {
	sick := map[string]bool{}
	for _, t := range bad {
		sick[t] = true
	}
	for _, t := range targets {
		if w.Expected(t) {
			continue
		}
		if watched++; sick[t] {
			unhealthy++
		}
	}
	return watched, unhealthy
}
