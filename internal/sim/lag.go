package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/remediate"
)

// Lag is a trait of monitoring: how far it stays behind the truth. The zero value
// sees everything at once.
type Lag struct {
	// Every is the time between two samples of one series, Window how far rates and
	// means look back, and Damping how many looks it takes to believe a probe.
	Every   time.Duration
	Window  time.Duration
	Damping probes.NofM
}

// behind is how long monitoring may go on seeing what is over.
func (l Lag) behind() time.Duration {
	return l.Window + l.Every*time.Duration(max(1, l.Damping.Successes))
}

// lag draws the trait of a seed from a source of its own, so that every other draw
// stays what it was. A policy whose probes are damped has a rule on them.
func lag(seed uint64, p *Policy) Lag {
	d := &draw{rand.New(rand.NewPCG(seed, 62))}
	if d.chance(0.3) {
		return Lag{}
	}
	l := Lag{Every: time.Duration(pick(d, 5, 10, 15, 30)) * time.Second,
		Window:  time.Duration(pick(d, 0, 60, 60, 120, 300)) * time.Second,
		Damping: probes.NofM{Failures: pick(d, 1, 2, 3), Window: 5, Successes: pick(d, 1, 2, 3)}}
	for k := range p.Rules {
		r := &p.Rules[k]
		r.Staleness = max(r.Staleness, 3*l.Every)
		if looksBack[r.Metric] {
			r.Window = l.Window
		}
		for x := range r.Ladder {
			r.Ladder[x].Verify = max(r.Ladder[x].Verify, 2*l.behind())
		}
	}
	wait, clear := time.Duration(pick(d, 10, 30, 60))*time.Second, time.Duration(pick(d, 10, 30, 60))*time.Second
	p.add(threshold("health", "P1", "probe", 0, true, "", wait, clear), "", "rollback", "page")
	if p.Mode == incident.Approve {
		o := p.Rules[0].Options[0]
		p.interlock(o.Approvals, o.CoolOff)
	}
	last := &p.Rules[len(p.Rules)-1]
	// it looks back as far as damping does
	last.Staleness = max(last.Staleness, 3*l.Every, l.Every*time.Duration(1+l.Damping.Successes))
	return l
}

// looksBack are the metrics that are means over a window.
var looksBack = map[string]bool{"error_rate": true, "response_time": true, "memory": true}

// series is what monitoring holds of one rule on one target.
type series struct {
	at     []time.Time
	value  []float64
	next   time.Time // when the next look is due, whoever glances in between
	says   float64
	damper *probes.Damper
}

// seriesOf names one.
type seriesOf struct {
	app  *app
	rule *Rule
}

// lagged is what monitoring says of a metric: a look is due at each interval, and at
// once if now says so.
func (s *sight) lagged(a *app, r *Rule, at time.Time, now bool) float64 {
	l := s.w.scenario.Lag
	if l.Every == 0 {
		return a.value(r.Metric)
	}
	key := seriesOf{a, r}
	h := s.past[key]
	if h == nil {
		h = &series{damper: probes.NewDamper(l.Damping)}
		s.past[key] = h
	}
	due := !at.Before(h.next)
	if !due && !now {
		return h.says
	}
	if due {
		h.next = at.Add(l.Every)
	}
	value := a.value(r.Metric)
	if r.SourceKind == "probe" && (a.on(CrashLoop) || a.value("error_rate") > degraded) {
		value = 1
	}
	if due && r.SourceKind == "probe" {
		look := probes.OK
		if value > r.Bound {
			look = probes.Bad
		}
		h.damper.Add(look) // a second glance before an act does not count
	}
	h.at, h.value = append(h.at, at), append(h.value, value)
	k := 0
	for k < len(h.at)-1 && at.Sub(h.at[k]) > l.Window {
		k++
	}
	h.at, h.value = h.at[k:], h.value[k:]
	h.says = h.seen(r, l)
	return h.says
}

// seen is what the samples of the window amount to.
func (h *series) seen(r *Rule, l Lag) float64 {
	switch {
	case r.SourceKind == "probe":
		if h.damper.State() == probes.Bad {
			return 1
		}
		return 0
	case !looksBack[r.Metric] || l.Window == 0:
		return h.value[len(h.value)-1]
	}
	sum := 0.0
	for _, v := range h.value {
		sum += v
	}
	return sum / float64(len(h.value))
}

// cure is an action that watchdog itself judged to have helped.
type cure struct {
	at       time.Time
	incident string
	what     string
}

// helped keeps the last action that was judged to have helped a target.
func (o *oracle) helped(i incident.Incident, t incident.Attempt) {
	if a := o.w.byName[i.Target.Workload]; a != nil && t.Verdict == incident.Helped {
		if o.cures == nil {
			o.cures = map[*app]cure{}
		}
		o.cures[a] = cure{o.w.clock.now, i.ID, t.Summary}
	}
}

// woken looks at a person who is paged: not for what a remedy has ended. Nothing
// was wrong with the target since the verdict, and monitoring was neither broken
// nor deceived, and did not hang a moment ago.
func (o *oracle) woken(i incident.Incident) {
	own := o.w.scenario.Policy.Own
	a := o.w.byName[i.Target.Workload]
	if a == nil || own != nil && own.Alone {
		return
	}
	c, cured := o.cures[a]
	now := o.w.clock.now
	reported := func(x incident.Alert) bool {
		return x.Source == remediate.SourceAlertmanager && (x.Rule == i.Lead || x.Firing &&
			slices.Contains(o.because[i.ID].rules, x.Rule))
	}
	switch {
	case slices.ContainsFunc(i.Alerts, reported):
		// What others say is told, whatever watchdog sees (INV-57).
	case !cured || now.Sub(c.at) > wakeful:
	case a.sick() != "" || a.well.IsZero() || a.well.After(c.at):
		// Something else was wrong since.
	case a.lying.After(c.at.Add(-wakeful)) || o.w.monitorFailed(a, c.at.Add(-wakeful)) ||
		o.troubled.After(c.at.Add(-wakeful)):
	case o.suspended.Add(o.w.scenario.Lag.behind()).After(now):
	case i.ID == c.incident && pagedBefore(i):
	default:
		o.violate("INV-62", "a person is paged for %s (%s) %s after %s was judged to have helped; nothing was wrong "+
			"with %s since", a.name, i.PageReason, now.Sub(c.at).Round(time.Second), c.what, a.name)
	}
}

// wakeful is how long after a cure a page is held against it.
const wakeful = 20 * time.Minute

// pagedBefore reports whether the page was decided upon before an action helped,
// and only told afterwards.
func pagedBefore(i incident.Incident) bool {
	for k := len(i.Timeline) - 1; k >= 0; k-- {
		switch e := i.Timeline[k]; {
		case e.Kind == incident.KindPaged:
			return false
		case e.Kind == incident.KindVerdict && e.Verdict == incident.Helped:
			return true
		}
	}
	return false
}

// monitorFailed reports whether the monitoring of a target failed at some time since.
func (w *World) monitorFailed(a *app, since time.Time) bool {
	for _, x := range w.outages {
		if (x.target == "" || x.target == a.name) && x.until.After(since) {
			return true
		}
	}
	return false
}
