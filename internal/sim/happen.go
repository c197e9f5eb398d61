package sim

import (
	"fmt"
	"maps"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// happenings are the words of a scenario: what each does to the world.
var happenings = map[string]func(w *World, h Happening, a *app){
	// Trouble.
	"failing release": func(w *World, h Happening,
		a *app) {
		w.deploy(a, release{errors: max(0.2, h.Times)})
	},
	"slow release": func(w *World, _ Happening,
		a *app) {
		w.deploy(a, release{latency: 2 * time.Second})
	},
	"crashing release":            func(w *World, _ Happening, a *app) { w.deploy(a, release{crash: true}) },
	"release that is never ready": func(w *World, _ Happening, a *app) { w.deploy(a, release{unready: true}) },
	"good release":                func(w *World, _ Happening, a *app) { w.deploy(a, release{}) },
	"dead agents":                 func(_ *World, _ Happening, a *app) { a.trouble(Agents) },
	"memory leak":                 func(_ *World, _ Happening, a *app) { a.trouble(Leak) },
	"memory leak in one pod":      func(_ *World, _ Happening, a *app) { a.onePod = true; a.trouble(Leak) },
	"overload": func(w *World, h Happening, a *app) {
		load := a.load
		a.load = h.Times * float64(a.replicas)
		a.look()
		w.clock.after(h.For, -1, func() { a.load = load; a.look() })
	},
	"contention": func(_ *World, h Happening, a *app) {
		a.enough = a.replicas
		a.pass(Contention, h.For)
	},
	"dependency down": func(_ *World, h Happening, a *app) { a.pass(Dependency, h.For) },
	"glitch":          func(_ *World, h Happening, a *app) { a.pass(Glitch, h.For) },
	"platform fault": func(w *World, h Happening, _ *app) {
		n := int(h.Times*float64(len(w.apps)) + 0.5)
		for _, a := range w.apps[:min(n, len(w.apps))] {
			a.pass(External, h.For)
		}
	},
	// Monitoring.
	"blind": func(w *World, h Happening, a *app) { w.outage(a, "blind", h.For) },
	"stale": func(w *World, h Happening, a *app) { w.outage(a, "stale", h.For) },
	"error": func(w *World, h Happening, a *app) { w.outage(a, "error", h.For) },
	"nan":   func(w *World, h Happening, a *app) { w.outage(a, "nan", h.For) },
	"lying": func(w *World, h Happening, a *app) { a.lying = w.clock.now.Add(h.For) },
	// People.
	"hold": func(w *World, h Happening, a *app) {
		a.touch("kubectl", false, false)
		a.annotations[remediate.HoldAnnotation] = "working on it"
		w.oracle.held(a)
		w.excuse(a)
		if h.For > 0 {
			w.clock.after(h.For, -1, func() {
				a.touch("kubectl", false, false)
				delete(a.annotations, remediate.HoldAnnotation)
				w.oracle.unheld(a)
			})
		}
	},
	"edit": func(w *World, _ Happening, a *app) {
		a.touch("kubectl-edit", true, true)
		a.releases = append(a.releases, a.releases[a.templates[a.template].release])
		a.roll(a.templateOf(len(a.releases)-1, ""))
		w.oracle.edited(a)
		w.excuse(a)
	},
	"scale by hand": func(w *World, h Happening, a *app) {
		a.touch("kubectl-scale", true, false)
		a.scale(max(1, a.replicas+int(h.Times)))
		w.oracle.edited(a)
		w.excuse(a)
	},
	"kill switch": func(w *World, h Happening, _ *app) {
		w.setKillSwitch(&incident.Attribution{By: "anna", Reason: "everything stops", At: w.clock.now})
		w.excuse(nil)
		if h.For > 0 {
			w.clock.after(h.For, -1, func() { w.setKillSwitch(nil) })
		}
	},
	"claim": func(w *World, _ Happening, a *app) {
		a.touch("watchdog-2", false, false)
		a.annotations[remediate.ClaimAnnotation] = "another-watchdog"
		w.oracle.claimed(a)
		w.excuse(a)
	},
	// The cluster.
	"api server down": func(w *World, h Happening, _ *app) { w.down = w.clock.now.Add(h.For); w.excuse(nil) },
	"kill": func(w *World, _ Happening, _ *app) {
		if w.lead >= 0 {
			w.kill(w.replicas[w.lead], "killed")
		}
	},
	"connection dies": func(w *World, _ Happening, _ *app) {
		if w.pager != nil {
			w.pager.cut()
		}
	},
	"lease lost": func(w *World, _ Happening, _ *app) { w.usurp() },
	"scaled to zero": func(_ *World, _ Happening, a *app) {
		a.touch("kubectl-scale", true, false)
		a.trouble(Switched)
		a.scale(0)
		a.look()
	},
	"node dies": func(_ *World, _ Happening, a *app) { a.nodeDies() },
	"hand over": func(w *World, _ Happening, _ *app) { w.handOver() },
	"reload": func(w *World, _ Happening, _ *app) {
		if w.lead >= 0 {
			w.reload(w.replicas[w.lead])
		}
	},
	"pods replaced": func(_ *World, _ Happening, a *app) { a.podGen++ },
	"clock jump": func(w *World, h Happening, _ *app) {
		for _, r := range w.replicas {
			if w.chance(0.5) || len(w.replicas) == 1 {
				r.skew += h.For
			}
		}
	},
}

// global are the happenings that concern no single target.
var global = map[string]bool{"platform fault": true, "kill switch": true, "api server down": true, "kill": true,
	"lease lost": true, "hand over": true, "clock jump": true, "reload": true,
	"starts fail": true, "empty lists": true, "nodes unknown": true, "receiver hangs": true, "connection dies": true}

// blindable are those that concern one target or all.
var blindable = map[string]bool{"blind": true, "stale": true, "error": true, "nan": true}

// happen does what a happening says.
func (w *World) happen(h Happening) {
	do := word(h.What)
	if do == nil {
		panic(fmt.Sprintf("a scenario says %q, which is no happening", h.What))
	}
	w.say("%s %s", h.What, h.Target)
	if h.Target == "" {
		w.oracle.troubled = w.clock.now.Add(h.For)
	}
	switch {
	case h.Target != "":
		if a := w.byName[h.Target]; a != nil {
			do(w, h, a)
		}
	case global[h.What] || blindable[h.What]:
		do(w, h, nil)
	default:
		for _, a := range w.apps {
			do(w, h, a)
		}
	}
}

func (w *World) deploy(a *app, r release) {
	a.touch("helm", true, true)
	a.releases = append(a.releases, a.dress(r))
	a.end(CrashLoop)
	a.end(NeverReady)
	a.roll(a.templateOf(len(a.releases)-1, ""))
	w.oracle.edited(a)
}

func (w *World) outage(a *app, how string, d time.Duration) {
	o := outage{how: how, from: w.clock.now, until: w.clock.now.Add(d)}
	if a != nil {
		o.target = a.name
	}
	w.outages = append(w.outages, o)
	w.excuse(a)
}

// setKillSwitch is `watchdog hold --all`: a compare-and-swap of the ledger.
func (w *World) setKillSwitch(m *incident.Attribution) {
	w.tellLedger(func(l *incident.Ledger) { l.Hold = m })
	w.oracle.switched(m != nil)
}

// lift is `watchdog resume` for a target under quarantine.
func (w *World) lift(a *app) {
	l, _ := w.readLedger()
	if q, on := l.Quarantined(a.target().String()); on {
		w.say("a person lifts the quarantine of %s", a.name)
		w.tellLedger(func(l *incident.Ledger) {
			l.Lifted = maps.Clone(l.Lifted)
			if l.Lifted == nil {
				l.Lifted = map[string]string{}
			}
			l.Lifted[q.Target] = q.Op
		})
		w.oracle.lifted(a)
	}
}

// tellLedger changes what people say in the ledger.
func (w *World) tellLedger(change func(*incident.Ledger)) {
	l, version := w.readLedger()
	change(&l)
	if _, err := w.swapLedger(l, version); err != nil {
		panic(err) // nobody comes in between
	}
}

// excuse marks a time in which not acting is no fault.
func (w *World) excuse(a *app) {
	for _, x := range w.apps {
		if a == nil || a == x {
			w.score.excuse(x)
		}
	}
}

// call is the person who was paged: after some minutes they mend what is wrong,
// and they stay until the incident is over. Who is called for watchdog's own
// incident looks after everything.
func (w *World) call(i incident.Incident) {
	if own := w.scenario.Policy.Own; w.scenario.Alone || own != nil && own.Alone {
		return
	}
	w.clock.after(time.Minute+w.span(5*time.Minute), -1, func() {
		s := w.incidents[i.ID]
		if s == nil || s.value.(incident.Incident).Phase == incident.Resolved {
			return
		}
		storm, _ := s.value.(incident.Incident).Alert("storm")
		for _, a := range w.apps {
			// Whoever is called because monitoring is blind mends that, not the applications.
			if concerns(i, a) && (i.Target.Name != incident.Self || storm.Firing) {
				w.mend(a)
			}
		}
		w.call(i)
	})
}

// mend is a person's work on one application: they end what is wrong, and lift
// the quarantine that it led to.
func (w *World) mend(a *app) {
	if len(a.troubles) > 0 && !a.mending() {
		w.say("the person who was paged mends %s (%s)", a.name, a.sick())
		w.deploy(a, release{})
		if a.on(Switched) {
			a.end(Switched)
			a.scale(a.spec.Replicas)
		}
		a.load = 0.5 * float64(a.replicas)
		a.selects(0)
		a.look()
	}
	w.lift(a)
}

// concerns reports whether the incident is about the application.
func concerns(i incident.Incident, a *app) bool {
	return i.Target.Workload == a.name || i.Target.Name == incident.Self
}

// attended reports whether a person was called to the target and is still there.
func (w *World) attended(a *app) bool {
	for id := range w.oracle.pages {
		if s := w.incidents[id]; s != nil {
			if i := s.value.(incident.Incident); concerns(i, a) && i.Phase != incident.Resolved {
				return true
			}
		}
	}
	return false
}
