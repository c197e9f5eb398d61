package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// Causes of trouble, as only the world knows them.
const (
	BadRelease = "bad release" // errors or latency came with the newest release; going back cures it
	CrashLoop  = "crash loop"  // the newest release never comes up; going back cures it
	Agents     = "dead agents" // new pods cure it
	Leak       = "memory leak" // new pods cure it
	Overload   = "overload"    // more replicas cure it
	Dependency = "dependency"  // nothing done to the application cures it
	Glitch     = "glitch"      // it passes by itself
	External   = "external"    // a fault of the platform that hits many at once
	Contention = "contention"  // a shared resource is short, and more replicas make it worse
)

// cures lists which actions can end which cause.
var cures = map[string][]string{BadRelease: {"rollback"}, CrashLoop: {"rollback"}, Agents: {"restart", "rollback"}, Leak: {"restart", "rollback"}, Overload: {"scale"}}

// release is how one version of an application behaves.
type release struct {
	errors  float64       // share of requests that fail
	latency time.Duration // added to each request
	crash   bool          // its pods never become ready
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
	releases []release
	running  int               // template that serves
	came     map[int]time.Time // when a template first began to serve
	rolling  time.Time         // when the present rollout is complete; zero: it is
	ready    int
	load     float64 // in replicas' worth of work
	troubles map[string]time.Time
	until    map[string]time.Time // of causes that pass by themselves
	well     time.Time            // since when nothing is wrong; zero: something is
	lying    time.Time            // until when the application's own numbers lie
	enough   int                  // replicas from which on contention grows worse

	made   int // how often the object was made anew
	scaler *scaler
}

// template is one pod template.
type template struct {
	release   int
	restarted string
	json      json.RawMessage
}

func newApp(w *World, t Target) *app {
	a := &app{w: w, name: t.Name, spec: t, uid: "uid-" + t.Name, version: 1, generation: 1, replicas: t.Replicas, ready: t.Replicas, annotations: map[string]string{},
		releases: []release{{}}, load: 0.5 * float64(t.Replicas), came: map[int]time.Time{}, troubles: map[string]time.Time{}, until: map[string]time.Time{}, well: w.epoch.Add(-time.Hour)}
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
	a.managers = []remediate.Manager{{Name: "kubectl", At: w.epoch.Add(-24 * time.Hour), Replicas: true, Template: true}}
	return a
}

func (a *app) target() incident.Target {
	return incident.Target{Name: a.name, Namespace: a.spec.Namespace, Kind: cmp.Or(a.spec.Kind, "deployment"), Workload: a.name}
}

// templateOf returns the index of the template of a release.
func (a *app) templateOf(rel int, restarted string) int {
	if i := slices.IndexFunc(a.templates, func(t template) bool { return t.release == rel && t.restarted == restarted }); i >= 0 {
		return i
	}
	note := ""
	if restarted != "" {
		note = fmt.Sprintf(`"annotations":{%q:%q},`, remediate.RestartedAtAnnotation, restarted)
	}
	a.templates = append(a.templates, template{rel, restarted, json.RawMessage(fmt.Sprintf(`{"metadata":{%s"labels":{"app":%q}},"spec":{"containers":[{"image":"app:v%d","name":"app"}]}}`, note, a.name, rel))})
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
	a.revisions = append(slices.Clone(a.revisions), remediate.Revision{Number: next, Name: uid, UID: uid, CreatedAt: at, Template: t.json, Images: []string{fmt.Sprintf("app:v%d", t.release)}})
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
	a.managers = append([]remediate.Manager{{Name: manager, At: a.w.clock.now.Truncate(time.Second), Replicas: !tmpl, Template: tmpl}}, a.managers...)
}

// apply does what an accepted patch says.
func (a *app) apply(manager string, patch []byte) error {
	before, err := json.Marshal(map[string]any{"spec": map[string]any{"replicas": a.replicas, "template": a.templates[a.template].json}})
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
			Template struct {
				Metadata struct{ Annotations map[string]string }
				Spec     struct{ Containers []struct{ Image string } }
			}
		}
	}
	if err := json.Unmarshal(after, &doc); err != nil {
		return err
	}
	rel := 0
	if _, err := fmt.Sscanf(doc.Spec.Template.Spec.Containers[0].Image, "app:v%d", &rel); err != nil {
		return err
	}
	t := a.templateOf(rel, doc.Spec.Template.Metadata.Annotations[remediate.RestartedAtAnnotation])
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
	a.replicas = n
	if n < a.ready {
		a.ready = n
	}
	a.w.clock.after(10*time.Second, -1, func() {
		if a.rolling.IsZero() {
			a.ready = a.replicas
		}
		a.look()
	})
}

// roll starts the rollout of a template.
func (a *app) roll(t int) {
	a.template = t
	a.addRevision(a.w.clock.now)
	if a.releases[a.templates[t].release].crash || a.w.clock.now.Before(a.w.mishaps.failing) {
		a.rolling = a.w.clock.now.Add(1000 * time.Hour)
		a.came[t] = a.w.clock.now
		a.trouble(CrashLoop)
		return
	}
	done := a.w.clock.now.Add(a.spec.Rollout)
	a.rolling = done
	a.ready = min(a.ready, max(0, a.replicas-a.spec.MaxUnavailable))
	if _, seen := a.came[t]; !seen {
		a.came[t] = a.firstCame(t)
	}
	a.w.clock.at(done, -1, func() {
		if !a.rolling.Equal(done) {
			return // another rollout began
		}
		a.rolling, a.running, a.ready = time.Time{}, a.template, a.replicas
		a.end(CrashLoop)
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
		return math.Min(1, e+over/4)
	case "response_time":
		l := 0.08 + r.latency.Seconds() + over*2
		if a.on(Dependency) || a.on(External) {
			l += 1
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
		if a.on(CrashLoop) {
			return 1
		}
	case "dependency":
		if a.on(Dependency) {
			return 1
		}
	case "health":
		if a.on(Agents) || a.on(Dependency) || a.on(Contention) || a.on(Glitch) || a.on(External) {
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
		Target: a.target(), ResourceVersion: fmt.Sprint(a.version), Generation: a.generation, Observed: a.generation, Desired: a.replicas,
		Ready: a.ready, Updated: a.replicas, Available: a.ready, MaxSurge: 1, MaxUnavailable: a.spec.MaxUnavailable, Paused: a.paused, Annotations: map[string]string{}, NamespaceAnnotations: a.w.namespaces[a.spec.Namespace],
		Template: a.templates[a.template].json, Owner: a.spec.Owner, Managers: a.managers, EndpointsReady: a.ready, ReadAt: a.w.clock.now,
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
	old := a.replicaSet(a.running)
	for i := range a.replicas {
		w.Pods = append(w.Pods, remediate.Pod{Name: fmt.Sprintf("%s-%d", a.name, i), Revision: old, Ready: i < a.ready, Scheduled: true, StartedAt: a.w.epoch})
	}
	if !a.rolling.IsZero() {
		w.Updated = 1
		p := remediate.Pod{Name: a.name + "-new", Revision: a.replicaSet(a.template), Scheduled: true, StartedAt: a.w.clock.now}
		if a.on(CrashLoop) {
			p.Waiting, p.Restarts, p.LastExit = "CrashLoopBackOff", 4, "exit 1 (Error)"
		}
		w.Pods = append([]remediate.Pod{p}, w.Pods...)
	}
	w.HPA = a.scaler.shown()
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
