package sim

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/notify/receivers"
	"watchdog.io/watchdog/pkg/remediate"
)

// bounces is how often watchdog is disturbed over a world that stays as it is.
const bounces = 1000

// TestAThousandBouncesOverAnUnchangedWorld_INV07: one service is well, one is a
// person's, one runs on a lease, one was healed, one is held, one cannot be seen.
// Nothing else happens; then watchdog is killed, stopped, robbed of its lease and
// reloaded a thousand times. It writes to no target, pages nobody, opens nothing,
// and the receivers of production, asked whether there is news, say that there is none.
func TestAThousandBouncesOverAnUnchangedWorld_INV07(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("replicas=%d", seed+1), func(t *testing.T) {
			t.Parallel()
			s := unchanged(seed)
			s.Policy.Core.HoldLimit = 0 // its page would be news of these hours, and no bounce's
			w := newWorld(s, nil)
			terms := 0
			w.trace = func(_ time.Time, text string) {
				if strings.HasSuffix(text, " leads") {
					terms++
				}
			}
			people := newPeople(t, w)
			w.tell = people.tell
			w.clock.run(epoch.Add(s.Length))
			settledAsMeant(t, w)

			before, notified, first := census(w), len(people.received()), terms
			did := map[string]int{}
			for n := 0; n < bounces; {
				what := disturb(w)
				if what == "" {
					w.clock.run(w.clock.now.Add(time.Second))
					continue
				}
				did[what]++
				n++
				// Some come before the last is over, others when a leader has settled.
				d := w.span(5 * time.Second)
				if n%3 == 0 {
					d = 20*time.Second + w.span(2*time.Minute)
				}
				w.clock.run(w.clock.now.Add(d))
			}
			w.clock.run(w.clock.now.Add(10 * time.Minute))
			w.oracle.end()

			t.Logf("%v in %s of the world's time, %d terms of leaders", did, w.clock.now.Sub(epoch).Round(time.Hour),
				terms-first)
			if terms-first < bounces/4 {
				t.Errorf("only %d new leaders: the world was hardly bounced", terms-first)
			}
			if after := census(w); after != before {
				t.Errorf("the world became\n%s, and was\n%s", after, before)
			}
			for _, v := range w.oracle.violations {
				t.Errorf("%s: %s", v.Invariant, v.Text)
			}
			var news []string
			for _, q := range people.received()[notified:] {
				news = append(news, fmt.Sprintf("%s %s %s: %s", q.Receiver, q.Action, q.Key, q.Body))
			}
			if len(news) > 0 {
				t.Errorf("%d messages, the first of them:\n%s", len(news), strings.Join(news[:min(4, len(news))], "\n"))
			}
		})
	}
}

// unchanged is the world before the first bounce: enough time for all that was
// begun to come to rest, and a lease that outlives the test.
func unchanged(seed uint64) *Scenario {
	const always = 10_000 * time.Hour
	s := &Scenario{Name: "bounce", Seed: seed, Length: 90 * time.Minute, Replicas: int(seed) + 1, Alone: true}
	for _, name := range []string{"well", "also-well", "still-well", "persons", "leased", "healed", "held", "unseen"} {
		s.Targets = append(s.Targets, Target{Name: name, Namespace: "shop", Replicas: 4, Rollout: 20 * time.Second})
	}
	s.Policy = &Policy{Mode: incident.Auto, Core: incident.DefaultPolicy(),
		Settings: remediate.Settings{AvailabilityFloor: 0.5, MaxUnhealthy: 0.5, SuspectWindow: 15 * time.Minute,
			GoodAfter: 2 * time.Minute, HumanChange: 10 * time.Minute, MaxReplicas: 20, StaleAfter: 15 * time.Second},
		Limits: incident.Limits{
			PerTarget: incident.Rate{Count: 6, Per: time.Hour}, PerNamespace: incident.Rate{Count: 20, Per: time.Hour},
			Cluster: incident.Rate{Count: 40, Per: time.Hour}, Concurrent: 2, Cooldown: 5 * time.Minute}}
	wait := 10 * time.Second
	s.Policy.add(threshold("error_rate", "P1", "app", 0.2, true, "ratio", wait, wait), "", "restart", "page")
	s.Policy.add(threshold("active_agents", "P1", "app", 2, false, "", wait, wait), "", "restart", "page")
	// Too small an overload for the other rules to see.
	s.Policy.add(threshold("cpu", "P2", "app", 0.95, true, "ratio", wait, wait), "", "scale", "page")
	for k := range s.Policy.Rules {
		for o := range s.Policy.Rules[k].Options {
			s.Policy.Rules[k].Options[o].Lease = always
		}
	}
	s.Happens = []Happening{
		{At: 12 * time.Minute, What: "dependency down", Target: "persons", For: always},
		{At: 25 * time.Minute, What: "overload", Target: "leased", For: always, Times: 1.3},
		{At: 35 * time.Minute, What: "dead agents", Target: "healed"},
		{At: 45 * time.Minute, What: "hold", Target: "held"},
		{At: 46 * time.Minute, What: "dead agents", Target: "held"},
		{At: 55 * time.Minute, What: "hold", Target: "unseen"},
		{At: 56 * time.Minute, What: "dependency down", Target: "unseen", For: always},
		{At: 58 * time.Minute, What: "blind", Target: "unseen", For: always},
	}
	return s
}

// settledAsMeant: the world that is bounced holds what the test speaks of.
func settledAsMeant(t *testing.T, w *World) {
	t.Helper()
	phases := map[string]incident.Phase{}
	paged := map[string]bool{}
	for _, i := range w.oracle.last {
		phases[i.Target.Name], paged[i.Target.Name] = i.Phase, i.Paged
	}
	want := map[string]incident.Phase{"persons": incident.Escalated, "leased": incident.Resolved,
		"healed": incident.Resolved, "held": incident.Suppressed}
	for name, phase := range want {
		if phases[name] != phase {
			t.Fatalf("the incident of %s is %q, want %q: %v", name, phases[name], phase, phases)
		}
	}
	if !paged["persons"] {
		t.Fatal("nobody was paged for the incident that is a person's")
	}
	if l, _ := w.readLedger(); len(l.Leases) != 1 || l.Leases[0].Plan.Target.Name != "leased" || len(l.Ops) != 0 ||
		w.byName["leased"].replicas != 6 {
		t.Fatalf("want one lease, of leased, on 6 replicas, and no op; got %d replicas and %+v",
			w.byName["leased"].replicas, l)
	}
	if _, on := phases["unseen"]; !on {
		t.Fatal("there is no incident on unseen")
	}
}

// census is everything that must stay as it is.
func census(w *World) string {
	l, _ := w.readLedger()
	var all []string
	for _, i := range w.oracle.last {
		all = append(all, fmt.Sprintf("%s on %s: %s, paged %v: %s", i.ID, i.Target.Name, i.Phase, i.Paged,
			i.PageReason))
	}
	for _, a := range w.apps {
		all = append(all, fmt.Sprintf("%s version %d, %d replicas, %v", a.name, a.version, a.replicas, a.annotations))
	}
	slices.Sort(all)
	return fmt.Sprintf("%d writes to targets, %d incidents, %d ops, %d leases\n", len(w.oracle.effects),
		len(w.oracle.opened), len(l.Ops), len(l.Leases)) + strings.Join(all, "\n")
}

// disturb does one thing to watchdog, and says what; empty: there was nobody to do it to.
func disturb(w *World) string {
	leads := w.lead >= 0
	switch k := w.dice.IntN(10); {
	case leads && k < 3:
		w.kill(w.replicas[w.lead], "killed")
		return "leader killed"
	case leads && k < 5:
		w.handOver()
		return "handed over"
	case leads && k < 7 && len(w.replicas) > 1:
		w.usurp()
		return "lease lost"
	case leads && k < 9:
		w.reload(w.replicas[w.lead])
		return "reloaded"
	}
	r := w.replicas[w.dice.IntN(len(w.replicas))]
	if !r.up {
		return ""
	}
	w.kill(r, "killed")
	return "any replica killed"
}

// people are the receivers of production, with the vendors' recorders behind
// them. What a replica's outbox knows dies with the process, as if its disk were
// gone too: what was sent must be known from the incident's receipts.
type people struct {
	t     *testing.T
	rec   *recorders.Recorder
	to    []notify.Notifier
	lanes map[laneKey]*lane
}

type laneKey struct {
	*link
	receiver string
}

// lane is one receiver's part of an outbox: the newest state of each incident,
// and what was told.
type lane struct {
	waiting  map[string]incident.Incident
	receipts map[string]incident.Receipt
}

func newPeople(t *testing.T, w *World) *people {
	t.Helper()
	p := &people{t: t, rec: recorders.New(recorders.Options{}), lanes: map[laneKey]*lane{}}
	srv := httptest.NewServer(p.rec)
	t.Cleanup(srv.Close)
	dir := t.TempDir()
	for name, secret := range map[string]string{"pagerduty": strings.Repeat("0", 32), "slack": "xoxb-test"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	p.to, err = receivers.FromConfig(&config.Config{Receivers: config.Receivers{
		PagerDuty: &config.PagerDuty{URL: srv.URL + "/pagerduty", RoutingKeyFile: filepath.Join(dir, "pagerduty"),
			Severities: []incident.Severity{incident.P0, incident.P1}},
		Slack: &config.Slack{URL: srv.URL + "/slack/api/", TokenFile: filepath.Join(dir, "slack"),
			Channel: "#incidents", Severities: []incident.Severity{incident.P0, incident.P1, incident.P2, incident.P3}},
	}}, func() time.Time { return w.clock.now })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// received is everything that reached PagerDuty and Slack.
func (p *people) received() []recorders.Request { return p.rec.Snapshot().Requests }

// tell queues the incident for every receiver, as the outbox does.
func (p *people) tell(l *link, i incident.Incident) {
	for _, n := range p.to {
		k := laneKey{l, n.Name()}
		if p.lanes[k] == nil {
			p.lanes[k] = &lane{map[string]incident.Incident{}, map[string]incident.Receipt{}}
		}
		of := p.lanes[k]
		_, queued := of.waiting[i.ID]
		of.waiting[i.ID] = i
		if queued {
			continue
		}
		l.w.clock.after(l.w.span(time.Second), -1, func() {
			newest := of.waiting[i.ID]
			delete(of.waiting, i.ID)
			if l.alive() {
				p.deliver(l, of, n, newest)
			}
		})
	}
}

// deliver asks a receiver whether there is news, and hands the receipt back.
func (p *people) deliver(l *link, of *lane, n notify.Notifier, i incident.Incident) {
	prev := of.receipts[i.ID]
	if theirs := i.Receipts[n.Name()]; theirs.At.After(prev.At) {
		prev = theirs
	}
	next, err := n.Notify(context.Background(), i, prev)
	var f *notify.Failure
	switch {
	case errors.As(err, &f) && f.Delivered:
		// The thread waits for its turn.
		l.w.clock.after(f.After, -1, func() {
			if l.alive() {
				p.deliver(l, of, n, i)
			}
		})
	case err != nil:
		p.t.Errorf("tell %s of %s: %v", n.Name(), i.ID, err)
	}
	r := l.r
	if next == prev || r.engine == nil {
		return
	}
	next.At = l.w.clock.now
	of.receipts[i.ID] = next
	r.engine.Delivered(i.ID, n.Name(), next)
	name := i.Target.Name
	if i.Phase == incident.Resolved {
		name = "/closed/" + i.ID
	}
	l.w.pass(r, l.life, name)
}
