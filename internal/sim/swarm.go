package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

// Swarm makes the scenario of a seed: a random policy, random applications,
// random trouble, and a random subset of everything that can go wrong.
func Swarm(seed uint64) *Scenario {
	d := &draw{rand.New(rand.NewPCG(seed, 2))}
	s := &Scenario{Name: fmt.Sprintf("seed %d", seed), Seed: seed, Length: time.Duration(1+d.IntN(3)) * time.Hour,
		Replicas: 1 + d.IntN(3)}
	n := 1 + d.IntN(4)
	if d.chance(0.2) {
		n = 5 + d.IntN(16)
	}
	for k := range n {
		t := Target{Name: fmt.Sprintf("app%d", k), Namespace: fmt.Sprintf("ns%d", d.IntN(3)), Replicas: 2 + d.IntN(5),
			Rollout: time.Duration(10+d.IntN(30)) * time.Second}
		if d.chance(0.3) {
			t.MaxUnavailable = 1 + d.IntN(2)
		}
		switch {
		case d.chance(0.03):
			t.Owner = "Argo CD application " + t.Name
		case d.chance(0.15):
			t.Autoscaler = Autoscaler{Min: t.Replicas, Max: t.Replicas + d.IntN(8)}
		case d.chance(0.03):
			t.Reverter = time.Duration(20+d.IntN(100)) * time.Second
		}
		s.Targets = append(s.Targets, t)
	}
	s.Policy = d.policy()
	s.Lag = lag(seed, s.Policy)
	s.Faults = d.faults()
	s.Happens = d.happenings(s)
	podTraits(seed, s)
	s.Habits = habitsOf(s)
	externals(s)
	s.sourced()
	fates(s)
	return s
}

// draw is a source of chance with the few shapes that a swarm needs.
type draw struct{ *rand.Rand }

func (d *draw) chance(p float64) bool { return d.Float64() < p }

func (d *draw) between(a, b time.Duration) time.Duration {
	return a + time.Duration(d.Int64N(int64(b-a)+1))
}

func pick[T any](d *draw, of ...T) T { return of[d.IntN(len(of))] }

// faults are on or off for the whole run, each with its own strength.
func (d *draw) faults() Faults {
	var f Faults
	if d.chance(0.3) {
		return f
	}
	for _, p := range []struct {
		of   *float64
		most float64
	}{{&f.Kill, 0.003}, {&f.Stall, 0.01}, {&f.Slow, 0.2}, {&f.Error, 0.1}, {&f.Stale, 0.2}, {&f.Lost, 0.3},
		{&f.Late, 0.3}, {&f.Reply, 0.3}, {&f.Twice, 0.3}, {&f.Disk, 0.05}} {
		if d.chance(0.4) {
			*p.of = d.Float64() * p.most
		}
	}
	return f
}

func (d *draw) policy() *Policy {
	p := &Policy{Mode: incident.Auto, Core: incident.DefaultPolicy(),
		Settings: remediate.Settings{AvailabilityFloor: pick(d, 0.5, 0.6, 0.3), MaxUnhealthy: pick(d, 0.3, 0.5, 0.9, 1),
			SuspectWindow: time.Duration(pick(d, 15, 30, 60)) * time.Minute,
			GoodAfter:     time.Duration(pick(d, 2, 5, 10)) * time.Minute,
			HumanChange:   time.Duration(pick(d, 10, 30)) * time.Minute,
			OwnChange:     time.Duration(pick(d, 10, 30, 60)) * time.Minute,
			StartupGrace:  time.Duration(pick(d, 0, 2, 5)) * time.Minute, MaxReplicas: pick(d, 8, 20, 50),
			StaleAfter: 15 * time.Second},
		Limits: incident.Limits{PerTarget: incident.Rate{Count: pick(d, 3, 6, 20), Per: time.Hour},
			PerNamespace: incident.Rate{Count: pick(d, 5, 20, 60), Per: time.Hour},
			Cluster:      incident.Rate{Count: pick(d, 10, 40, 200), Per: time.Hour}, Concurrent: pick(d, 1, 2, 5),
			Cooldown: time.Duration(pick(d, 1, 5, 10)) * time.Minute,
			Quarantine: pick(d, incident.Rate{}, incident.Rate{Count: 3, Per: 6 * time.Hour},
				incident.Rate{Count: 5, Per: 2 * time.Hour}, incident.Rate{Count: 12, Per: time.Hour}),
			MinInterval: time.Duration(pick(d, 0, 10, 20)) * time.Second},
	}
	if d.chance(0.05) {
		p.Mode = pick(d, incident.Observe, incident.Suggest)
	} else if p.Settings.AvailabilityFloor == 0.3 && p.Limits.Quarantine.Count == 12 {
		p.Mode = incident.Approve // one world in twelve; no draw, so that every other stays what it was
	}
	// No draws, so that every other stays what it was.
	if p.Settings.GoodAfter == 10*time.Minute && p.Settings.MaxUnhealthy == 0.5 {
		p.Settings.SuspectWindow = 5 * time.Minute // shorter than a release is looked at; no draw
	}
	if p.Settings.OutageTolerance = 3 * time.Minute; p.Settings.GoodAfter == 5*time.Minute {
		p.Settings.StormFrom = 5
	}
	p.Core.WaitLimit = time.Duration(pick(d, 3, 5, 10)) * time.Minute
	p.Core.HoldLimit = 2 * p.Core.WaitLimit
	p.Core.Retry = time.Duration(pick(d, 5, 10, 20)) * time.Second
	wait, clear := time.Duration(pick(d, 10, 20, 60))*time.Second, time.Duration(pick(d, 10, 30, 60))*time.Second
	p.add(threshold("error_rate", "P1", "app", 0.05, true, "ratio", wait, clear),
		"", pick(d, []incident.Action{"rollback", "page"}, []incident.Action{"capture", "restart", "rollback", "page"},
			[]incident.Action{"scale", "rollback", "restart", "page"},
			[]incident.Action{"rollback", "rollback", "page"})...)
	p.add(threshold("response_time", "P2", "app", 0.5, true, "seconds", wait, clear),
		"", pick(d, []incident.Action{"scale", "page"}, []incident.Action{"scale", "rollback", "page"},
			[]incident.Action{"scale", "scale", "page"})...)
	p.add(threshold("active_agents", "P1", "app", 2, false, "", wait, clear),
		"", pick(d, []incident.Action{"restart", "page"}, []incident.Action{"capture",
			"restart", "restart", "page"})...)
	p.add(threshold("memory", "P2", "kubernetes", 0.9, true, "ratio", wait, clear), "the kubelet is the only witness",
		"restart", "page")
	p.add(threshold("crash_looping", "P1", "kubernetes", 0, true, "", wait, clear), "Kubernetes is the only witness",
		"rollback", "page")
	if p.Mode == incident.Approve && p.Core.Retry == 10*time.Second {
		p.interlock(2, 30*time.Second) // no draw either
	}
	return p
}

func threshold(metric, severity, source string, bound float64, above bool, unit string, wait,
	clear time.Duration) Rule {
	return Rule{Metric: metric, Threshold: rules.Threshold{Name: metric, What: metric, Severity: severity,
		SourceKind: source, Above: above, Bound: bound, Clear: bound, Unit: unit, For: wait, ClearFor: clear,
		Staleness: time.Minute}}
}

// add gives a rule its ladder.
func (p *Policy) add(r Rule, single string, actions ...incident.Action) {
	r.SingleSource = single
	for k, a := range actions {
		r.Ladder = append(r.Ladder, incident.Rung{Action: a, Class: remediate.ClassOf(a), Settle: 10 * time.Second,
			Verify: 2 * time.Minute, Index: k})
		r.Options = append(r.Options, remediate.Options{By: "50%", Max: 30, Lease: 20 * time.Minute})
	}
	p.Rules = append(p.Rules, r)
}

// interlock makes every rung wait for several people, and then for an objection.
func (p *Policy) interlock(approvals int, coolOff time.Duration) {
	for _, r := range p.Rules {
		for k := range r.Options {
			r.Options[k].Approvals, r.Options[k].CoolOff = approvals, coolOff
		}
	}
}

// happenings spreads trouble over the targets, and what else can happen over the run.
func (d *draw) happenings(s *Scenario) []Happening {
	var all []Happening
	// Known good first: nothing begins before every revision had its time.
	begin := 11 * time.Minute
	for _, t := range s.Targets {
		for at := begin + d.between(0, 5*time.Minute); at < s.Length; at += d.between(2*time.Minute, 10*time.Minute) {
			what := pick(d, "failing release", "failing release", "slow release", "crashing release", "good release",
				"dead agents", "dead agents", "memory leak", "overload", "overload", "dependency down",
				"contention", "glitch", "glitch")
			all = append(all, Happening{At: at, What: what, Target: t.Name,
				For: d.between(20*time.Second, 8*time.Minute), Times: 1 + 3*d.Float64()})
		}
	}
	some := func(p float64, each time.Duration, make func(at time.Duration) Happening) {
		if !d.chance(p) {
			return
		}
		for at := d.between(0, each); at < s.Length; at += d.between(each/4, 2*each) {
			all = append(all, make(at))
		}
	}
	one := func() string { return s.Targets[d.IntN(len(s.Targets))].Name }
	for _, what := range []string{"hold", "edit", "scale by hand", "lying", "blind", "stale", "error", "nan"} {
		some(0.2, 30*time.Minute, func(at time.Duration) Happening {
			return Happening{At: at, What: what, Target: one(), For: d.between(10*time.Second, 10*time.Minute),
				Times: float64(1 + d.IntN(3))}
		})
	}
	for _, what := range []string{"blind", "error", "kill switch", "api server down", "platform fault"} {
		some(0.15, time.Hour, func(at time.Duration) Happening {
			return Happening{At: at, What: what, For: d.between(10*time.Second, 6*time.Minute), Times: 0.4 +
				0.6*d.Float64()}
		})
	}
	for _, what := range []string{"kill", "lease lost", "hand over"} {
		some(0.3, 20*time.Minute, func(at time.Duration) Happening { return Happening{At: at, What: what} })
	}
	some(0.15, time.Hour, func(at time.Duration) Happening {
		year := 365 * 24 * time.Hour
		return Happening{At: at, What: "clock jump", For: pick(d, -year, year, -time.Hour, time.Hour,
			d.between(-10*time.Second, 10*time.Second))}
	})
	some(0.03, 3*time.Hour, func(at time.Duration) Happening { return Happening{At: at, What: "claim", Target: one()} })
	sortHappens(all)
	return all
}

func sortHappens(all []Happening) {
	slices.SortStableFunc(all, func(a, b Happening) int { return cmp.Compare(a.At, b.At) })
}
