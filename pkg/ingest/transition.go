package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// outcome is what an alert turned out to be.
type outcome string

const (
	fires     outcome = "firing"    // news: it fires
	resolves  outcome = "resolved"  // news: what fired is over
	duplicate outcome = "duplicate" // known already
	stale     outcome = "stale"     // about a time before what is known
	early     outcome = "early"     // resolved, and never received as firing

	refusedFull       outcome = "refused_full"
	refusedUnwritable outcome = "refused_unwritable"
)

// draft is what a store would become. Nothing of it is in the store until it is on
// disk.
type draft struct {
	under interface{ get(Key) *entry } // the store, or the draft before
	now   time.Time

	changed  map[Key]*entry
	unsaved  map[Key]bool // of these, what the journal must be told
	news     []AlertState
	outcomes map[outcome]int
	firing   int // how many more alerts fire, and bytes they take
	bytes    int
}

func newDraft(under interface{ get(Key) *entry }, now time.Time) *draft {
	return &draft{under: under, now: now, changed: map[Key]*entry{}, unsaved: map[Key]bool{},
		outcomes: map[outcome]int{}}
}

func (d *draft) get(k Key) *entry {
	if e := d.changed[k]; e != nil {
		return e
	}
	return d.under.get(k)
}

// takeAll takes the alerts of one request over b, or none of them when they do not fit.
func (d *draft) takeAll(b *Store, alerts []Alert) error {
	part := newDraft(d, d.now)
	for _, a := range alerts {
		part.outcomes[part.take(a)]++
	}
	firing, bytes := b.size()
	firing, bytes = firing+d.firing+part.firing, bytes+d.bytes+part.bytes
	if part.firing > 0 && (firing > b.limits.Firing || bytes > b.limits.Bytes) {
		return fmt.Errorf("%w: with these %d there would be %d (limit %d) in %d MiB (limit %d)", ErrFull,
			len(alerts), firing, b.limits.Firing, bytes>>20, b.limits.Bytes>>20)
	}
	d.add(part)
	return nil
}

// add takes over what a draft on top of d changed.
func (d *draft) add(part *draft) {
	maps.Copy(d.changed, part.changed)
	maps.Copy(d.unsaved, part.unsaved)
	d.news = append(d.news, part.news...)
	for o, n := range part.outcomes {
		d.outcomes[o] += n
	}
	d.firing, d.bytes = d.firing+part.firing, d.bytes+part.bytes
}

// take judges one alert by what is known. Its times of start and end decide, never
// the order in which requests came.
func (d *draft) take(a Alert) outcome {
	k := a.Key()
	was := d.get(k)
	if a.Status == Firing {
		return d.takeFiring(k, was, a)
	}
	return d.takeResolved(k, was, a)
}

func (d *draft) takeFiring(k Key, was *entry, a Alert) outcome {
	switch {
	case was == nil || was.state == Lost:
	case was.state == Firing && !a.StartsAt.After(was.start):
		// An earlier start is one alert of two Prometheus servers, of which
		// Alertmanager sends the earlier one once it knows both.
		d.repeat(k, was, a)
		return duplicate
	case was.state == Resolved && !a.StartsAt.After(was.start) && !d.insists(k, was):
		return stale
	}
	d.set(k, was, &entry{state: Firing, start: a.StartsAt, seen: d.now}, &a)
	d.news = append(d.news, AlertState{Alert: a, State: Firing, SeenAt: d.now})
	return fires
}

// insists: the sender reports once more that a resolved alert fires.
func (d *draft) insists(k Key, was *entry) bool {
	if !was.echo.IsZero() && d.now.Sub(was.echo) >= echoAfter {
		return true
	}
	if was.echo.IsZero() {
		e := *was
		e.echo = d.now
		d.keep(k, was, &e)
	}
	return false
}

func (d *draft) takeResolved(k Key, was *entry, a Alert) outcome {
	end := a.EndsAt
	if end.IsZero() {
		end = a.ReceivedAt
	}
	e := &entry{state: Resolved, start: a.StartsAt, end: end, seen: d.now}
	switch {
	case was == nil:
		// Not received here: another leader may have it, and stored an incident.
		d.set(k, was, e, nil)
		d.news = append(d.news, AlertState{Alert: a, State: Resolved, SeenAt: d.now})
		return early
	case was.state == Resolved && !a.StartsAt.After(was.start):
		return duplicate
	case was.state == Resolved:
		d.set(k, was, e, nil)
		d.news = append(d.news, AlertState{Alert: a, State: Resolved, SeenAt: d.now})
		return early
	case a.StartsAt.Before(was.start) && end.Before(was.start):
		return stale // it ended before what fires now began
	}
	if was.start.After(e.start) {
		e.start = was.start
	}
	d.set(k, was, e, nil)
	d.news = append(d.news, AlertState{Alert: a, State: Resolved, SeenAt: d.now})
	return resolves
}

// repeat notes that the alert was seen again; the journal need not know at once.
func (d *draft) repeat(k Key, was *entry, a Alert) {
	if d.now.Sub(was.written) >= rewriteAfter {
		a.StartsAt = was.start
		d.set(k, was, &entry{state: Firing, start: was.start, seen: d.now}, &a)
		return
	}
	e := *was
	e.seen = d.now
	d.keep(k, was, &e)
}

// set changes what is known, in the journal too.
func (d *draft) set(k Key, was, e *entry, a *Alert) {
	e.written = d.now
	e.line = encode(record{Key: k, State: e.state, Start: e.start, End: e.end, Seen: e.seen, Alert: a})
	d.unsaved[k] = true
	d.keep(k, was, e)
}

// keep changes what is known, in memory only.
func (d *draft) keep(k Key, was, e *entry) {
	firing, bytes := weigh(was, e)
	d.firing, d.bytes = d.firing+firing, d.bytes+bytes
	d.changed[k] = e
}

// lines returns what the journal is to hold, one record for each alert.
func (d *draft) lines() [][]byte {
	lines := make([][]byte, 0, len(d.unsaved))
	for k := range d.unsaved {
		lines = append(lines, d.changed[k].line)
	}
	return lines
}

// encode writes a record as one line. It cannot fail: a record is made of
// strings and times that were read from JSON.
func encode(r record) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		panic(fmt.Sprintf("encode the record of an alert: %v", err))
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}
