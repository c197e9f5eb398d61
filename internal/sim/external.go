package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/ingest"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

// ExternalAlert is one alert of another system, as its Alertmanager sends it.
type ExternalAlert struct {
	At, For time.Duration // when it fires, and for how long
	// Names says by what the alert names its target: deployment, service, pod (one
	// that lives when the alert begins), gone pod (one that was replaced before), node, volume,
	// or nothing.
	Names  string
	Target string // the target that is truly meant
	// Repeat is the distance of repeated notifications while it fires.
	Repeat time.Duration
	// Odd says that the group holds a second alert that nobody can read.
	Odd bool
	// Kill is the probability that the process dies between accepting the alert and
	// taking it over, each time.
	Kill float64
	// Dies says that it dies there the first time.
	Dies bool
	// Flaps is how often it comes back, and Pause for how long it is over each time.
	Flaps int
	Pause time.Duration
}

// alertmanager is the other system, and what each replica holds of its alerts.
type alertmanager struct {
	w      *World
	dice   *rand.Rand
	all    []*externalAlert
	byName map[string]*externalAlert
	pods   map[string]pod // every pod that was ever named, by namespace/name
	led    time.Time      // since when the present leader has led without a break
	nodes  map[int]*node
}

// node is one replica's end: its disk, and the memory of its process.
type node struct {
	book   *ingest.Store // on disk: it outlives the process
	alerts *ingest.ExternalAlerts
	synced time.Time // when its watches have listed the pods
	news   map[ingest.Key]ingest.AlertState
}

type (
	labelName  = model.LabelName
	labelValue = model.LabelValue
)

type pod struct {
	app           *app
	template, gen int
	seen          time.Time // when it was named, alive
}

// externalAlert is one alert and what is known of it.
type externalAlert struct {
	ExternalAlert
	name   string
	labels map[string]string
	app    *app // nil: it means no target
	began  time.Time
	ended  time.Time // zero: it fires
	// reportedIn are the incidents in which its firing was reported, but for those that
	// were over when it last came back.
	reportedIn []string
	back       int // how often it has come back
	// accepted is when each replica first had on its disk that it fires, since it last
	// came back: what another one has accepted, a leader does not know.
	accepted map[int]time.Time
	// over are the replicas that have the end of this episode on their disks. One may have
	// that of an earlier episode, which is no end of this one.
	over map[int]bool
	// said are the incidents in which a leader that had accepted it said so since then.
	said map[string]bool
}

func newAlertmanager(w *World) *alertmanager {
	if len(w.scenario.External) == 0 {
		return nil
	}
	m := &alertmanager{w: w, dice: rand.New(rand.NewPCG(w.scenario.Seed, 57)), byName: map[string]*externalAlert{},
		pods: map[string]pod{}, nodes: map[int]*node{}}
	for k, x := range w.scenario.External {
		a := &externalAlert{ExternalAlert: x, name: fmt.Sprintf("External%d", k), app: w.byName[x.Target]}
		if x.Names == "node" || x.Names == "volume" || x.Names == "nothing" {
			a.app = nil
		}
		m.all = append(m.all, a)
		m.byName[a.name] = a
		w.clock.after(x.At, -1, func() { m.begin(a) })
	}
	var look func()
	look = func() { m.check(); w.clock.after(time.Minute, -1, look) }
	w.clock.after(time.Minute, -1, look)
	return m
}

func (m *alertmanager) span(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(m.dice.Int64N(int64(d)))
}

// safe are the characters of generated names.
const safe = "bcdfghjklmnpqrstvwxz2456789"

func generated(n, length int) string {
	b := make([]byte, length)
	for k := range b {
		n = n*31 + 17 + k
		b[k] = safe[n%len(safe)]
	}
	return string(b)
}

// podOf is a pod of the template that serves.
func (m *alertmanager) podOf(a *app) string {
	if a.spec.Kind == "statefulset" {
		name := a.name + "-0"
		m.pods[a.spec.Namespace+"/"+name] = pod{a, a.running, a.podGen, m.w.clock.now}
		return name
	}
	name := fmt.Sprintf("%s-%s-%s", a.name, generated(a.running+1, 9), generated(a.podGen*100+a.running, 5))
	m.pods[a.spec.Namespace+"/"+name] = pod{a, a.running, a.podGen, m.w.clock.now}
	return name
}

// owner is what the watches of a replica say: of the pods that live, and of those
// that went while it watched.
func (m *alertmanager) owner(r *replica) ingest.PodOwner {
	return func(namespace, name string) (string, string, bool) {
		p, known := m.pods[namespace+"/"+name]
		synced := m.nodes[r.id].synced
		switch lives := p.template == p.app.running && p.gen == p.app.podGen; {
		case !known || m.w.clock.now.Before(synced):
			return "", "", false
		case !lives && (p.seen.Before(synced) || m.w.clock.now.Sub(p.seen) > time.Hour):
			return "", "", false
		}
		return p.app.target().Kind, p.app.name, true
	}
}

func (m *alertmanager) begin(a *externalAlert) {
	a.began, a.accepted, a.over, a.said = m.w.clock.now, map[int]time.Time{}, map[int]bool{}, map[string]bool{}
	a.labels = map[string]string{"alertname": a.name, "severity": "critical"}
	if app := m.w.byName[a.Target]; app != nil {
		a.labels["namespace"] = app.spec.Namespace
		switch a.Names {
		case "deployment":
			a.labels["deployment"] = app.name
		case "statefulset":
			a.labels["statefulset"] = app.name
		case "service":
			a.labels["service"] = app.name + "-web"
		case "pod":
			a.labels["pod"] = m.podOf(app)
		case "gone pod":
			a.labels["pod"] = m.podOf(app)
			app.podGen++
		case "volume":
			a.labels["persistentvolumeclaim"] = "data-" + app.name
		case "node":
			delete(a.labels, "namespace")
			a.labels["node"] = "node-7"
		default:
			delete(a.labels, "namespace")
		}
	}
	m.w.say("external alert %s begins: it names %s of %s", a.name, a.Names, a.Target)
	m.fire(a)
}

// fire is one episode of the alert; one that flaps comes back after it.
func (m *alertmanager) fire(a *externalAlert) {
	m.w.clock.after(a.For, -1, func() {
		a.ended = m.w.clock.now
		m.post(a, "resolved", a.back)
		if a.back < a.Flaps {
			m.w.clock.after(a.Pause, -1, func() { m.comeBack(a) })
		}
	})
	m.notify(a, a.back)
}

func (m *alertmanager) comeBack(a *externalAlert) {
	a.back++
	a.began, a.ended = m.w.clock.now, time.Time{}
	a.accepted, a.over, a.said = map[int]time.Time{}, map[int]bool{}, map[string]bool{}
	a.reportedIn = slices.DeleteFunc(a.reportedIn, func(id string) bool { return !m.open(id) })
	m.w.say("external alert %s comes back", a.name)
	m.fire(a)
}

// open reports whether an incident is stored and not over.
func (m *alertmanager) open(id string) bool {
	s := m.w.incidents[id]
	return s != nil && s.value.(incident.Incident).Phase != incident.Resolved
}

// notify posts the alert now and again while the episode lasts.
func (m *alertmanager) notify(a *externalAlert, episode int) {
	if !a.ended.IsZero() || a.back != episode {
		return
	}
	m.post(a, "firing", episode)
	m.w.clock.after(a.Repeat, -1, func() { m.notify(a, episode) })
}

// post sends the alert's group; Alertmanager tries again while the answer is 5xx.
func (m *alertmanager) post(a *externalAlert, status string, episode int) {
	if status == "firing" && !a.ended.IsZero() || a.back != episode {
		return
	}
	again := func() {
		m.w.clock.after(5*time.Second+m.span(10*time.Second), -1, func() { m.post(a, status, episode) })
	}
	if m.w.lead < 0 || !m.w.replicas[m.w.lead].up || m.w.clock.waiting[m.w.lead] {
		again() // 503: no leader is known
		return
	}
	r := m.w.replicas[m.w.lead]
	n := m.nodes[r.id]
	p, err := ingest.Decode(m.body(a, status), "alertmanager", r.now())
	if err != nil {
		m.w.oracle.violate("INV-57", "alert %s is refused for good because of another one in its group: %v", a.name,
			err)
		return
	}
	news, err := n.book.Accept(p.Alerts, r.now())
	if err != nil {
		again()
		return
	}
	m.w.say("%s accepts that alert %s is %s", m.w.replicaName(r.id), a.name, status)
	if _, known := a.accepted[r.id]; !known && status == "firing" {
		a.accepted[r.id] = m.w.clock.now
	}
	if status == "resolved" {
		a.over[r.id] = true
	}
	if a.Dies || a.Kill > 0 && m.dice.Float64() < a.Kill {
		a.Dies = false
		m.w.kill(r, "killed after it accepted an alert")
		return
	}
	for _, h := range news {
		n.news[h.Key()] = h
	}
	life := r.life
	m.w.clock.after(m.span(200*time.Millisecond), r.id, func() { m.deliver(r, life) })
}

// body is the webhook as Alertmanager writes it.
func (m *alertmanager) body(a *externalAlert, status string) []byte {
	one := map[string]any{"status": status, "labels": a.labels,
		"annotations": map[string]string{"summary": "something is wrong"}, "startsAt": a.began.Format(time.RFC3339Nano),
		"fingerprint": a.name}
	if !a.ended.IsZero() {
		one["endsAt"] = a.ended.Format(time.RFC3339Nano)
	}
	alerts := []any{one}
	if a.Odd {
		odd := maps.Clone(one)
		odd["labels"] = map[string]string{}
		alerts = append(alerts, odd)
	}
	b, err := json.Marshal(map[string]any{"version": "4", "groupKey": a.name, "receiver": "watchdog", "alerts": alerts})
	if err != nil {
		panic(err)
	}
	return b
}

// deliver is the intake's Run: what changed is taken over, and its targets are worked.
func (m *alertmanager) deliver(r *replica, life int) {
	n := m.nodes[r.id]
	if !r.up || r.life != life || len(n.news) == 0 {
		return
	}
	var news []ingest.AlertState
	for _, k := range slices.SortedFunc(maps.Keys(n.news), func(a,
		b ingest.Key) int {
		return strings.Compare(a.String(), b.String())
	}) {
		news = append(news, n.news[k])
	}
	clear(n.news)
	m.take(r, news)
}

func (m *alertmanager) take(r *replica, news []ingest.AlertState) {
	targets, _ := m.nodes[r.id].alerts.Take(news)
	m.wake(r, targets)
}

func (m *alertmanager) wake(r *replica, targets []string) {
	if r.engine == nil {
		return // nobody is woken
	}
	life := r.life
	for _, t := range targets {
		m.w.clock.after(0, r.id, func() { m.w.pass(r, life, t) })
	}
}

// start is the process's start: what its disk holds is taken up.
func (m *alertmanager) start(r *replica) {
	if m == nil {
		return
	}
	if m.nodes[r.id] == nil {
		m.nodes[r.id] = &node{book: ingest.NewStore(ingest.Limits{})}
	}
	n := m.nodes[r.id]
	n.synced = m.w.clock.now.Add(500*time.Millisecond + m.span(4*time.Second))
	n.news, n.alerts = map[ingest.Key]ingest.AlertState{}, ingest.NewExternalAlerts(r.now)
	m.reload(r)
	life := r.life
	m.w.clock.at(n.synced, r.id, func() {
		if r.up && r.life == life {
			targets, _ := n.alerts.Synced()
			m.wake(r, targets)
		}
	})
	m.take(r, n.book.Firing())
}

// reload is a configuration that names the same targets.
func (m *alertmanager) reload(r *replica) {
	if m == nil {
		return
	}
	var all []ingest.Workload
	for _, a := range m.w.apps {
		t := a.target()
		all = append(all, ingest.Workload{Target: t.Name, Namespace: t.Namespace, Kind: t.Kind, Name: t.Workload,
			Service: t.Workload + "-web"})
	}
	m.nodes[r.id].alerts.Use(ingest.NewResolver(all, m.owner(r)))
}

// restore is what a new leader learns of external alerts from the stored incidents.
func (m *alertmanager) restore(r *replica, open, resolved []incident.Incident) {
	m.led = m.w.clock.now
	m.nodes[r.id].alerts.Restore(open, resolved, m.nodes[r.id].book)
}

// seen adds the external alerts of a target to what the replica sees of it.
func (m *alertmanager) seen(r *replica, target string, v engine.Snapshot) engine.Snapshot {
	if m == nil {
		return v
	}
	all := m.nodes[r.id].alerts.AlertsOf(target, v.Signals)
	if len(all) == 0 {
		return v
	}
	v.Alerts = slices.Clone(v.Alerts)
	for _, x := range all {
		v.Alerts = append(v.Alerts, incident.Alert{
			Rule: x.Rule, Severity: incident.P2, Firing: x.State == rules.Firing, Verdict: incident.Verdict(x.Verdict),
			Reason: x.Reason, Value: x.Value, Bound: x.Bound, Above: x.Above,
			Source: x.SourceKind, ActiveAt: x.ActiveAt, EvaluatedAt: x.EvaluatedAt, Lookback: 5 * time.Minute,
			Keys: x.Keys, Ladder: []incident.Rung{{Action: "page", Class: remediate.ClassOf("page")}},
		})
	}
	return v
}

// other answers for names that are no target.
func (m *alertmanager) other(name string) (engine.TargetSetup, bool) {
	t, ok := ingest.Unwatched(name)
	return engine.TargetSetup{Target: t, Mode: incident.Observe, ModeWhy: "not a target of the configuration"}, ok
}

// notified checks what receivers get against INV-57 and INV-75.
func (m *alertmanager) notified(i incident.Incident) {
	if m == nil || superseded(i) {
		return
	}
	for _, x := range i.Alerts {
		a := m.byName[x.Rule]
		if a == nil {
			continue
		}
		_, accepted := a.accepted[m.w.lead]
		switch {
		case !accepted && !x.Firing:
			delete(a.said, i.ID) // that was the end before, for all that this leader knows
		case accepted && x.Firing && a.ended.IsZero():
			for id := range a.said {
				if id != i.ID && m.w.incidents[id] != nil {
					m.w.oracle.violate("INV-57", "alert %s fires, and is reported in incident %s on %s after %s", a.name,
						i.ID, i.Target.Name, id)
				}
			}
			a.said[i.ID] = true
		}
		if !x.Firing || slices.Contains(a.reportedIn, i.ID) {
			continue
		}
		// What nobody holds any more, as hundreds of incidents ended since, cannot be known to be over.
		if slices.ContainsFunc(a.reportedIn, func(id string) bool {
			return m.w.incidents[id] != nil &&
				(a.back == 0 || m.open(id))
		}) {
			m.w.oracle.violate("INV-57", "alert %s is reported a second time, in incident %s on %s after %s", a.name, i.ID,
				i.Target.Name, strings.Join(a.reportedIn, ", "))
		}
		a.reportedIn = append(a.reportedIn, i.ID)
		if a.app != nil && i.Target.Name != a.app.name {
			m.w.oracle.violate("INV-75", "alert %s names a %s of %s, and incident %s is about %q", a.name, a.Names,
				a.app.name, i.ID, i.Target.Name)
		}
	}
}

// undisturbed is how long a leader has time to tell what it has accepted.
const undisturbed = 5 * time.Minute

// check looks once a minute whether what was accepted is told, and what is over has ended.
func (m *alertmanager) check() {
	now := m.w.clock.now
	if m.w.lead < 0 || !m.w.replicas[m.w.lead].up || m.w.replicas[m.w.lead].engine == nil ||
		now.Sub(m.w.down) < undisturbed || now.Before(m.w.mishaps.deaf) {
		m.led = now
		return
	}
	if now.Sub(m.led) < undisturbed || m.w.scenario.Faults.Disk > 0 {
		return
	}
	live := map[string]incident.Incident{}
	for id, s := range m.w.incidents {
		if i := s.value.(incident.Incident); i.Phase != incident.Resolved {
			live[id] = i
		}
	}
	for _, a := range m.all {
		at, accepted := a.accepted[m.w.lead]
		if !accepted || now.Sub(at) < undisturbed || !a.ended.IsZero() {
			continue
		}
		fires := slices.ContainsFunc(a.reportedIn, func(id string) bool { x, _ := live[id].Alert(a.name); return x.Firing })
		switch {
		case len(a.reportedIn) == 0:
			m.w.oracle.violate("INV-57", "alert %s was accepted %s ago and fires, and no receiver was notified", a.name,
				now.Sub(at).Round(time.Second))
		case !fires:
			m.w.oracle.violate("INV-57", "alert %s fires, and no incident that is open says so", a.name)
		}
		if len(m.w.oracle.violations) > 50 {
			return
		}
	}
	for _, a := range m.all {
		if a.ended.IsZero() || now.Sub(a.ended) < 2*undisturbed {
			continue
		}
		if state, _ := m.nodes[m.w.lead].book.State(m.key(a)); state != ingest.Resolved || !a.over[m.w.lead] {
			continue
		}
		for _, id := range a.reportedIn {
			if x, _ := live[id].Alert(a.name); x.Firing {
				m.w.oracle.violate("INV-57", "alert %s has been over for %s, and incident %s still says that it fires",
					a.name, now.Sub(a.ended).Round(time.Second), id)
			}
		}
	}
}

func (m *alertmanager) key(a *externalAlert) ingest.Key {
	var x ingest.Alert
	x.Labels = map[labelName]labelValue{}
	for k, v := range a.labels {
		x.Labels[labelName(k)] = labelValue(v)
	}
	return x.Key()
}

// externals draws the alerts of other systems, from a source of chance of its own.
func externals(s *Scenario) {
	d := &draw{rand.New(rand.NewPCG(s.Seed, 56))}
	if !d.chance(0.25) {
		return
	}
	kill := pick(d, 0, 0, 0.3)
	for range 1 + d.IntN(4) {
		t := s.Targets[d.IntN(len(s.Targets))].Name
		s.External = append(s.External, ExternalAlert{
			At: d.between(11*time.Minute, s.Length), For: d.between(10*time.Minute, 90*time.Minute), Target: t,
			Kill: kill, Odd: d.chance(0.2),
			Names:  pick(d, "pod", "pod", "gone pod", "deployment", "service", "node", "volume", "nothing"),
			Repeat: pick(d, 5*time.Minute, 30*time.Minute, 4*time.Hour),
		})
	}
	flaps := &draw{rand.New(rand.NewPCG(s.Seed, 58))}
	for k := range s.External {
		if x := &s.External[k]; flaps.chance(0.3) {
			x.For, x.Pause, x.Flaps = flaps.between(30*time.Second, 15*time.Minute), flaps.between(10*time.Second,
				15*time.Minute), 1+flaps.IntN(12)
		}
	}
	for range d.IntN(4) {
		what := pick(d, "reload", "pods replaced", "reload")
		s.Happens = append(s.Happens, Happening{At: d.between(11*time.Minute, s.Length), What: what,
			Target: map[bool]string{true: s.Targets[d.IntN(len(s.Targets))].Name}[what == "pods replaced"]})
	}
}
