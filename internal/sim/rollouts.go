package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// Rollouts are what releases of an application bring beside their behaviour.
type Rollouts struct {
	// Service: a Service selects its pods, and some releases move the selector.
	Service bool
	// Config is the kind of object that a release reads, ConfigMap or Secret. Some
	// releases bring one of their own, and the one before is pruned.
	Config string
	// Mutable: some releases change only what is behind the tag of the image.
	Mutable bool
	// Again: old templates are deployed again.
	Again bool
	// Redeployed: the first template is an old one that was deployed again some
	// minutes before the world began.
	Redeployed bool
}

// Cutoff is a cause: the Service selects no pod that is ready.
const Cutoff = "no endpoints"

// fates draws the traits of the targets from a source of their own, so that all
// else that a seed decides stays what it was.
func fates(s *Scenario) {
	d := &draw{rand.New(rand.NewPCG(s.Seed, 20))}
	for k := range s.Targets {
		t := &s.Targets[k]
		if d.chance(0.5) {
			continue
		}
		t.Rollouts = Rollouts{Service: d.chance(0.3), Mutable: d.chance(0.1), Again: d.chance(0.2),
			Redeployed: d.chance(0.05)}
		if d.chance(0.25) {
			t.Rollouts.Config = pick(d, "ConfigMap", "Secret")
		}
		if t.Autoscaler.Max > 0 {
			t.Autoscaler.Keda = d.chance(0.3)
		}
		more := func(what string, every time.Duration) {
			for at := d.between(12*time.Minute, every); at < s.Length; at += d.between(every/2, 2*every) {
				s.Happens = append(s.Happens, Happening{At: at, What: what, Target: t.Name,
					For: d.between(30*time.Second, 4*time.Minute), Times: 0.3})
			}
		}
		if t.Rollouts.Again {
			more("old release again", 20*time.Minute)
		}
		if t.Rollouts.Redeployed {
			s.Happens = append(s.Happens, Happening{At: d.between(20*time.Second, 100*time.Second), What: "rot",
				Target: t.Name, Times: 0.4})
		}
		if d.chance(0.1) {
			more("being deleted", 40*time.Minute)
		}
	}
	slices.SortStableFunc(s.Happens, func(a, b Happening) int { return int(a.At - b.At) })
}

// fateOf is the source of chance of one application's releases.
func fateOf(w *World, name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return rand.New(rand.NewPCG(w.scenario.Seed, h.Sum64()))
}

// ways are the happenings of this file.
var ways = map[string]func(w *World, h Happening, a *app){
	"old release again": func(w *World, _ Happening, a *app) {
		var old []int
		for _, r := range a.revisions[:len(a.revisions)-1] {
			if t := slices.IndexFunc(a.templates,
				func(t template) bool { return string(t.json) == string(r.Template) }); t >= 0 &&
				a.templates[t].restarted == "" && t != a.template {
				old = append(old, t)
			}
		}
		if len(old) == 0 || !a.deleting.IsZero() {
			return
		}
		t := old[a.fate.IntN(len(old))]
		a.touch("helm", true, true)
		a.end(CrashLoop)
		a.recame(t)
		a.again = a.templates[t].release + 1
		a.roll(t)
		w.oracle.edited(a)
	},
	// In the foreground: the object stays until all that belongs to it is gone, and
	// somebody makes it anew.
	"being deleted": func(w *World, h Happening, a *app) {
		if !a.deleting.IsZero() {
			return
		}
		a.touch("kubectl", false, false)
		a.deleting = w.clock.now
		w.excuse(a)
		a.pass(External, h.For)
		w.clock.after(5*time.Second, -1, func() { a.ready = 0; a.look() })
		w.clock.after(h.For, -1, func() {
			a.deleting = time.Time{}
			accidents["recreated"](w, h, a)
			// Its manifest knows of no hold and of no claim.
			w.oracle.unheld(a)
			delete(w.oracle.claims, a)
		})
	},
}

// dress gives a release what it shares with the one before, and what is new.
func (a *app) dress(r release) release {
	was, s := a.releases[a.templates[a.template].release], a.spec.Rollouts
	r.label, r.config = was.label, was.config
	if s == (Rollouts{}) {
		return r
	}
	chance := func(p float64) bool { return a.fate.Float64() < p }
	if s.Service && chance(0.25) && !r.crash {
		a.labels++
		r.label = a.labels
		pinned, after := a.selector > 0, a.spec.Rollout
		if !pinned {
			after += time.Duration(a.fate.Int64N(int64(90 * time.Second)))
		}
		label, gen := r.label, a.labels
		a.w.clock.after(after, -1, func() {
			if a.labels == gen {
				a.selects(label)
			}
		})
	}
	if s.Config != "" && (chance(0.5) || a.pruned[r.config]) {
		old := r.config
		a.configs++
		r.config = a.configs
		if chance(0.5) {
			a.w.clock.after(a.spec.Rollout, -1, func() {
				a.w.say("%s of %s is pruned", a.config(old), a.name)
				a.pruned[old] = true
			})
		}
	}
	if s.Mutable && chance(0.5) {
		r.tag = was.tag
		if r.tag == 0 {
			r.tag = a.templates[a.template].release + 1
		}
	}
	return r
}

// selects moves the Service's selector to a version; 0: any.
func (a *app) selects(label int) {
	a.w.say("the Service of %s selects version v%d", a.name, label)
	a.selector, a.moved = label, a.w.clock.now
	a.reach()
}

func (a *app) config(n int) string { return fmt.Sprintf("%s-%d", a.name, n) }

// image is the image of a release: its own, or the tag that it shares.
func (a *app) image(rel int) string {
	if tag := a.releases[rel].tag; tag > 0 {
		rel = tag - 1
	}
	return fmt.Sprintf("app:v%d", rel)
}

// manifest is the pod template of a release.
func (a *app) manifest(rel int, restarted string) json.RawMessage {
	r := a.releases[rel]
	type object map[string]any
	notes, labels := object{}, object{"app": a.name}
	if restarted != "" {
		notes[remediate.RestartedAtAnnotation] = restarted
	}
	if r.tag > 0 {
		notes["deployed"] = fmt.Sprint(rel)
	}
	if a.spec.Rollouts.Service {
		labels["version"] = fmt.Sprintf("v%d", r.label)
	}
	c := object{"image": a.image(rel), "name": "app"}
	switch a.spec.Rollouts.Config {
	case "ConfigMap":
		c["envFrom"] = []object{{"configMapRef": object{"name": a.config(r.config)}}}
	case "Secret":
		c["envFrom"] = []object{{"secretRef": object{"name": a.config(r.config)}}}
	}
	meta := object{"labels": labels}
	if len(notes) > 0 {
		meta["annotations"] = notes
	}
	b, err := json.Marshal(object{"metadata": meta, "spec": object{"containers": []object{c}}})
	if err != nil {
		panic(err)
	}
	return b
}

// pull lets a template that is started run what is behind its tag now.
func (a *app) pull(t int) {
	rel := a.templates[t].release
	r := a.releases[rel]
	if r.tag == 0 {
		return
	}
	for k := len(a.releases) - 1; k > rel; k-- {
		if n := a.releases[k]; n.tag == r.tag {
			a.releases[rel].errors, a.releases[rel].latency, a.releases[rel].crash, a.releases[rel].unready = n.errors,
				n.latency, n.crash, n.unready
			a.releases[rel].hidden = n.label != r.label || n.config != r.config
			return
		}
	}
}

// startless reports whether pods of the template lack what they refer to.
func (a *app) startless(t int) bool {
	return a.spec.Rollouts.Config != "" && a.pruned[a.releases[a.templates[t].release].config]
}

// recame says that the release of a template becomes the present one now, unless it is.
func (a *app) recame(t int) {
	if a.templates[t].release == a.templates[a.template].release {
		a.came[t] = a.came[a.template]
		return
	}
	for k := range a.templates {
		if a.templates[k].release == a.templates[t].release {
			a.came[k] = a.w.clock.now
		}
	}
}

// endpoints are the pods that are ready and that the Service selects.
func (a *app) endpoints() int {
	if a.selector != 0 && a.releases[a.templates[a.running].release].label != a.selector {
		return 0
	}
	return a.ready
}

// reach lets users feel that the Service has no endpoints.
func (a *app) reach() {
	switch {
	case !a.spec.Rollouts.Service:
	case a.endpoints() == 0 && a.ready > 0:
		a.trouble(Cutoff)
	default:
		a.end(Cutoff)
	}
}

// serves is what a read shows of the Services.
func (a *app) serves() []remediate.Service {
	if !a.spec.Rollouts.Service {
		return nil
	}
	s := remediate.Service{Name: a.name, Selector: map[string]string{"app": a.name}, Ready: a.endpoints()}
	label := a.releases[a.templates[a.template].release].label
	if a.selector != 0 {
		s.Selector["version"] = fmt.Sprintf("v%d", a.selector)
		if label != a.selector {
			return nil // it does not select the present template
		}
	}
	return []remediate.Service{s}
}

// References is the API server's word on ConfigMaps.
func (l *link) References(_ context.Context, namespace string, refs []remediate.Reference) []remediate.Reference {
	refs = slices.Clone(refs)
	for k := range refs {
		r := &refs[k]
		if err := l.call("reading " + r.String()); err != nil {
			r.Unknown = err.Error()
			continue
		}
		for _, a := range l.w.apps {
			if n, ok := strings.CutPrefix(r.Name, a.name+"-"); ok && a.spec.Namespace == namespace {
				for c, gone := range a.pruned {
					r.Gone = r.Gone || gone && fmt.Sprint(c) == n
				}
			}
		}
	}
	return refs
}

// beside holds what an accepted write must not do, whatever it repairs.
func (o *oracle) beside(e effect) {
	a := e.app
	if !a.deleting.IsZero() && o.fenced(e, a.deleting) {
		o.violate("INV-67", "%s is accepted %s after %s began to be deleted", e.plan.Summary,
			e.at.Sub(a.deleting).Round(time.Second), a.name)
	}
	if e.plan.Object.Resource == autoscalers && a.spec.Autoscaler.Keda {
		o.violate("INV-27", "%s is accepted, and a ScaledObject owns the autoscaler", e.plan.Summary)
	}
	if e.plan.Action == incident.ActionRollback {
		if a.again == a.templates[e.to].release+1 {
			a.again = 0
		}
		from, to := a.releases[a.templates[e.from].release], a.releases[a.templates[e.to].release]
		switch {
		case a.startless(e.to):
			o.violate("INV-66", "%s goes back to a template that needs %s %s, which is gone", e.plan.Summary,
				a.spec.Rollouts.Config, a.config(to.config))
		case from.tag == to.tag && from.tag > 0 && from.label == to.label && from.config == to.config:
			o.violate("INV-66", "%s changes nothing: both run %s", e.plan.Summary, a.image(a.templates[e.to].release))
		}
	}
	// The last look may be ten seconds older than the write, and that may be long under way.
	if e.plan.Action == incident.ActionRollback && a.selector != 0 && a.moved.Add(20*time.Second).Before(e.sent) &&
		o.w.scenario.Faults.Stale == 0 {
		if from, to := a.releases[a.templates[e.from].release].label,
			a.releases[a.templates[e.to].release].label; from == a.selector && to != a.selector {
			o.violate("INV-56", "%s goes back to pods of version v%d, and the Service selects v%d", e.plan.Summary, to,
				a.selector)
		}
	}
	if label := a.releases[a.templates[e.from].release].label; e.plan.Action == incident.ActionRollback &&
		a.selector == 0 && label != a.releases[a.templates[e.to].release].label {
		// The second step of the pipeline, which knows nothing of the rollback.
		o.w.clock.after(a.spec.Rollout/2, -1, func() { a.selects(label) })
	}
	if a.spec.Rollouts.Service && !e.revert() && o.w.scenario.Faults == (Faults{}) {
		made := a.made // what was made anew is another object, and nobody's to take back
		var look func()
		look = func() {
			p := incident.Lease{Plan: e.plan}
			if a.template == e.to && a.moving() && !a.on(CrashLoop) && o.w.clock.now.Sub(e.at) < 30*time.Minute {
				o.w.clock.after(takenBack, -1, look)
				return
			}
			if a.made == made && a.template == e.to && a.endpoints() < e.served && a.endpoints() < a.ready &&
				!o.troubled.After(e.at) && o.free(p) && a.moved.Before(e.at.Add(a.spec.Rollout)) &&
				a.deleting.IsZero() {
				o.violate("INV-56", "%s: %d endpoints were ready before it, and %d are %s later", e.plan.Summary,
					e.served, a.endpoints(), o.w.clock.now.Sub(e.at).Round(time.Second))
			}
		}
		o.w.clock.after(takenBack, -1, look)
	}
}

// takenBack is a rollout, the time to see its effect and to take it back.
const takenBack = 3*time.Minute + 30*time.Second

// answered reports whether an answer to the last rung gave that reason.
func answered(i incident.Incident, code incident.Code) bool {
	return slices.ContainsFunc(i.Answers, func(a incident.Answer) bool { return a.Code == code })
}

// spoken holds what is said of a release against the truth.
func (o *oracle) spoken(i, was incident.Incident) {
	a := o.w.byName[i.Target.Workload]
	if a == nil || o.w.scenario.Faults != (Faults{}) {
		return
	}
	for _, e := range i.Timeline[min(len(was.Timeline), len(i.Timeline)):] {
		since := a.came[a.template]
		// Which of the alerts it was said for is not known: it must be wrong for each.
		window := o.w.scenario.Policy.Settings.SuspectWindow - time.Minute
		fits := func(x incident.Alert) bool {
			after := x.ActiveAt.Sub(since)
			return !x.Firing || after >= time.Second && after < window
		}
		switch {
		case e.Kind != incident.KindSkipped && e.Kind != incident.KindHandedOver:
		case answered(i, incident.CodeBreachIsLater) && !slices.ContainsFunc(i.Alerts,
			func(x incident.Alert) bool { return !fits(x) }):
			o.violate("INV-68", "of %s is said %q, and its release became the present one at %s", a.name, e.Text,
				since.UTC().Format(time.TimeOnly))
		case answered(i, incident.CodeRestored) && a.again == a.templates[a.template].release+1:
			o.violate("INV-69", "of %s is said %q, and the release was deployed again by a pipeline", a.name, e.Text)
		}
	}
}

// redeployed gives the application a past: its present template is older than the
// one before, and was deployed again a few minutes ago.
func (a *app) redeployed() {
	at := a.w.epoch.Add(-4 * time.Minute)
	first := a.template
	a.releases = append(a.releases, release{})
	a.template = a.templateOf(1, "")
	a.addRevision(a.w.epoch.Add(-12 * time.Hour))
	a.came[a.template] = a.w.epoch.Add(-12 * time.Hour)
	a.template, a.running = first, first
	a.addRevision(at)
	a.came[first] = at
	a.managers = []remediate.Manager{{Name: "helm", At: at, Replicas: true, Template: true}}
}

// templateFrom is the index of the template that an object holds.
func (a *app) templateFrom(raw json.RawMessage) (int, error) {
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		return 0, err
	}
	meta, _ := doc["metadata"].(map[string]any)
	notes, _ := meta["annotations"].(map[string]any)
	restarted, _ := notes[remediate.RestartedAtAnnotation].(string)
	if delete(notes, remediate.RestartedAtAnnotation); len(notes) == 0 {
		delete(meta, "annotations")
	}
	plain, err := json.Marshal(doc)
	if err != nil {
		return 0, err
	}
	for rel := range a.releases {
		if string(a.manifest(rel, "")) == string(plain) {
			return a.templateOf(rel, restarted), nil
		}
	}
	return 0, fmt.Errorf("no release has the template %s", plain)
}
