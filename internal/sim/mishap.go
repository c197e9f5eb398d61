package sim

import (
	"math"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// accidents are the words that only the museum needs: what went wrong elsewhere once.
var accidents = map[string]func(w *World, h Happening, a *app){
	// Whatever is started anew, by whomever, does not come up.
	"starts fail": func(w *World, h Happening, _ *app) { w.mishaps.failing = w.clock.now.Add(h.For) },
	// Config management sets every object back to its manifest: a hold is gone.
	"manifests reapplied": func(w *World, _ Happening, a *app) {
		a.touch("config-management", false, false)
		delete(a.annotations, remediate.HoldAnnotation)
		w.oracle.unheld(a)
	},
	// The API server answers lists with nothing, and says that all is well.
	"empty lists": func(w *World, h Happening, _ *app) { w.mishaps.empty = w.clock.now.Add(h.For); w.excuse(nil) },
	// No kubelet has reported: every pod counts as not ready, and all of them serve.
	"nodes unknown": func(w *World, h Happening, _ *app) { w.mishaps.unknown = w.clock.now.Add(h.For); w.excuse(nil) },
	// The autoscaler reads nothing as no load.
	"autoscaler misled": func(w *World, h Happening,
		a *app) {
		a.scaler.misled = w.clock.now.Add(h.For)
		a.scaler.scale()
	},
	"idle": func(w *World, h Happening, a *app) {
		load := a.load
		a.load /= 10
		a.look()
		w.clock.after(h.For, -1, func() { a.load = load; a.look() })
	},
	// From now on another controller sets back what it did not write, after For.
	"gitops begins": func(_ *World, h Happening, a *app) { a.spec.Reverter = h.For },
	// The running release turns bad, without a deploy.
	"rot": func(_ *World, h Happening, a *app) {
		a.releases[a.templates[a.running].release].errors = h.Times
		a.trouble(BadRelease)
	},
	"history gone": func(w *World, _ Happening, a *app) {
		a.revisions = slices.Clone(a.revisions[len(a.revisions)-1:])
		w.excuse(a)
	},
	// Deleted and made again under the same name, with the same template.
	"recreated": func(w *World, _ Happening, a *app) {
		a.touch("kubectl", false, false)
		a.made, a.madeAt = a.made+1, w.clock.now
		a.uid += "-anew"
		a.op, a.annotations, a.revisions = "", map[string]string{}, nil
		a.managers = []remediate.Manager{{Name: "kubectl", At: w.clock.now.Truncate(time.Second), Replicas: true,
			Template: true}}
		a.roll(a.template)
		w.oracle.edited(a)
		w.excuse(a)
	},
	// A receiver takes the message and never answers; it hears the newest state of
	// each incident when it wakes.
	"receiver hangs": func(w *World, h Happening, _ *app) {
		w.mishaps.deaf = w.clock.now.Add(h.For)
		w.excuse(nil)
		w.clock.after(h.For, -1, w.listen)
	},
	"network fault": func(_ *World, h Happening, a *app) { a.pass(External, h.For) },
	// A node goes, and with it a share of the pods; they find another after For.
	"node drain": func(w *World, h Happening, a *app) {
		a.ready = max(0, a.ready-int(math.Ceil(h.Times*float64(a.replicas))))
		a.look()
		w.clock.after(h.For, -1, func() {
			if a.rolling.IsZero() {
				a.ready = a.replicas
			}
			a.look()
		})
	},
	"flapping dependency": func(w *World, h Happening, a *app) {
		for k := range int(h.Times) {
			w.clock.after(2*time.Duration(k)*h.For, -1, func() { a.pass(Dependency, h.For) })
		}
	},
	// Everything starts at once, and starting is what makes everything slow.
	"thundering start": func(w *World, h Happening, a *app) {
		w.deploy(a, release{})
		a.pass(External, h.For)
	},
}

// word is what a happening does; nil: there is no such word.
func word(what string) func(w *World, h Happening, a *app) {
	if do := happenings[what]; do != nil {
		return do
	}
	if do := sourceWords[what]; do != nil {
		return do
	}
	if do := ways[what]; do != nil {
		return do
	}
	return accidents[what]
}

// mishaps are how long accidents of the whole cluster last, and what was saved
// of the scene.
type mishaps struct {
	failing, empty, unknown, deaf time.Time
	taken                         []evidence
}

type evidence struct {
	target string
	at     time.Time
}

// distort is what a read shows while the cluster's own view is wrong.
func (m *mishaps) distort(w *remediate.Workload) {
	if w.ReadAt.Before(m.empty) {
		w.Revisions, w.Pods = nil, nil
	}
	if w.ReadAt.Before(m.unknown) {
		w.Ready, w.Available, w.EndpointsReady = 0, 0, 0
		for k := range w.Pods {
			w.Pods[k].Ready = false
		}
	}
}

// hear is the receivers' end of what watchdog tells.
func (w *World) hear(i incident.Incident) {
	if p := w.past(); p != nil && p.Notified != nil {
		p.Notified(w.clock.now, i)
	}
	if w.clock.now.Before(w.mishaps.deaf) {
		w.undelivered[i.ID] = i
		return
	}
	w.oracle.notified(i)
}

// listen hands over what waited for a receiver.
func (w *World) listen() {
	for _, id := range sorted(w.undelivered) {
		w.oracle.notified(w.undelivered[id])
	}
	clear(w.undelivered)
}

// scaler is a HorizontalPodAutoscaler: the object, and what it does.
type scaler struct {
	app     *app
	uid     string
	version int
	op      string
	min     int
	misled  time.Time
}

// utilisation is the load per replica that the autoscaler aims at.
const utilisation = 0.7

func newScaler(a *app) *scaler {
	s := &scaler{app: a, uid: "uid-hpa-" + a.name, version: 1, min: a.spec.Autoscaler.Min}
	var look func()
	look = func() { s.scale(); a.w.clock.after(15*time.Second, -1, look) }
	a.w.clock.after(15*time.Second, -1, look)
	return s
}

// want is how many replicas it asks for.
func (s *scaler) want() int {
	n := int(math.Ceil(s.app.load/utilisation - 1e-9))
	if s.app.w.clock.now.Before(s.misled) {
		n = 0
	}
	return min(max(n, s.min), s.app.spec.Autoscaler.Max)
}

func (s *scaler) scale() {
	if n := s.want(); n != s.app.replicas {
		s.app.touch("kube-controller-manager", true, false)
		s.app.scale(n)
		s.app.look()
	}
}

// shown is the autoscaler as a read shows it.
func (s *scaler) shown() *remediate.HPA {
	if s == nil {
		return nil
	}
	owner := ""
	if s.app.spec.Autoscaler.Keda {
		owner = "ScaledObject " + s.app.name
	}
	return &remediate.HPA{Owner: owner, Name: s.app.name + "-hpa", UID: s.uid, ResourceVersion: label(s.version),
		Min: s.min, Max: s.app.spec.Autoscaler.Max, Current: s.app.replicas, Desired: s.want()}
}
