package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// link is one replica's way to the API server, with its faults. It is what
// pkg/kube is in production.
type link struct {
	w *World
	r *replica
	// life is the replica's life that the link belongs to: a process that was
	// killed does nothing any more.
	life int
}

var (
	errDead  = errors.New("the process was killed")
	errDown  = errors.New("connection refused")
	errReset = errors.New("connection reset by peer")
)

func (l *link) alive() bool { return l.r.up && l.r.life == l.life }

// call is the way of one request: it may find the process killed, the API server
// gone, or take long enough for the world to change.
func (l *link) call(what string) error {
	if !l.alive() {
		return errDead
	}
	f := l.w.scenario.Faults
	switch {
	case l.w.chance(f.Kill):
		l.w.kill(l.r, "killed before "+what)
		return errDead
	case l.w.chance(f.Stall):
		d := 5*time.Second + l.w.span(80*time.Second)
		l.w.say("%s hangs for %s before %s", l.w.replicaName(l.r.id), d.Round(time.Second), what)
		l.w.oracle.suspended = l.w.clock.now.Add(d)
		l.w.clock.wait(l.r.id, d)
	case l.w.chance(f.Slow):
		l.w.clock.wait(l.r.id, l.w.span(3*time.Second))
	}
	if !l.alive() {
		return errDead
	}
	if l.w.clock.now.Before(l.w.down) {
		return errDown
	}
	if l.w.chance(f.Error) {
		return errReset
	}
	return nil
}

func (l *link) Workload(_ context.Context, t incident.Target, _ string) (remediate.Workload, error) {
	if err := l.call("reading " + t.Workload); err != nil {
		return remediate.Workload{}, fmt.Errorf("read %s: %w", t, err)
	}
	a := l.w.byName[t.Workload]
	if a == nil || a.spec.Namespace != t.Namespace {
		return remediate.Workload{}, fmt.Errorf("read %s: not found", t)
	}
	if a.stale != nil && l.w.chance(l.w.scenario.Faults.Stale) {
		return *a.stale, nil
	}
	return a.workload(), nil
}

// Rollouts reads one after the other; each read may fail by itself.
func (l *link) Rollouts(ctx context.Context, _ string,
	targets []incident.Target) (map[string]remediate.Workload, error) {
	all := map[string]remediate.Workload{}
	var errs []error
	for _, t := range targets {
		w, err := l.Workload(ctx, t, "")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all[t.String()] = w
	}
	return all, errors.Join(errs...)
}

// Write sends one op's write. It may land and be answered, land unanswered, land
// much later, land twice, or never.
func (l *link) Write(_ context.Context, opID string, p incident.Plan) (incident.Outcome, error) {
	l.w.oracle.sent(l.r, opID, p)
	sent := l.w.clock.now
	if err := l.call("writing op " + opID); err != nil {
		return incident.Unknown, err
	}
	f := l.w.scenario.Faults
	switch {
	case l.w.chance(f.Lost):
		l.w.say("the write of op %s is lost on its way", opID)
		return l.unanswered(errReset)
	case l.w.chance(f.Late):
		d := l.w.span(59 * time.Second)
		l.w.say("the write of op %s is under way for %s", opID, d.Round(time.Second))
		l.w.clock.after(d, -1, func() { l.w.accept(l.r.id, sent, opID, p) })
		return l.unanswered(context.DeadlineExceeded)
	case l.w.chance(f.Reply):
		outcome, _ := l.w.accept(l.r.id, sent, opID, p)
		l.w.say("the answer to op %s (%s) is lost", opID, outcome)
		return l.unanswered(errReset)
	case l.w.chance(f.Twice):
		l.w.clock.after(l.w.span(30*time.Second), -1, func() { l.w.accept(l.r.id, sent, opID, p) })
	}
	outcome, err := l.w.accept(l.r.id, sent, opID, p)
	if l.w.chance(f.Kill * 20) {
		l.w.kill(l.r, "killed after op "+opID+" was accepted, before the answer")
		return incident.Unknown, errDead
	}
	return outcome, err
}

// unanswered lets the client's own timeout pass.
func (l *link) unanswered(err error) (incident.Outcome, error) {
	l.w.clock.wait(l.r.id, l.w.span(15*time.Second))
	return incident.Unknown, err
}

func (l *link) Find(_ context.Context, opID string, p incident.Plan) (bool, error) {
	if err := l.call("looking for op " + opID); err != nil {
		return false, err
	}
	a := l.w.written(p.Object)
	return a != nil && a.carries(p.Object) == opID, nil
}

// Job: the jobs of this world are complete at once.
func (l *link) Job(_ context.Context, o incident.Object) (incident.Rollout, error) {
	if err := l.call("reading job " + o.Name); err != nil {
		return incident.Rollout{}, err
	}
	return incident.Rollout{Known: true, Done: true}, nil
}

func (l *link) Capture(_ context.Context, t incident.Target, name string) (string, string, error) {
	if err := l.call("taking evidence"); err != nil {
		return "", "logs", err
	}
	l.w.mishaps.taken = append(l.w.mishaps.taken, evidence{t.Workload, l.w.clock.now})
	return "evidence/" + name, "", nil
}

func (l *link) EachIncident(_ context.Context, each func(incident.Stored) error) error {
	if err := l.call("reading incidents"); err != nil {
		return err
	}
	if l.w.clock.now.Before(l.w.mishaps.empty) {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(l.w.incidents)) {
		s, err := l.stored(id)
		if err == nil {
			err = each(s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *link) StoredIncident(_ context.Context, id string) (s incident.Stored, found bool, err error) {
	if err := l.call("reading incidents"); err != nil {
		return s, false, err
	}
	if l.w.clock.now.Before(l.w.mishaps.empty) || l.w.incidents[id] == nil {
		return s, false, nil
	}
	s, err = l.stored(id)
	return s, err == nil, err
}

// stored reads an incident. What another process stored is text: what does not survive that is lost.
func (l *link) stored(id string) (incident.Stored, error) {
	s := l.w.incidents[id]
	if s.by != l && !s.reread && s.value.(incident.Incident).Phase != incident.Resolved {
		b, err := json.Marshal(s.value)
		var i incident.Incident
		if err == nil {
			err = json.Unmarshal(b, &i)
		}
		if err != nil {
			return incident.Stored{}, err
		}
		s.value, s.reread = i, true
	}
	return incident.Stored{Incident: s.value.(incident.Incident), Version: s.label(), Responders: l.w.words[id].value}, nil
}

func (l *link) SaveIncident(_ context.Context, i incident.Incident, version string) (string, error) {
	if err := l.call("storing incident " + i.ID); err != nil {
		return "", err
	}
	s := l.w.incidents[i.ID]
	if s == nil {
		s = &stored{}
	}
	if !s.is(version) {
		return "", incident.ErrConflict
	}
	next := &stored{version: s.version + 1, value: i, by: l}
	l.w.incidents[i.ID] = next
	l.w.oracle.incident(i)
	l.w.requested(i)
	return next.label(), nil
}

func (l *link) DeleteIncident(_ context.Context, id string) error {
	if err := l.call("deleting incident " + id); err != nil {
		return err
	}
	delete(l.w.incidents, id)
	delete(l.w.words, id)
	return nil
}

// ResponderActions reads the responder actions on an incident.
func (l *link) ResponderActions(_ context.Context, id string) (incident.ResponderActions, error) {
	if err := l.call("reading the words on incident " + id); err != nil {
		return incident.ResponderActions{}, err
	}
	return l.w.words[id].value, nil
}

// ChangedResponderActions are those of the watch: nothing new while the API server is away.
func (l *link) ChangedResponderActions(context.Context) map[string]incident.ResponderActions {
	if !l.alive() || l.w.clock.now.Before(l.w.down) {
		return nil
	}
	all := map[string]incident.ResponderActions{}
	for id, s := range l.w.words {
		all[id] = s.value
	}
	return all
}

func (l *link) Ledger(context.Context) (incident.Ledger, string, error) {
	if err := l.call("reading the ledger"); err != nil {
		return incident.Ledger{}, "", err
	}
	ledger, version := l.w.readLedger()
	return ledger, version, nil
}

func (l *link) SwapLedger(_ context.Context, next incident.Ledger, version string) (string, error) {
	if err := l.call("writing the ledger"); err != nil {
		return "", err
	}
	return l.w.swapLedger(next, version)
}

func (l *link) Records(_ context.Context, namespace string) (map[string][]remediate.Record, string, error) {
	if err := l.call("reading revision records"); err != nil {
		return nil, "", err
	}
	s := l.w.records[namespace]
	if s == nil {
		return map[string][]remediate.Record{}, "", nil
	}
	return maps.Clone(s.value.(map[string][]remediate.Record)), s.label(), nil
}

func (l *link) SwapRecords(_ context.Context, namespace string, r map[string][]remediate.Record,
	version string) (string, error) {
	if err := l.call("writing revision records"); err != nil {
		return "", err
	}
	s := l.w.records[namespace]
	if s == nil {
		s = &stored{}
	}
	if !s.is(version) {
		return "", incident.ErrConflict
	}
	next := &stored{version: s.version + 1, value: r}
	l.w.records[namespace] = next
	return next.label(), nil
}

// record is the audit record of the replica: on its own disk, not the API server's.
func (l *link) record(all ...audit.Record) error {
	if !l.alive() {
		return errDead
	}
	if l.w.chance(l.w.scenario.Faults.Disk) {
		return errors.New("no space left on device")
	}
	for _, r := range all {
		l.w.oracle.audited(r)
		if l.w.recorded != nil {
			l.w.recorded(l.r, r)
		}
	}
	return nil
}
