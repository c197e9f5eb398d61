package sim

import (
	"errors"
	"math/rand/v2"
	"time"

	"watchdog.io/watchdog/pkg/httpclient"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify/pagerduty"
	"watchdog.io/watchdog/pkg/responder"
)

// pager is a paging service: it keeps one page per key, and it rings when a page
// begins and at no other time. A trigger for a key whose page is open is added to
// that page's log, also if somebody has acknowledged it. Whoever it rings may
// acknowledge the page after some minutes, which the service tells watchdog.
type pager struct {
	w        *World
	dice     *rand.Rand // its own, so that a world without a pager stays what it was
	receipts map[string]incident.Receipt
	pages    map[string]*paged
	rang     map[string]incident.Severity // the gravest severity that it rang for, by incident
	answered map[string]incident.Severity // the gravest that somebody acknowledged, by incident
	broken   map[string]bool

	// The way to it. What is told waits here until it arrives.
	alive time.Time // from when on the connection works again
	waits map[string]*letter
}

// letter is the newest of an incident that did not reach the pager yet.
type letter struct {
	incident incident.Incident
	since    time.Time // when the oldest of what waits was told
	fails    int
}

// paged is one page: for which incident, as grave as it was then.
type paged struct {
	incident string
	severity incident.Severity
	state    string
}

// pagerTakes are the severities that ring.
var pagerTakes = []incident.Severity{incident.P0, incident.P1, incident.P2}

func newPager(w *World) *pager {
	return &pager{w: w, dice: rand.New(rand.NewPCG(w.scenario.Seed, 40)), receipts: map[string]incident.Receipt{},
		pages: map[string]*paged{}, rang: map[string]incident.Severity{}, answered: map[string]incident.Severity{},
		broken: map[string]bool{}, waits: map[string]*letter{}}
}

// How long an HTTP/2 connection that lost its state at a load balancer is used: until
// a ping is not answered, or else until the kernel gives up what it has sent.
const (
	pingAfter   = httpclient.PingAfter
	pingTimeout = httpclient.PingTimeout
	kernelGives = 15 * time.Minute
	tryTime     = 10 * time.Second
	pageWithin  = 2 * time.Minute // INV-77
)

// cut lets the connection die without a sign. New ones would work.
func (p *pager) cut() {
	lost := kernelGives
	if pingAfter > 0 {
		lost = pingAfter + pingTimeout
	}
	p.alive = p.w.clock.now.Add(lost)
}

// notified is an incident on its way to the pager.
func (p *pager) notified(i incident.Incident) {
	if x := p.waits[i.ID]; x != nil {
		x.incident = i
		return
	}
	x := &letter{incident: i, since: p.w.clock.now}
	p.waits[i.ID] = x
	p.try(x)
}

// try is one attempt, and the next ones if it does not arrive.
func (p *pager) try(x *letter) {
	if left := p.alive.Sub(p.w.clock.now); left > 0 {
		x.fails++
		wait := min(time.Second<<min(x.fails, 6), time.Minute)
		p.w.clock.after(min(left, tryTime)+wait, -1, func() { p.try(x) })
		return
	}
	delete(p.waits, x.incident.ID)
	p.arrived(x.incident, x.since)
}

// arrived is what the pager makes of an incident.
func (p *pager) arrived(i incident.Incident, since time.Time) {
	was := p.receipts[i.ID]
	if was.State == "" && i.Silenced() != "" {
		return
	}
	events, next := pagerduty.Events(i, was, pagerTakes, false)
	for _, e := range events {
		if late := p.w.clock.now.Sub(since); e.Action == "trigger" && late > pageWithin {
			p.w.oracle.violate("INV-77", "the page of incident %s (%s) arrives after %s: it waited for a connection "+
				"that was dead, and a new one would have worked", i.ID, i.Severity, late.Round(time.Second))
		}
		p.take(e, i)
	}
	p.receipts[i.ID] = next
	p.look(i)
}

// take is one event as the service understands it.
func (p *pager) take(e pagerduty.Event, i incident.Incident) {
	x := p.pages[e.Key]
	open := x != nil && x.state != "resolved"
	switch {
	case e.Action == "trigger" && !open:
		x = &paged{i.ID, i.Severity, "triggered"}
		p.pages[e.Key] = x
		p.w.say("the pager rings for %s: %s", e.Key, i.Severity)
		if i.Severity.Worse(p.rang[i.ID]) {
			p.rang[i.ID] = i.Severity
		}
		if p.dice.Float64() < 0.7 {
			p.w.clock.after(time.Minute+time.Duration(p.dice.Int64N(int64(3*time.Minute))), -1,
				func() { p.answer(e.Key, x) })
		}
	case e.Action == "acknowledge" && open:
		x.state = "acknowledged"
	case e.Action == "resolve" && open:
		x.state = "resolved"
	}
}

// answer is a person who acknowledges a page at the paging service.
func (p *pager) answer(key string, x *paged) {
	if x.state != "triggered" {
		return
	}
	x.state = "acknowledged"
	words, version := p.w.readWords(x.incident)
	stored := p.w.incidents[x.incident]
	if stored == nil {
		return
	}
	said, text, err := responder.Decide(stored.value.(incident.Incident), words,
		responder.Request{Action: responder.Ack, Incident: x.incident, By: "on call", Key: key, Source: "pagerduty",
			At: p.w.clock.now})
	if no := (*responder.Refused)(nil); errors.As(err, &no) {
		p.w.say("the acknowledgement of page %s is refused: %s", key, no.Reason)
		return
	}
	p.w.say("page %s is acknowledged: %s", key, text)
	if x.severity.Worse(p.answered[x.incident]) {
		p.answered[x.incident] = x.severity
	}
	p.w.patch(x.incident, said, version)
}

// look holds the promises: a graver severity rings (INV-60), an answer to a lesser one
// is none to it, and an incident has at most one open page (INV-42).
func (p *pager) look(i incident.Incident) {
	if p.broken[i.ID] || p.receipts[i.ID].State == "" {
		return
	}
	if i.Phase != incident.Resolved {
		switch {
		case i.Severity.Worse(p.rang[i.ID]):
			p.broken[i.ID] = true
			p.w.oracle.violate("INV-60", "incident %s on %s is %s now, and the pager rang for %s only: its page is %s",
				i.ID, i.Target.Name, i.Severity, p.rang[i.ID], p.receipts[i.ID].State)
		case !i.Acked.At.IsZero() && i.Severity.Worse(p.answered[i.ID]):
			p.broken[i.ID] = true
			p.w.oracle.violate("INV-60", "incident %s on %s is %s, and counts as acknowledged: what somebody "+
				"acknowledged was %q", i.ID, i.Target.Name, i.Severity, p.answered[i.ID])
		}
	}
	open := 0
	for _, x := range p.pages {
		if x.incident == i.ID && x.state != "resolved" {
			open++
		}
	}
	if open > 1 || open > 0 && i.Phase == incident.Resolved {
		p.broken[i.ID] = true
		p.w.oracle.violate("INV-42", "incident %s is %s and has %d open pages", i.ID, i.Phase, open)
	}
}
