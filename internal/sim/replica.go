package sim

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"time"

	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

var nan = math.NaN()

// The lease, as the chart sets it.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	restartDelay  = 5 * time.Second
)

// replica is one pod of watchdog.
type replica struct {
	w    *World
	id   int
	up   bool
	life int
	// skew is how far the clock of its host is off, clock what the process makes of it.
	skew   time.Duration
	clock  *engine.Clock
	sight  eyes
	engine *engine.Engine // while it believes that it leads
	cancel context.CancelFunc
	ctx    context.Context
	due    map[string]time.Time

	looked     map[string]look
	storm      time.Time // when this leader last saw too many targets in breach
	leaderless *engine.LeaderlessNotifier
}

// look is the last fresh look at a target before a write.
type look struct {
	at        time.Time
	view      engine.Snapshot
	blind     string
	unhealthy int
	watched   int
}

func (r *replica) now() time.Time { return r.clock.Now() }

// agree compares the process's clock with the API server's, if that answers.
func (r *replica) agree(early bool) error {
	if r.w.clock.now.Before(r.w.down) {
		return errDown
	}
	_, err := r.clock.Agree(r.w.clock.now.Truncate(time.Second), early)
	return err
}

// start brings the process up: it sees, and stands for election.
func (w *World) start(r *replica) {
	if r.up {
		return // its pod came back already
	}
	r.up, r.life = true, r.life+1
	began := w.clock.now
	r.clock = engine.NewClock(began.Add(r.skew), func() time.Duration { return w.clock.now.Sub(began) })
	_ = r.agree(true)
	alive := r.life
	r.leaderless = engine.NewLeaderlessNotifier("watchdog", func(i incident.Incident) {
		if r.up && r.life == alive {
			w.hear(i)
		}
	})
	r.sight, r.looked = w.eyesOf(r), map[string]look{}
	w.external.start(r)
	life := r.life
	var round func()
	round = func() {
		if !r.up || r.life != life {
			return
		}
		woken := r.sight.round()
		r.lookForLeader()
		w.clock.after(r.sight.every(), r.id, round)
		for _, t := range woken {
			w.pass(r, life, t)
		}
	}
	w.clock.after(r.sight.first(), r.id, round)
	if w.lead < 0 {
		w.clock.after(w.span(time.Second), r.id, func() { w.elect(r, life) })
	}
}

// lookForLeader lets the replica speak for itself while nobody leads.
func (r *replica) lookForLeader() {
	why := ""
	switch {
	case r.w.clock.now.Before(r.w.down):
		why = errDown.Error()
	case r.w.lead < 0:
		why = "the lease is free"
	}
	r.leaderless.Look(r.now(), why, nil)
}

// elect makes the replica the leader if nobody is.
func (w *World) elect(r *replica, life int) {
	if w.lead >= 0 || !r.up || r.life != life {
		return
	}
	if w.clock.now.Before(w.down) {
		w.clock.after(2*time.Second, r.id, func() { w.elect(r, life) }) // the lease is at the API server
		return
	}
	if err := r.agree(false); err != nil {
		w.kill(r, "ended: "+err.Error())
		w.clock.after(time.Second, -1, func() { w.succeed(r) })
		return
	}
	w.lead, w.led = r.id, w.clock.now
	w.say("%s leads", w.replicaName(r.id))
	w.takeOver(r, life)
}

// takeOver starts a leader's work: from what is stored.
func (w *World) takeOver(r *replica, life int) {
	l := &link{w: w, r: r, life: life}
	ctx, cancel := context.WithCancel(context.Background())
	r.ctx, r.cancel = ctx, cancel
	r.due, r.storm = map[string]time.Time{}, time.Time{}
	var e *engine.Engine
	e = engine.New(engine.Options{
		Logger: slog.New(slog.DiscardHandler), Cluster: l, Store: l, Audit: l.record, NoDecisions: w.recorded == nil,
		Tell: func(i incident.Incident) {
			if l.alive() {
				w.hear(i)
				if w.tell != nil {
					w.tell(l, i)
				}
			}
		},
		Restored: func(open []incident.Incident) { r.restored(open, e) }, NewID: w.newID, Now: r.now,
		Policy: w.scenario.Policy.Core, Workers: 1, InTurn: true,
		Observed: func(i incident.Incident, t incident.Entry) {
			if l.alive() {
				w.say("%s on %s: %s: %s", i.ID, i.Target.Name, t.Kind, t.Text)
			}
		},
	})
	e.Use(w.setup(r))
	r.engine = e
	if err := e.Load(ctx); err != nil {
		w.say("%s could not read what is stored: %v", w.replicaName(r.id), err)
		if r.up && r.life == life {
			w.resign(r)
			w.clock.after(2*time.Second, r.id, func() { w.elect(r, life) })
		}
		return
	}
	for _, n := range e.Names() {
		w.pass(r, life, n)
	}
}

// restored takes up what the stored incidents say.
func (r *replica) restored(open []incident.Incident, e *engine.Engine) {
	r.sight.restore(open)
	if r.w.external != nil {
		var resolved []incident.Incident
		for _, i := range e.Incidents() {
			if i.Phase == incident.Resolved {
				resolved = append(resolved, i)
			}
		}
		r.w.external.restore(r, open, resolved)
	}
}

// setup is what the configuration becomes for one replica.
func (w *World) setup(r *replica) *engine.Setup {
	p := w.scenario.Policy
	if p.Own != nil {
		return p.Own.setup(w, r)
	}
	s := &engine.Setup{
		Config: "sim", Targets: map[string]engine.TargetSetup{},
		Snapshot: func(t string) engine.Snapshot { return r.sight.view(t) },
		Newest: func(t string) (string, int64) {
			v := r.sight.view(t)
			return v.Revision, v.RevisionNumber
		},
		Fresh: func(_ context.Context, t string) (engine.Snapshot, error) {
			if w.chance(w.scenario.Faults.Slow) {
				w.clock.wait(r.id, w.span(8*time.Second))
			}
			return r.sight.fresh(t), nil
		},
		FleetHealth: func() engine.FleetHealth { return r.sight.world() },
		Dependencies: func(_ context.Context, t string) []remediate.Dependency {
			a := w.byName[t]
			if a == nil || w.monitor(a, w.clock.now) != "" {
				return nil
			}
			return []remediate.Dependency{{Check: "database", Known: true, Up: !a.on(Dependency)}}
		},
		Rung: p.rung, Settings: p.Settings, Limits: p.Limits, Policy: p.Core, Installation: installation,
	}
	if w.external != nil {
		s.Other, s.Others = w.external.other, w.external.nodes[r.id].alerts.Unwatched
	}
	for _, a := range w.apps {
		s.Targets[a.name] = engine.TargetSetup{Target: a.target(), Mode: p.Mode, ModeWhy: "the scenario"}
	}
	return s
}

// idle is how often a world of the past looks after its revisions: nothing happens to
// them by itself there.
const idle = 2 * time.Minute

// pass works one name, and again when it is due.
func (w *World) pass(r *replica, life int, name string) {
	if !r.up || r.life != life || r.engine == nil || r.ctx.Err() != nil || w.clock.waiting[r.id] {
		return
	}
	e := r.engine
	w.score.Passes++
	next, err := r.work(e, name)
	if !r.up || r.life != life || r.engine != e {
		return
	}
	if name == orphansPass {
		w.passOthers(r, life)
	}
	if err != nil {
		next = 500*time.Millisecond + w.span(2*time.Second)
	}
	switch {
	case name == revisionsPass && w.past() != nil:
		next = max(next, idle)
	case name == revisionsPass || name == engine.Self:
		next = max(next, interval) // what they look at changes no more often
	}
	if next <= 0 {
		delete(r.due, name)
		return
	}
	at := w.clock.now.Add(next)
	r.due[name] = at
	w.clock.at(at, r.id, func() {
		if r.due[name].Equal(at) && r.engine == e {
			w.pass(r, life, name)
		}
	})
}

// work lets the engine work one name.
func (r *replica) work(e *engine.Engine, name string) (time.Duration, error) {
	if h, ok := r.sight.(*hindsight); ok {
		return h.pass(e, name)
	}
	return e.Pass(r.ctx, name)
}

// passOthers works at once what a look for orphans found, as the engine's own queue would.
func (w *World) passOthers(r *replica, life int) {
	if h, ok := r.sight.(*hindsight); ok {
		w.clock.after(0, r.id, h.others(r.engine, func(n string) { w.pass(r, life, n) }))
		return
	}
	for _, n := range r.engine.Names() {
		if r.waits(n) {
			w.clock.after(0, r.id, func() { w.pass(r, life, n) })
		}
	}
}

// waits reports whether a name is due only when it is woken.
func (r *replica) waits(name string) bool {
	_, due := r.due[name]
	return !due && name != orphansPass
}

// reload is a configuration that changed in nothing that matters here: the
// process lives on, and so does what its rules know.
func (w *World) reload(r *replica) {
	if r.engine == nil {
		return
	}
	w.reloads++
	w.say("%s reads its configuration again", w.replicaName(r.id))
	s := w.setup(r)
	s.Config = fmt.Sprintf("sim-%d", w.reloads)
	w.external.reload(r)
	r.engine.Use(s)
	for _, n := range r.engine.Names() {
		w.pass(r, r.life, n)
	}
}

// resign ends the leader's work in this process; the process lives on.
func (w *World) resign(r *replica) {
	if r.cancel != nil {
		r.cancel()
	}
	r.engine = nil
	if w.lead == r.id {
		w.lead = -1
	}
}

// kill is kill -9. Its pod comes back; another replica leads once the lease is out.
func (w *World) kill(r *replica, why string) {
	if !r.up {
		return
	}
	w.say("%s is %s", w.replicaName(r.id), why)
	r.up = false
	led := w.lead == r.id
	if r.cancel != nil {
		r.cancel()
	}
	r.engine = nil
	w.clock.after(restartDelay+w.span(10*time.Second), -1, func() { w.start(r) })
	if led {
		w.clock.after(w.span(leaseDuration), -1, func() {
			if w.lead == r.id {
				w.lead = -1
			}
			w.succeed(r)
		})
	}
}

// succeed lets another replica lead, or the same one if there is no other.
func (w *World) succeed(last *replica) {
	for k := range w.replicas {
		next := w.replicas[(last.id+1+k)%len(w.replicas)]
		if next.up {
			life := next.life
			w.clock.after(w.span(2*time.Second), next.id, func() { w.elect(next, life) })
			return
		}
	}
}

// usurp is a lease that is lost without a sign: another leads, and the old leader
// believes for some time that it still does.
func (w *World) usurp() {
	if w.lead < 0 || len(w.replicas) < 2 {
		return
	}
	old := w.replicas[w.lead]
	for k := range w.replicas {
		next := w.replicas[(old.id+1+k)%len(w.replicas)]
		if next == old || !next.up {
			continue
		}
		w.say("%s loses the lease without noticing", w.replicaName(old.id))
		w.lead = -1
		zombie := old.engine
		w.clock.after(w.span(renewDeadline), -1, func() {
			if old.engine == zombie && w.lead != old.id {
				w.resign(old)
			}
		})
		life := next.life
		w.clock.after(w.span(time.Second), next.id, func() { w.elect(next, life) })
		return
	}
}

// handOver is a graceful stop.
func (w *World) handOver() {
	if w.lead < 0 || !w.replicas[w.lead].up {
		return
	}
	old := w.replicas[w.lead]
	w.say("%s stops and hands over", w.replicaName(old.id))
	w.resign(old)
	old.up = false
	w.clock.after(restartDelay, -1, func() { w.start(old) })
	w.succeed(old)
}
