package statuspage

import (
	"sync"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// memory is what a receipt cannot hold: how long which state has lasted, and what
// other incidents mean for the same part of the page. It is rebuilt from the
// incidents that a new leader hands on.
type memory struct {
	began   time.Time // what happened before is not remembered
	mu      sync.Mutex
	all     map[string]*subject  // by incident
	changed map[string]time.Time // by component: when the page last changed
	drifts  map[string]time.Time // since when something differs; see drift.go
	holds   map[string]hold      // by incident
}

// hold is a person's word that a component's part of the page stays as it is.
type hold struct {
	component string
	word      incident.PublicAction
}

// subject is one incident as it was seen.
type subject struct {
	component string
	opened    time.Time
	ended     bool
	history   []moment
	ref       string
	published published
}

// view is what one decision needs of it.
type view struct {
	history []moment
	changed time.Time
	// ref and published are the incident's own, or those of one on the same component
	// that is over and not yet over for the public.
	ref       string
	published published
	heir      string // the incident that goes on with the same entry of the page
}

func newMemory(now time.Time) *memory {
	return &memory{began: now, all: map[string]*subject{}, changed: map[string]time.Time{},
		drifts: map[string]time.Time{}, holds: map[string]hold{}}
}

// keepMoments bounds a history; what is older has lasted.
const keepMoments = 64

// learn takes over what an incident says now.
func (m *memory) learn(i incident.Incident, state publicState, part, ref string, was published, now time.Time) view {
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.all[i.ID]
	if x == nil {
		x = &subject{history: first(i, state, now)}
		m.all[i.ID] = x
	}
	x.component, x.opened, x.ended = part, i.OpenedAt, i.Phase == incident.Resolved
	if ref != "" {
		x.ref, x.published = ref, was
		m.touch(part, was.At)
	}
	if n := len(x.history); x.history[n-1].publicState != state {
		at := now
		if state.Status == resolved && i.ResolvedAt.Before(now) {
			at = i.ResolvedAt
		}
		x.history = append(x.history[max(0, n-keepMoments+1):n:n], moment{at, state})
	}
	v := view{history: x.history, changed: m.changed[part], ref: x.ref, published: x.published}
	var before *subject
	for id, o := range m.all {
		switch {
		case id == i.ID || o.ref == "":
		case o.ref == ref && o.opened.After(x.opened):
			v.heir = id // also if it is over by now: it says so itself
		case x.ref == "" && o.ended && o.component == part && o.published.Status != resolved &&
			(before == nil || o.opened.After(before.opened)):
			before = o
		}
	}
	if before != nil {
		v.ref, v.published = before.ref, before.published
	}
	if x.ref == "" && v.ref != "" && state.Status != "" && state.Status != resolved {
		x.ref, x.published = v.ref, v.published
	}
	return v
}

// first is the history of an incident that is seen for the first time, as far as
// the incident itself tells it.
func first(i incident.Incident, state publicState, now time.Time) []moment {
	switch {
	case state.Status == "":
		return []moment{{now, state}}
	case state.Status == resolved:
		return []moment{{i.ResolvedAt, state}}
	}
	h := []moment{{i.OpenedAt, publicState{publicStates[0], state.Impact}}}
	at := i.OpenedAt
	switch {
	case state.Status == "identified" && i.Op != nil:
		at = i.Op.AppliedAt
	case state.Status == "monitoring" && len(i.Attempts) > 0:
		at = i.Attempts[len(i.Attempts)-1].EndedAt
	}
	if at.After(i.OpenedAt) {
		return append(h, moment{at, state})
	}
	return []moment{{i.OpenedAt, state}}
}

// said takes a person's word on an incident over, and returns the word that counts
// for it: a hold on one incident holds its component against the others, too.
func (m *memory) said(i incident.Incident, part string, now time.Time) incident.PublicAction {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i.Public.Held(now) {
		m.holds[i.ID] = hold{part, i.Public}
	} else {
		delete(m.holds, i.ID)
	}
	word := i.Public
	for id, h := range m.holds {
		switch {
		case !h.word.Held(now):
			delete(m.holds, id)
		case h.component == part && h.word.HoldUntil.After(word.HoldUntil):
			word.HoldUntil, word.By = h.word.HoldUntil, h.word.By
		}
	}
	return word
}

// told notes a change of the page.
func (m *memory) told(id, part string, r incident.Receipt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := publishedIn(r)
	m.touch(part, p.At)
	if x := m.all[id]; x != nil {
		x.ref, x.published = r.Ref, p
	}
}

// touch keeps the newest change of a component; the lock must be held.
func (m *memory) touch(part string, at time.Time) {
	if at.After(m.changed[part]) {
		m.changed[part] = at
	}
}

func (m *memory) forget(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, id)
}
