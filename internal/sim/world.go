package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/incident"
)

// World is one simulated cluster with everybody in it.
type World struct {
	scenario   *Scenario
	epoch      time.Time // when it began
	clock      *clock
	dice       *rand.Rand
	apps       []*app
	byName     map[string]*app
	namespaces map[string]map[string]string // annotations
	replicas   []*replica
	lead       int       // the replica that holds the lease; -1: nobody
	led        time.Time // since when it does
	down       time.Time // the API server answers nobody until then

	// The API server's copies of watchdog's own objects.
	incidents map[string]*stored
	words     map[string]said // by incident
	ledger    stored
	records   map[string]*stored

	outages     []outage
	sources     *sources // nil: there are none
	mishaps     mishaps
	undelivered map[string]incident.Incident // the newest of what a hanging receiver was sent
	night       map[string]time.Time         // until when an application has next to no users, by name
	// In a trial: when the failure begins, and what each rule saw of it.
	began   time.Time
	noticed map[string]*notice
	ids     int
	reloads int
	oracle  *oracle
	// external are the alerts of other systems; nil: there are none.
	external *alertmanager
	score    *score
	trace    func(at time.Time, text string)
	// tell, if set, is the receivers of a replica: it is handed what the engine tells.
	tell  func(l *link, i incident.Incident)
	pager *pager // nil: there is none
	// recorded, if set, gets the audit record of each replica, with its decisions.
	recorded func(r *replica, x audit.Record)
}

// stored is one object of the API server.
type stored struct {
	version int
	value   any
	by      *link // who stored it
	reread  bool  // value was text in between
}

func (s *stored) is(version string) bool { return s.label() == version }

func (s *stored) label() string {
	if s.version == 0 {
		return ""
	}
	return fmt.Sprint(s.version)
}

func (w *World) say(format string, args ...any) {
	if w.trace != nil {
		w.trace(w.clock.now, fmt.Sprintf(format, args...))
	}
}

// chance is true with the given probability.
func (w *World) chance(p float64) bool { return p > 0 && w.dice.Float64() < p }

// span is a duration up to d.
func (w *World) span(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(w.dice.Int64N(int64(d)))
}

// said is what people have written of one incident: its spec, which has versions of its
// own, as what watchdog stores has.
type said struct {
	version int
	value   incident.ResponderActions
}

// readWords returns what people have said of an incident, and its version.
func (w *World) readWords(id string) (incident.ResponderActions, int) {
	return w.words[id].value, w.words[id].version
}

// patch is a person's compare-and-swap of an incident's spec. Nothing is said of one
// that is not there.
func (w *World) patch(id string, p incident.ResponderActions, version int) {
	if w.incidents[id] == nil {
		return
	}
	if w.words[id].version != version {
		panic("a person's patch lost to another") // nobody comes in between
	}
	w.words[id] = said{version + 1, w.words[id].value.With(p)}
}

// readLedger returns the ledger and its version.
func (w *World) readLedger() (incident.Ledger, string) {
	l, _ := w.ledger.value.(incident.Ledger)
	return l, w.ledger.label()
}

// swapLedger is a compare-and-swap of the ledger.
func (w *World) swapLedger(l incident.Ledger, version string) (string, error) {
	if !w.ledger.is(version) {
		return "", incident.ErrConflict
	}
	w.ledger = stored{version: w.ledger.version + 1, value: l}
	w.oracle.ledger(l)
	return w.ledger.label(), nil
}

// accept is the API server's side of an op's write: the precondition decides.
func (w *World) accept(by int, sent time.Time, opID string, p incident.Plan) (incident.Outcome, error) {
	if err := notPlayed(p); err != nil {
		return incident.Denied, err
	}
	if p.Action == incident.ActionJob {
		return w.runJob(by, sent, opID, p)
	}
	a := w.written(p.Object)
	if a == nil {
		return incident.Denied, fmt.Errorf("%s %q not found", p.Object.Resource, p.Object.Name)
	}
	if p.Object.UID == "" || p.Object.ResourceVersion == "" {
		w.oracle.violate("INV-03", "op %s was sent without a precondition", opID)
	}
	if uid, version := a.identity(p.Object); p.Object.UID != uid || p.Object.ResourceVersion != version {
		return incident.Conflicted, fmt.Errorf("the object has uid %s and version %s, not %s and %s", uid, version,
			p.Object.UID, p.Object.ResourceVersion)
	}
	before, ready, served, moving := a.lever(p.Object), a.ready, a.endpoints(), !a.rolling.IsZero() && !a.on(CrashLoop)
	was := a.template
	if err := a.write(opID, p); err != nil {
		return incident.Denied, err
	}
	e := effect{at: w.clock.now, lastReady: a.lastReady, sent: sent, by: by, op: opID, plan: p, app: a, cause: a.sick(),
		well: a.well, before: before, after: a.lever(p.Object), ready: ready, served: served, moving: moving, from: was,
		to: a.template}
	w.say("API server: %s (op %s of %s) is accepted; the truth: %s", p.Summary, opID, w.replicaName(by),
		orWell(e.cause))
	w.oracle.effect(e)
	w.score.effect(e)
	if p.Action != incident.ActionRevert {
		a.cured(p.Action)
	}
	if a.spec.Reverter > 0 && a.scaler == nil {
		w.clock.after(a.spec.Reverter, -1, func() { w.revert(e) })
	}
	return incident.Applied, nil
}

// cured lets an action that cures take effect beyond what the object says.
func (a *app) cured(action incident.Action) {
	if action == incident.ActionScale {
		a.w.clock.after(11*time.Second, -1, a.look)
	}
}

// revert is another controller that undoes what it did not write, as far as it
// still stands.
func (w *World) revert(e effect) {
	a := e.app
	if e.from != e.to && a.template == e.to {
		w.say("another controller sets the template of %s back", a.name)
		w.oracle.undid(a, true, e.at)
		a.touch("other-controller", true, true)
		a.roll(e.from)
	}
	if e.before != e.after && a.replicas == e.after {
		w.say("another controller sets the replicas of %s back", a.name)
		w.oracle.undid(a, false, e.at)
		a.touch("other-controller", true, false)
		a.scale(e.before)
	}
}

func (w *World) replicaName(i int) string {
	if i < 0 {
		return "nobody"
	}
	return "watchdog-" + string(rune('a'+i))
}

func orWell(cause string) string {
	if cause == "" {
		return "nothing is wrong"
	}
	return cause
}

// newID returns ids that sort by time, as the real ones do.
func (w *World) newID() string {
	w.ids++
	return fmt.Sprintf("%06d", w.ids)
}

// installation is the name of the watchdog of the world.
const installation = "watchdog"
