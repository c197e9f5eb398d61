package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// Causes of trouble, as only the world knows them.
const (
	BadRelease = "bad release"    // errors or latency came with the newest release; going back cures it
	CrashLoop  = "crash loop"     // the newest release never comes up; going back cures it
	NeverReady = "never ready"    // the newest release runs and never becomes ready; going back cures it
	Agents     = "dead agents"    // new pods cure it
	Leak       = "memory leak"    // new pods cure it
	Overload   = "overload"       // more replicas cure it
	Dependency = "dependency"     // nothing done to the application cures it
	Glitch     = "glitch"         // it passes by itself
	External   = "external"       // a fault of the platform that hits many at once
	Switched   = "scaled to zero" // somebody took all pods away; only a person knows whether that is meant
	Contention = "contention"     // a shared resource is short, and more replicas make it worse
)

// release is how one version of an application behaves.
type release struct {
	errors  float64       // share of requests that fail
	latency time.Duration // added to each request
	crash   bool          // its pods never become ready
	// See rollouts.go: the version that its pods are labelled with, the object that
	// it reads, and the release whose tag it shares, plus one.
	label, config, tag int
	unready            bool // its pods run, and never become ready
	// hidden: its tag was moved by a release whose template differs in more, so that
	// nobody can tell from the templates that the tag was moved.
	hidden bool
}

// app is one application: what the API server holds of it, and the truth.
type app struct {
	w    *World
	name string
	spec Target

	// The object.
	uid         string
	version     int // resourceVersion
	generation  int64
	replicas    int
	template    int // index into templates
	annotations map[string]string
	managers    []remediate.Manager
	paused      bool
	op          string // the op annotation
	stale       *remediate.Workload

	templates []template
	revisions []remediate.Revision // newest last

	// The truth.
	releases  []release
	running   int                  // template that serves
	came      map[int]time.Time    // when a template first began to serve
	rolling   time.Time            // when the present rollout is complete; zero: it is
	rolledAt  time.Time            // when it began
	cameAt    time.Time            // when the one before it began
	movedAt   time.Time            // when pods last began to come or have come
	over      map[string]time.Time // when a cause ended last
	coming    []added
	going     []leaving
	lastReady time.Time         // when a pod last became ready
	born      map[int]time.Time // when the pods of a template began
	ready     int
	load      float64 // in replicas' worth of work
	troubles  map[string]time.Time
	until     map[string]time.Time // of causes that pass by themselves
	well      time.Time            // since when nothing is wrong; zero: something is
	lying     time.Time            // until when the application's own numbers lie
	enough    int                  // replicas from which on contention grows worse

	made   int // how often the object was made anew, and when last
	madeAt time.Time
	podGen int // how often its pods were replaced by others of the same template

	// See rollouts.go.
	fate            *rand.Rand
	selector        int // the version that the Service selects; 0: any
	moved           time.Time
	labels, configs int
	pruned          map[int]bool
	again           int       // the old release that was deployed again, plus one
	deleting        time.Time // since when the object is being deleted

	past   []feeling
	onePod bool // the leak is in one pod
	scaler *scaler
}

// template is one pod template.
type template struct {
	release   int
	restarted string
	json      json.RawMessage
}

func newApp(w *World, t Target) *app {
	a := &app{w: w, name: t.Name, spec: t, uid: "uid-" + t.Name, version: 1, generation: 1, replicas: t.Replicas,
		ready: t.Replicas, annotations: map[string]string{},
		releases: []release{{}}, load: 0.5 * float64(t.Replicas), came: map[int]time.Time{},
		troubles: map[string]time.Time{}, until: map[string]time.Time{}, well: w.epoch.Add(-time.Hour),
		fate: fateOf(w, t.Name), pruned: map[int]bool{}}
	for k, v := range t.Annotations {
		a.annotations[k] = v
	}
	if t.Autoscaler.Max > 0 {
		a.scaler = newScaler(a)
	}
	a.template = a.templateOf(0, "")
	a.running = a.template
	a.addRevision(w.epoch.Add(-24 * time.Hour))
	a.came[a.running] = w.epoch.Add(-24 * time.Hour)
	a.born = map[int]time.Time{a.running: w.epoch.Add(-24 * time.Hour)}
	a.managers = []remediate.Manager{{Name: "kubectl", At: w.epoch.Add(-24 * time.Hour), Replicas: true,
		Template: true}}
	if t.Rollouts.Redeployed {
		a.redeployed()
	}
	return a
}

func (a *app) target() incident.Target {
	return incident.Target{Name: a.name, Namespace: a.spec.Namespace, Kind: cmp.Or(a.spec.Kind, "deployment"),
		Workload: a.name}
}

// templateOf returns the index of the template of a release.
func (a *app) templateOf(rel int, restarted string) int {
	if i := slices.IndexFunc(a.templates, func(t template) bool {
		return t.release == rel &&
			t.restarted == restarted
	}); i >= 0 {
		return i
	}
	a.templates = append(a.templates, template{rel, restarted, a.manifest(rel, restarted)})
	return len(a.templates) - 1
}

// addRevision gives the present template the highest revision number, as the
// Deployment controller does.
func (a *app) addRevision(at time.Time) {
	t := a.templates[a.template]
	next := int64(1)
	for _, r := range a.revisions {
		next = max(next, r.Number+1)
	}
	uid := a.replicaSet(a.template)
	if i := slices.IndexFunc(a.revisions, func(r remediate.Revision) bool { return r.UID == uid }); i >= 0 {
		r := a.revisions[i]
		r.Number = next
		a.revisions = append(slices.Delete(slices.Clone(a.revisions), i, i+1), r)
		return
	}
	a.revisions = append(slices.Clone(a.revisions), remediate.Revision{Number: next, Name: uid, UID: uid, CreatedAt: at,
		Template: t.json, Images: []string{a.image(t.release)}})
	if len(a.revisions) > 11 {
		a.revisions = a.revisions[1:]
	}
}

// touch records that a field manager changed the object.
func (a *app) touch(manager string, spec, tmpl bool) {
	read := a.workload()
	a.stale = &read
	a.version++
	if !spec {
		return
	}
	a.generation++
	a.managers = slices.DeleteFunc(slices.Clone(a.managers), func(m remediate.Manager) bool {
		return m.Name == manager && (m.Template == tmpl || m.Replicas == !tmpl)
	})
	a.managers = append([]remediate.Manager{{Name: manager, At: a.w.clock.now.Truncate(time.Second), Replicas: !tmpl,
		Template: tmpl}}, a.managers...)
}

// apply does what an accepted patch says.
func (a *app) apply(manager string, patch []byte) error {
	before, err := json.Marshal(map[string]any{"spec": map[string]any{"replicas": a.replicas,
		"template": a.templates[a.template].json}})
	if err != nil {
		return err
	}
	after, err := jsonpatch.MergePatch(before, patch)
	if err != nil {
		return err
	}
	var doc struct {
		Spec struct {
			Replicas int
			Template json.RawMessage
		}
	}
	if err := json.Unmarshal(after, &doc); err != nil {
		return err
	}
	t, err := a.templateFrom(doc.Spec.Template)
	if err != nil {
		return err
	}
	changed := t != a.template
	a.touch(manager, true, changed)
	a.scale(doc.Spec.Replicas)
	if changed {
		a.roll(t)
	}
	return nil
}

// scale sets the wanted replicas; ready pods follow.
func (a *app) scale(n int) {
	if n == a.replicas {
		return
	}
	from := a.replicas
	a.replicas = n
	if n < a.ready {
		a.ready = n
	}
	a.resized(from)
	a.look()
	a.w.clock.after(max(10*time.Second, a.spec.Pods.starts(n > from)), -1, a.settle)
}

// roll starts the rollout of a template.
func (a *app) roll(t int) {
	a.pull(t)
	a.template = t
	a.addRevision(a.w.clock.now)
	a.cameAt, a.rolledAt, a.movedAt = a.rolledAt, a.w.clock.now, a.w.clock.now
	if a.startless(t) || a.releases[a.templates[t].release].crash || a.w.clock.now.Before(a.w.mishaps.failing) {
		a.rolling = a.w.clock.now.Add(1000 * time.Hour)
		a.came[t] = a.w.clock.now
		a.trouble(CrashLoop)
		return
	}
	if a.releases[a.templates[t].release].unready {
		a.rolling, a.came[t] = a.w.clock.now.Add(1000*time.Hour), a.w.clock.now
		a.trouble(NeverReady)
		return
	}
	done := a.w.clock.now.Add(a.spec.Rollout + a.spec.Pods.starts(false))
	began := a.w.clock.now
	a.rolling = done
	a.ready = min(a.ready, max(0, a.replicas-a.spec.MaxUnavailable))
	a.look()
	if _, seen := a.came[t]; !seen {
		a.came[t] = a.firstCame(t)
	}
	a.w.clock.at(done, -1, func() {
		if !a.rolling.Equal(done) {
			return // another rollout began
		}
		a.leave(a.replicas, a.replicaSet(a.running), a.born[a.running])
		a.rolling, a.running, a.coming = time.Time{}, a.template, nil
		a.born[a.running], a.movedAt = began, a.w.clock.now
		a.ready, a.lastReady = a.arrived(), a.w.clock.now
		a.end(CrashLoop)
		a.end(NeverReady)
		a.end(Agents)
		a.end(Leak)
		if r := a.releases[a.templates[a.running].release]; r.errors > 0 || r.latency > 0 {
			a.trouble(BadRelease)
		} else {
			a.end(BadRelease)
		}
		if a.spec.WarmUp > 0 {
			a.pass(Glitch, a.spec.WarmUp)
		}
		a.look()
		a.reach()
	})
}

// firstCame is when the release of a template came up, restarts aside.
func (a *app) firstCame(t int) time.Time {
	for k, at := range a.came {
		if a.templates[k].release == a.templates[t].release {
			return at
		}
	}
	return a.w.clock.now
}

// trouble begins a cause; end ends it.
func (a *app) trouble(cause string) {
	if _, on := a.troubles[cause]; !on {
		a.troubles[cause] = a.w.clock.now
		a.w.score.began(a, cause)
	}
	a.well = time.Time{}
}

func (a *app) end(cause string) {
	if _, on := a.troubles[cause]; !on {
		return
	}
	delete(a.troubles, cause)
	if a.over == nil {
		a.over = map[string]time.Time{}
	}
	a.over[cause] = a.w.clock.now
	a.w.score.ended(a, cause)
	if len(a.troubles) == 0 {
		a.well = a.w.clock.now
	}
}

// pass begins a cause that ends by itself after d.
func (a *app) pass(cause string, d time.Duration) {
	a.trouble(cause)
	until := a.w.clock.now.Add(d)
	a.until[cause] = until
	a.w.clock.at(until, -1, func() {
		if a.until[cause].Equal(until) {
			a.end(cause)
		}
	})
}

// look lets overload follow load and replicas.
func (a *app) look() {
	switch share := a.load / math.Max(0.1, float64(a.ready)); {
	case a.on(Switched):
		a.end(Overload)
	case share > 1.1: // where the error rate passes its threshold
		a.trouble(Overload)
	default:
		a.end(Overload)
	}
}

func (a *app) on(cause string) bool { _, on := a.troubles[cause]; return on }

// value is what a metric of the runbook's table truly is.
func (a *app) value(metric string) float64 {
	r := a.releases[a.templates[a.running].release]
	over := math.Max(0, a.load/math.Max(0.1, float64(a.ready))-0.9)
	switch metric {
	case "error_rate":
		e := r.errors
		if a.on(Dependency) {
			e = math.Max(e, 0.4)
		}
		if a.on(Glitch) || a.on(External) {
			e = math.Max(e, 0.3)
		}
		if a.on(Cutoff) {
			e = 1
		}
		return math.Min(1, e+over/4)
	case "response_time":
		l := 0.08 + r.latency.Seconds() + over*2
		if a.on(Dependency) || a.on(External) {
			l++
		}
		if a.on(Contention) {
			l += 0.6 + 3*math.Max(0, float64(a.ready-a.enough))
		}
		return l
	case "active_agents":
		if a.on(Agents) {
			return 1
		}
		return 3
	case "memory":
		if t, on := a.troubles[Leak]; on {
			return math.Min(0.99, 0.9+a.w.clock.now.Sub(t).Hours())
		}
		return 0.5
	case "cpu":
		return math.Min(1, a.load/math.Max(0.1, float64(a.ready)))
	case "crash_looping":
		return float64(a.cannotStart())
	case "dependency":
		if a.on(Dependency) {
			return 1
		}
	case "health":
		if a.on(Agents) || a.on(Dependency) || a.on(Contention) || a.on(Glitch) || a.on(External) || a.on(Cutoff) {
			return 1
		}
	case "ready_replicas":
		return float64(a.ready) / math.Max(1, float64(a.replicas))
	}
	return 0
}

// workload is what a quorum read returns.
func (a *app) workload() remediate.Workload {
	w := remediate.Workload{
		Target: a.target(), ResourceVersion: fmt.Sprint(a.version), Generation: a.generation, Observed: a.generation,
		Desired: a.replicas,
		Ready:   a.ready, Updated: a.replicas, Available: a.ready, MaxSurge: 1, MaxUnavailable: a.spec.MaxUnavailable,
		Paused: a.paused, ProgressDeadline: a.spec.Pods.deadline(), Stalled: a.stalled(),
		Annotations: map[string]string{}, NamespaceAnnotations: a.w.namespaces[a.spec.Namespace],
		Template: a.templates[a.template].json, Owner: a.spec.Owner, Managers: a.managers, EndpointsReady: a.ready,
		ReadAt: a.w.clock.now,
	}
	w.Target.UID = a.uid
	for k, v := range a.annotations {
		w.Annotations[k] = v
	}
	if a.op != "" {
		w.Annotations[remediate.OpAnnotation] = a.op
	}
	w.Revisions = slices.Clone(a.revisions)
	slices.Reverse(w.Revisions)
	if !a.rolling.IsZero() {
		w.Updated = 1
	}
	w.Pods = a.pods()
	w.HPA = a.scaler.shown()
	w.Services, w.Deleting = a.serves(), a.deleting
	a.w.mishaps.distort(&w)
	return w
}

// replicaSet is the uid of a template's ReplicaSet.
func (a *app) replicaSet(t int) string {
	if a.made > 0 {
		return fmt.Sprintf("rs-%s-%d-%d", a.name, a.made, t)
	}
	return fmt.Sprintf("rs-%s-%d", a.name, t)
}

// sick names what is wrong, worst first; empty: nothing.
func (a *app) sick() string {
	var on []string
	for c := range a.troubles {
		on = append(on, c)
	}
	slices.Sort(on)
	return strings.Join(on, ", ")
}
