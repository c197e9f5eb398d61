package sim

import (
	"slices"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/rules"
)

// The bounds of the invariants about sources.
const (
	// tolerated is how long a server may be away before it is told.
	tolerated = 2 * time.Minute
	// lingers is how long after the end of trouble an alert about it may still fire, and a page may come.
	lingers = 12 * time.Minute
	// reportWithin is how long after unseenAfter what nobody can see must have been told.
	reportWithin = 10 * time.Minute
)

// sourceTrouble is which trouble a rule over sources is about.
var sourceTrouble = map[string]string{"disk": "disk", "workers": "workers", "stuck": "stuck", waitingRule: "waiting",
	"unseen": "probe"}

// sound holds a page against the truth of the sources: a healthy source never pages.
func (o *oracle) sound(i incident.Incident) {
	s, now := o.w.sources, o.w.clock.now
	if s == nil {
		return
	}
	if i.Target.Name == incident.Self {
		a, _ := i.Alert("blind")
		if !a.Firing || !strings.HasPrefix(a.Reason, sourceBlind) {
			return
		}
		since := now.Add(-15 * time.Minute)
		if slices.ContainsFunc(o.w.outages, func(x outage) bool { return x.until.After(since) }) {
			return // more than the sources was dark
		}
		if now.Sub(o.w.led) < 3*s.spec.Every {
			return // how often its exporter is scraped takes two scrapes to learn
		}
		if d := s.awayFor(since, now); d < tolerated {
			o.violate("INV-58", "a person is paged because watchdog is blind (%s), and the source was away for %s "+
				"of the last 15 minutes (scraped every %s)", a.Reason, d, s.spec.Every)
		}
		return
	}
	why := ""
	for _, a := range i.Alerts {
		what, mine := sourceTrouble[a.Rule]
		switch {
		case !a.Firing:
		case !mine, what != "probe" && s.was(what, i.Target.Name, now.Add(-lingers), now), what == "probe" &&
			s.hid(i.Target.Name, now.Add(-lingers)):
			return
		default:
			why = a.Rule + ": " + a.Reason
		}
	}
	if why != "" {
		o.violate("INV-58", "a person is paged for %s, and all was well there: %s", i.Target.Name, why)
	}
}

// aged looks for a series that is called stale though it is as fresh as its exporter is scraped.
// One that is written only while something is bad has no sample once that is over: a range
// that still sees it is no breach to act upon, and STALE says so.
func (o *oracle) aged(x rules.Alert, at time.Time) {
	s, now := o.w.sources, o.w.clock.now
	scraped := now.Add(-2 * s.spec.Every)
	if what := sourceTrouble[x.Rule]; (what == "stuck" || what == "waiting") &&
		(!s.throughout(what, x.Target, scraped, now) || s.restarted.After(scraped)) {
		return
	}
	if x.Verdict == rules.Stale && !s.missed && s.awayFor(now.Add(-10*time.Minute), now) == 0 &&
		at.Sub(now).Abs() < 30*time.Second {
		o.violate("INV-58", "%s of %s is STALE (%s), and its exporter is scraped every %s as ever", x.Rule, x.Target,
			x.Reason, s.spec.Every)
	}
}

func (s *sources) hid(target string, since time.Time) bool {
	for _, u := range s.unseen {
		if u.target == target && u.until.After(since) {
			return true
		}
	}
	return false
}

// hears notes that people are told of what nobody can see, and how often they are called for it.
func (o *oracle) hears(i incident.Incident) {
	s := o.w.sources
	if s == nil || i.Phase == incident.Resolved {
		return
	}
	u := s.hidden(i.Target.Name)
	a, ok := i.Alert("unseen")
	if u == nil || !ok || !a.Firing {
		return
	}
	u.reported = true
	if i.Paged && !o.pages[i.ID] && only(i, "unseen") {
		if u.pages++; u.pages > 1 {
			o.violate("INV-59", "the probe of %s cannot be answered since %s, and people were called for it %d times",
				u.target, o.w.clock.now.Sub(u.from), u.pages)
		}
	}
}

func only(i incident.Incident, rule string) bool {
	for _, a := range i.Alerts {
		if a.Firing && a.Rule != rule {
			return false
		}
	}
	return true
}

// unseen looks whether what nobody can see was told in time, as far as one leader could look all the while.
func (o *oracle) unseen() {
	s, now := o.w.sources, o.w.clock.now
	for _, u := range s.unseen {
		since := later(later(u.from, o.w.led), o.w.down)
		if u.reported || !now.Before(u.until) || o.w.lead < 0 || now.Sub(since) < unseenAfter+reportWithin {
			continue
		}
		u.reported = true
		o.violate("INV-59", "the probe of %s cannot be answered since %s, and no receiver was notified", u.target,
			now.Sub(u.from).Round(time.Second))
	}
}

// lingering looks for what is open at the end though its cause is over.
func (o *oracle) lingering(i incident.Incident) {
	s, now := o.w.sources, o.w.clock.now
	if s == nil || i.Phase == incident.Resolved {
		return
	}
	for _, a := range i.Alerts {
		what, mine := sourceTrouble[a.Rule]
		over := mine && !s.was(what, i.Target.Name, now.Add(-lingers), now) &&
			!(what == "probe" && s.hid(i.Target.Name, now.Add(-lingers)))
		if a.Firing && over && now.Sub(o.w.led) > lingers {
			o.violate("INV-61", "incident %s on %s is still open, and what %s is about ended more than %s ago: %s",
				i.ID, i.Target.Name, a.Rule, lingers, a.Reason)
		}
	}
}

// believed is how many targets may be in breach at once: worked out here by the words of
// the documentation, and not by the product's function.
func believed(p *Policy, watched int) float64 {
	return max(1, float64(p.Settings.StormFrom-1), p.Settings.MaxUnhealthy*float64(watched))
}
