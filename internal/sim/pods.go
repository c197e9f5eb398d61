package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// PodTraits are what pods of a target do in real clusters: they take their time.
// The zero value is a cluster in which pods are there at once.
type PodTraits struct {
	// Startup is how long a pod takes from its start until it is ready.
	Startup time.Duration
	// Node is how long a pod waits for a node when pods are added.
	Node time.Duration
	// Pull is how long the registry throttles the pull of a new pod's image.
	Pull time.Duration
	// Grace is how long a pod takes to end once it is deleted.
	Grace time.Duration
	// Quota is how many pods the namespace's quota admits; 0: as many as are wanted.
	Quota int
	// Deadline is the rollout's progress deadline; 0: ten minutes.
	Deadline time.Duration
}

// podTraits gives the targets of a swarm their pods. It has a source of chance of its own,
// so that everything else in the world of a seed stays what it was.
func podTraits(seed uint64, s *Scenario) {
	d := &draw{rand.New(rand.NewPCG(seed, 0x706f6473))}
	if d.chance(0.4) {
		return
	}
	if d.chance(0.5) {
		s.Policy.Limits.Pods = incident.Rate{Count: pick(d, 40, 100, 300), Per: time.Hour}
	}
	for k := range s.Targets {
		t := &s.Targets[k]
		if d.chance(0.5) {
			t.Pods.Startup = d.between(5*time.Second, 6*time.Minute)
		}
		if d.chance(0.25) {
			t.Pods.Node = d.between(20*time.Second, 150*time.Second)
		}
		if d.chance(0.15) {
			t.Pods.Pull = d.between(20*time.Second, 100*time.Second)
		}
		if d.chance(0.3) {
			t.Pods.Grace = d.between(30*time.Second, 10*time.Minute)
		}
		if d.chance(0.05) {
			t.Pods.Quota = t.Replicas
		}
		if d.chance(0.1) {
			t.Pods.Deadline = d.between(time.Minute, 5*time.Minute)
		}
		if d.chance(0.1) {
			s.Happens = append(s.Happens, Happening{At: d.between(11*time.Minute, s.Length), What: "node dies",
				Target: t.Name})
		}
	}
	sortHappens(s.Happens)
}

// added are pods that were wanted at the same moment and are not ready yet.
type added struct {
	n      int
	born   time.Time
	node   time.Time // when they find a node
	pulled time.Time // when the registry lets their image through
	ready  time.Time
}

// leaving are pods that are being deleted.
type leaving struct {
	n        int
	revision string
	born     time.Time
	until    time.Time // zero: for ever, their node is gone
}

// deadline is how long a rollout may make no progress.
func (t PodTraits) deadline() time.Duration {
	if t.Deadline > 0 {
		return t.Deadline
	}
	return 10 * time.Minute
}

// starts is how long a pod takes to become ready once it is wanted: an added one may
// wait for a node first.
func (t PodTraits) starts(added bool) time.Duration {
	d := t.Pull + t.Startup
	if added {
		d = max(10*time.Second, d+t.Node)
	}
	return d
}

// resized lets pods come or go after the wanted number has changed.
func (a *app) resized(from int) {
	now, p := a.w.clock.now, a.spec.Pods
	a.movedAt = now
	if gone := from - a.replicas; gone > 0 {
		for gone > 0 && len(a.coming) > 0 {
			last := &a.coming[len(a.coming)-1]
			n := min(gone, last.n)
			if last.n, gone = last.n-n, gone-n; last.n == 0 {
				a.coming = a.coming[:len(a.coming)-1]
			}
		}
		a.leave(gone, a.replicaSet(a.running), a.born[a.running])
		return
	}
	b := added{n: a.replicas - from, born: now, node: now.Add(p.Node), pulled: now.Add(p.Node + p.Pull),
		ready: now.Add(p.starts(true))}
	a.coming = append(a.coming, b)
}

// arrived is how many pods are ready of those that are wanted.
func (a *app) arrived() int {
	now, n := a.w.clock.now, a.replicas
	if q := a.spec.Pods.Quota; q > 0 {
		n = min(n, q)
	}
	kept := a.coming[:0]
	waiting := 0
	for _, b := range a.coming {
		if b.ready.After(now) {
			kept = append(kept, b)
			waiting += b.n
		}
	}
	a.coming = kept
	return max(0, min(n, a.replicas-waiting))
}

// leave lets pods end.
func (a *app) leave(n int, revision string, born time.Time) {
	if g := a.spec.Pods.Grace; g > 0 && n > 0 {
		a.going = append(a.going, leaving{n, revision, born, a.w.clock.now.Add(g)})
	}
}

// nodeDies loses one pod with its node: it is deleted and never goes, and another
// comes in its place.
func (a *app) nodeDies() {
	if a.ready < 2 || !a.rolling.IsZero() {
		return
	}
	a.going = append(a.going, leaving{1, a.replicaSet(a.running), a.born[a.running], time.Time{}})
	a.ready--
	now, p := a.w.clock.now, a.spec.Pods
	a.coming = append(a.coming, added{n: 1, born: now, node: now.Add(p.Node), pulled: now.Add(p.Node + p.Pull),
		ready: now.Add(p.starts(true))})
	a.look()
	a.w.clock.after(p.starts(true), -1, a.settle)
}

// settle counts the pods that have become ready.
func (a *app) settle() {
	a.movedAt = a.w.clock.now
	if a.rolling.IsZero() {
		was := a.ready
		if a.ready = a.arrived(); a.ready > was {
			a.lastReady = a.w.clock.now
		}
	}
	a.look()
}

// stalled is what the Deployment says of why no more pods come.
func (a *app) stalled() string {
	switch q := a.spec.Pods.Quota; {
	case a.on(CrashLoop):
		return "1 pods of the newest revision cannot start"
	case !a.rolling.IsZero() && a.w.clock.now.Sub(a.rolledAt) >= a.spec.Pods.deadline():
		return "ProgressDeadlineExceeded: the rollout has made no progress"
	case q > 0 && a.replicas > q:
		return "FailedCreate: exceeded quota"
	}
	return ""
}

// pods are the workload's pods as a read shows them, those of the newest revision first.
func (a *app) pods() []remediate.Pod {
	now := a.w.clock.now
	running := a.replicaSet(a.running)
	exist := a.replicas
	if q := a.spec.Pods.Quota; q > 0 {
		exist = min(exist, q)
	}
	waiting := 0
	for _, b := range a.coming {
		waiting += b.n
	}
	waiting = min(waiting, exist)
	all := make([]remediate.Pod, 0, exist+2)
	if !a.rolling.IsZero() {
		p := remediate.Pod{Name: a.name + "-new", Revision: a.replicaSet(a.template), Scheduled: true,
			CreatedAt: a.rolledAt, StartedAt: a.rolledAt}
		switch pulled := a.rolledAt.Add(a.spec.Pods.Pull); {
		case a.on(CrashLoop):
			p.Waiting, p.Restarts, p.LastExit = "CrashLoopBackOff", 4, "exit 1 (Error)"
		case now.Before(pulled):
			throttled(&p)
		}
		all = append(all, p)
	}
	for i := range exist - waiting {
		all = append(all, remediate.Pod{Name: fmt.Sprintf("%s-%d", a.name, i), Revision: running, Ready: i < a.ready,
			Scheduled: true, CreatedAt: a.born[a.running], StartedAt: a.born[a.running],
			ReadyAt: a.born[a.running].Add(a.spec.Pods.starts(false))})
	}
	for k, b := range a.coming {
		for i := range b.n {
			if len(all) > exist {
				break
			}
			p := remediate.Pod{Name: fmt.Sprintf("%s-added-%d-%d", a.name, k, i), Revision: running,
				Scheduled: !now.Before(b.node), CreatedAt: b.born, StartedAt: b.born}
			switch {
			case now.Before(b.node):
			case now.Before(b.pulled):
				throttled(&p)
			default:
				p.Waiting = "ContainerCreating"
			}
			all = append(all, p)
		}
	}
	for k, g := range a.going {
		if !g.until.IsZero() && !now.Before(g.until) {
			continue
		}
		for i := range g.n {
			all = append(all, remediate.Pod{Name: fmt.Sprintf("%s-old-%d-%d", a.name, k, i), Revision: g.revision,
				Scheduled: true, Terminating: true, StartedAt: g.born})
		}
	}
	return all
}

// throttled is a pod whose image the registry does not give out for a while.
func throttled(p *remediate.Pod) {
	p.Waiting, p.WaitingFor = "ImagePullBackOff",
		`Back-off pulling image "app": ErrImagePull: toomanyrequests: you have reached your pull rate limit`
}

// moving reports whether pods really come or are replaced: what only ends does not count.
func (a *app) moving() bool { return !a.rolling.IsZero() || len(a.coming) > 0 || a.ready < a.replicas }

// mending reports whether a good release is rolling out, which takes its time.
func (a *app) mending() bool {
	r := a.releases[a.templates[a.template].release]
	return a.spec.Pods.Startup > 0 && !a.rolling.IsZero() && !a.on(CrashLoop) && r == (release{})
}

// cannotStart is how many pods of the newest revision the watches count as unable to start.
func (a *app) cannotStart() int {
	if a.on(CrashLoop) {
		return 1
	}
	if a.spec.Pods.Pull == 0 || a.rolling.IsZero() && len(a.coming) == 0 {
		return 0
	}
	n, newest := 0, a.replicaSet(a.template)
	for _, p := range a.pods() {
		if p.Revision == newest && p.Waiting == "ImagePullBackOff" &&
			remediate.Failure(p, a.w.clock.now, remediate.StartupTime(remediate.Workload{Pods: a.pods()}, nil)) != "" {
			n++
		}
	}
	return n
}

// rollout is what the watches say of it.
func (a *app) rollout() incident.Rollout {
	r := incident.Rollout{Known: true, Done: a.rolling.IsZero() && a.ready >= a.replicas, Ready: a.ready,
		Replicas: a.replicas, LastReady: a.lastReady, Deadline: a.spec.Pods.deadline(), Stalled: a.stalled()}
	if a.spec.Rollouts.Service {
		r.Endpoints = map[string]int{a.name: a.endpoints()}
	}
	if r.Done && len(a.going) > 0 {
		w := a.workload()
		r.Done = !w.RolloutInProgress()
	}
	return r
}

// cpu is what the metrics of the cluster say of it; one world in eight has none.
func (a *app) cpu() *float64 {
	if a.w.scenario.Seed%8 == 0 || a.w.monitor(a, a.w.clock.now) != "" {
		return nil
	}
	v := a.value("cpu")
	return &v
}
