package engine

import (
	"iter"

	"watchdog.io/watchdog/pkg/decision"
	"watchdog.io/watchdog/pkg/incident"
)

// targetState is what the engine knows of one target beside its configuration.
type targetState struct {
	open     *entry         // the incident being worked; nil: none
	revision *revisionState // what was last seen of its newest revision; nil: nothing yet

	// What the target's worker takes up at its next pass, once.
	adopted   *incident.Op     // an op of the open incident that only the ledger knows
	duplicate *incident.Stored // another incident on the target, which has an op
	stale     string           // the version of the open incident that the store has, if it is not the one known here
	renotify  bool             // the receivers are new: they are notified of the open incident although it is unchanged

	newer bool // a newer watchdog stored an incident on the target: it is left alone
}

// change changes what is known of a target. A target of which nothing is known is forgotten.
func (e *Engine) change(name string, how func(t *targetState)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.changeLocked(name, how)
}

// changeLocked is change for a caller that holds mu.
func (e *Engine) changeLocked(name string, how func(t *targetState)) {
	t := e.targets[name]
	if t == nil {
		t = &targetState{}
	}
	was := t.open
	how(t)
	e.index(name, was, t.open)
	if *t == (targetState{}) {
		delete(e.targets, name)
	} else {
		e.targets[name] = t
	}
}

// index brings up to date what is counted and looked up of the open incidents: a walk over all of them for each
// change of one would take minutes in a storm of thousands. The caller holds mu.
func (e *Engine) index(name string, was, is *entry) {
	if was != nil && was != is {
		e.metrics.moved(was.counted, "")
		was.counted = ""
		if e.worksOn[was.inc.ID] == name {
			delete(e.worksOn, was.inc.ID)
		}
	}
	if is != nil {
		e.metrics.moved(is.counted, is.inc.Phase)
		is.counted = is.inc.Phase
		e.worksOn[is.inc.ID] = name
	}
}

// crowdedFrom is from how many open incidents on each keeps no more than it must: what the next
// decision would be recorded as a difference to is larger than the incident itself.
const crowdedFrom = 500

func (e *Engine) crowded() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.worksOn) > crowdedFrom
}

// known returns what is known of a target.
func (e *Engine) known(name string) targetState {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t := e.targets[name]; t != nil {
		return *t
	}
	return targetState{}
}

// open are the incidents being worked, by target. The caller holds mu.
func (e *Engine) open() iter.Seq2[string, *entry] {
	return func(yield func(string, *entry) bool) {
		for name, t := range e.targets {
			if t.open != nil && !yield(name, t.open) {
				return
			}
		}
	}
}

// currentSetup returns what the present configuration decides; nil: there is none yet.
func (e *Engine) currentSetup() *Setup {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.setup
}

// entry is one incident in memory. Only the worker that holds its target changes it.
type entry struct {
	inc     incident.Incident
	version string
	saved   int // timeline entries already recorded
	// unsaved: inc is ahead of what is stored, because storing it failed.
	unsaved bool
	counted incident.Phase   // the phase in which the metrics count it; "": they do not
	scribe  *decision.Scribe // nil: decisions are not written down
	// answers are the approvals and denials in the audit log.
	answers map[string]bool
}

func newEntry(s incident.Stored) *entry {
	return &entry{inc: s.Incident, version: s.Version, saved: len(s.Incident.Timeline) + s.Incident.Dropped}
}

// over reports whether nothing is left to do about an incident.
func over(i incident.Incident) bool { return i.Phase == incident.Resolved && i.Op == nil }
