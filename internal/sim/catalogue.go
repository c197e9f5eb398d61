package sim

import (
	"math"
	"time"
)

// want is what a careful operator expects of a failure.
type want int

const (
	mustCure   want = iota // it can be ended, and Cures says how; telling a person is the second best
	mustTell               // nothing that watchdog may do ends it: a person must hear of it
	mustNotAct             // nothing may be done; whether somebody hears of it is the policy's choice
	mustRest               // nothing may be done, and nobody may be woken
)

// Failure is one entry of the catalogue.
type Failure struct {
	Name   string
	About  string
	Expect string
	// Metrics are those in which it shows, for advice to who has no rule on them.
	Metrics []string

	want     want
	at       time.Duration // when it begins, if that is not after the usual time of calm
	replicas int           // of watchdog; 0: one
	spec     func(*Target)
	// happens are the words of the failure; from is when it begins, seen when the
	// policy fires at a failing release.
	happens func(target string, from, seen time.Duration) []Happening
	night   time.Duration // how long the application has next to no users
}

// Catalogue returns the failures that a policy is tried against.
func Catalogue() []Failure {
	one := func(what string, d time.Duration, times float64) func(string, time.Duration, time.Duration) []Happening {
		return func(target string, from, _ time.Duration) []Happening {
			return []Happening{{At: from, What: what, Target: target, For: d, Times: times}}
		}
	}
	// release is a release of which half the requests fail, and something more.
	release := func(more func(target string, from, seen time.Duration) Happening) func(string, time.Duration,
		time.Duration) []Happening {
		return func(target string, from, seen time.Duration) []Happening {
			return []Happening{{At: from, What: "failing release", Target: target, Times: 0.5},
				more(target, from, seen)}
		}
	}
	const long = 100 * time.Hour
	symptoms := []string{"error_rate", "health"}
	return []Failure{
		{Name: "bad release", About: "a release fails half of its requests", Expect: "rolled back", Metrics: symptoms,
			happens: one("failing release", 0, 0.5)},
		{Name: "slow release", About: "a release answers after two seconds", Expect: "rolled back",
			Metrics: []string{"response_time"}, happens: one("slow release", 0, 0)},
		{Name: "crashing release", About: "the pods of a release never start; the old ones go on serving",
			Expect: "rolled back", Metrics: []string{"crash_looping"}, happens: one("crashing release", 0, 0)},
		{Name: "release that is never ready",
			About: "the pods of a release run and never become ready; the old ones go on serving, and the rollout " +
				"misses its deadline of ten minutes", Expect: "rolled back", Metrics: []string{"rollout_stalled"},
			happens: one("release that is never ready", 0, 0)},
		{Name: "bad release, nothing good known",
			About: "a release fails half of its requests two minutes after watchdog saw the application for the " +
				"first time", Expect: "a person is paged: there is nothing proven to go back to", Metrics: symptoms,
			want: mustTell, at: 2 * time.Minute, happens: one("failing release", 0, 0.5)},
		{Name: "dead agents", About: "one agent of three is left; new pods bring them back", Expect: "restarted",
			Metrics: []string{"active_agents"}, happens: one("dead agents", 0, 0)},
		{Name: "memory leak", About: "memory is above 90 % of the limit and rises; users notice nothing yet",
			Expect: "restarted", Metrics: []string{"memory"}, happens: one("memory leak", 0, 0)},
		{Name: "memory leak in one pod", About: "one pod of three is near the limit of its memory, the others at 31 %",
			Expect: "restarted", Metrics: []string{"memory"}, happens: one("memory leak in one pod", 0, 0)},
		{Name: "overload", About: "a third more load than the replicas can take, for hours; one more replica is enough",
			Expect: "scaled", Metrics: []string{"response_time", "cpu"}, happens: one("overload", long, 1.3)},
		{Name: "overload beyond all replicas", About: "thirty times the load, for hours", Expect: "a person is paged",
			Metrics: []string{"response_time", "cpu", "error_rate"}, want: mustTell,
			happens: one("overload", long, 15)},
		{Name: "scaled to zero", About: "somebody scales the application to zero",
			Expect: "a person is paged: only people know whether that is meant", Metrics: []string{"scaled_to_zero"},
			want: mustTell, happens: one("scaled to zero", 0, 0)},
		{Name: "database down", About: "a dependency is down for an hour",
			Expect: "a person is paged, nothing is done to the application", Metrics: []string{"dependency"},
			want: mustTell, happens: one("dependency down", time.Hour, 0)},
		{Name: "database blip", About: "a dependency is down for 30 seconds", Expect: "nothing", want: mustNotAct,
			happens: one("dependency down", 30*time.Second, 0)},
		{Name: "glitch", About: "nobody answers for 20 seconds", Expect: "nothing", want: mustRest,
			happens: one("glitch", 20*time.Second, 0)},
		{Name: "flapping", About: "nobody answers for 40 seconds, every three minutes, ten times",
			Expect: "no action; a page is fine", want: mustNotAct,
			happens: func(target string, from, _ time.Duration) []Happening {
				var all []Happening
				for k := range 10 {
					all = append(all, Happening{At: from + time.Duration(k)*3*time.Minute, What: "glitch",
						Target: target,
						For:    40 * time.Second})
				}
				return all
			}},
		{Name: "platform fault", About: "every target has errors at once, for an hour: a network or a zone",
			Expect: "a person is paged, nothing is done to the applications", Metrics: []string{"error_rate", "health"},
			want: mustTell, happens: one("platform fault", time.Hour, 1)},
		{Name: "good release", About: "a release that works rolls out", Expect: "nothing", want: mustRest,
			happens: one("good release", 0, 0)},
		{Name: "quiet night", About: "two requests in a minute, one of them fails, for half an hour",
			Expect: "nothing: that is no rate", want: mustRest, night: 30 * time.Minute,
			happens: func(string, time.Duration, time.Duration) []Happening { return nil }},
		{Name: "the application lies", About: "its own numbers are bad for half an hour, and nothing is wrong with it",
			Expect: "no action; a page is fine", want: mustNotAct, happens: one("lying", 30*time.Minute, 0)},
		{Name: "monitoring blind", About: "watchdog sees nothing for a quarter of an hour, and nothing is wrong",
			Expect: "nothing", want: mustRest, happens: func(_ string, from, _ time.Duration) []Happening {
				return []Happening{{At: from, What: "blind", For: 15 * time.Minute}}
			}},
		{Name: "bad release, then blind", About: "a minute after a bad release watchdog sees nothing for ten minutes",
			Expect: "nothing while blind, then rolled back", Metrics: symptoms,
			happens: release(func(_ string, from, _ time.Duration) Happening {
				return Happening{At: from + time.Minute, What: "blind", For: 10 * time.Minute}
			})},
		{Name: "bad release, held by a person", About: "a person put a hold on the workload", Expect: "no action",
			want: mustNotAct, happens: release(func(target string, from, _ time.Duration) Happening {
				return Happening{At: from - time.Minute, What: "hold", Target: target}
			})},
		{Name: "bad release, a person at work", About: "a person changes the workload ten seconds after the rule fired",
			Expect: "cured or notified, and the person's change is left alone", Metrics: symptoms,
			happens: release(func(target string, _, seen time.Duration) Happening {
				return Happening{At: seen + 10*time.Second, What: "scale by hand", Target: target, Times: 1}
			})},
		{Name: "bad release, leader killed", About: "the leading watchdog is killed a second after the rule fired",
			Expect: "rolled back by the other", Metrics: symptoms, replicas: 2,
			happens: release(func(_ string, _, seen time.Duration) Happening {
				return Happening{At: seen + time.Second, What: "kill"}
			})},
		{Name: "bad release, API server down",
			About:  "the API server answers nobody for five minutes, from before the rule fires",
			Expect: "rolled back afterwards", Metrics: symptoms,
			happens: release(func(_ string, _, seen time.Duration) Happening {
				return Happening{At: seen - 30*time.Second, What: "api server down", For: 5 * time.Minute}
			})},
		{Name: "bad release, Argo CD owns it", About: "another controller says that the workload is its own",
			Expect: "a person is paged, nothing is written", Metrics: symptoms, want: mustTell,
			spec:    func(t *Target) { t.Owner = "Argo CD application " + t.Name },
			happens: one("failing release", 0, 0.5)},
		{Name: "bad release, GitOps reverts",
			About:  "another controller, which does not say so, sets back within a minute what it did not write",
			Expect: "a person is paged, and nobody fights", Metrics: symptoms, want: mustTell,
			spec: func(t *Target) { t.Reverter = time.Minute }, happens: one("failing release", 0, 0.5)},
	}
}

// usual is how long a world is calm before a failure,
// so that the present release is known good.
func usual(goodAfter time.Duration) time.Duration {
	return min(6*time.Hour, max(15*time.Minute, goodAfter+5*time.Minute)).Round(time.Minute)
}

// patience is how long a failure is played at most: until the slowest rule has
// fired, its ladder is worked, and recovery is believed.
func patience(p *Policy) time.Duration {
	slowest := 30 * time.Minute
	for _, r := range p.Rules {
		d := r.For + r.Window + r.ClearFor
		for _, x := range r.Ladder {
			d += x.Settle + x.Verify*time.Duration(max(1, x.Attempts))
		}
		slowest = max(slowest, d)
	}
	return min(24*time.Hour, slowest+p.Core.WaitLimit+time.Duration(math.Max(float64(p.Limits.Cooldown),
		float64(5*time.Minute))))
}
