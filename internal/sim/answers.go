package sim

import (
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/probes"
)

// asked is one look of a probe over the network at an application that answers.
type asked struct {
	probe   Probe
	at      time.Time
	errors  float64 // the share of requests that fail
	latency time.Duration
}

// answers are what an application says to each kind of probes.Kinds that is played.
var answers = map[string]func(*app, asked) probes.Result{
	"health": func(a *app, q asked) probes.Result {
		r := state(q.errors > degraded || a.on(Agents) || a.on(Dependency), "degraded")
		r.Samples = a.health(q.at)
		return r
	},
	"sla": func(a *app, q asked) probes.Result {
		return probes.Result{State: probes.OK, Samples: a.sla(q.at, a.pastMinute().errors, a.pastMinute().latency)}
	},
	"agents": func(a *app, q asked) probes.Result {
		return probes.Result{State: probes.OK, Samples: []*model.Sample{
			sample(q.at, "watchdog_agents_active", a.value("active_agents")),
			sample(q.at, "watchdog_agents_desired", 3)}}
	},
	"http": func(a *app, q asked) probes.Result {
		limit := q.probe.Timeout
		if q.probe.Limit > 0 {
			limit = q.probe.Limit
		}
		if q.latency > limit {
			return state(true, "answered in "+q.latency.Round(time.Millisecond).String())
		}
		return state(a.w.chance(q.errors), "status 500 Internal Server Error")
	},
	"tcp": func(*app, asked) probes.Result { return state(false, "") },
}

// PlaysProbe reports whether the world answers probes of the kind.
func PlaysProbe(kind string) bool { return answers[kind] != nil }

// answer is what a probe over the network gets.
func (a *app) answer(p Probe, at time.Time) probes.Result {
	errors, latency := a.felt()
	a.remember(errors, latency)
	switch play := answers[p.Kind]; {
	case p.Outside:
		return state(p.Kind == "tcp" && a.on(Dependency), "connection refused")
	case a.gone():
		return state(true, "no answer in time")
	case play != nil:
		return play(a, asked{p, at, errors, latency})
	}
	return probes.Result{Detail: "the simulator does not play probes of kind " + p.Kind}
}
