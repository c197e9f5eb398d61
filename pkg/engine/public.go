package engine

import "watchdog.io/watchdog/pkg/incident"

// published takes over what people say of the status page, and wakes whom it is
// about; also incidents that are over, for a hold may outlast them. The lock must be held.
func (e *Engine) published(words map[string]incident.PublicWord) {
	e.words = words
	for name, en := range e.live {
		if words[en.inc.ID].At.After(en.inc.Public.At) {
			e.queue.Add(name)
		}
	}
	for id, en := range e.closed {
		if words[id].At.After(en.inc.Public.At) {
			e.queue.Add(closedKey + id)
		}
	}
}

// word is a person's word on what the public reads of an incident.
func (e *Engine) word(id string) incident.PublicWord {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.words[id]
}

// Drifted says in what the public page has not told what is measured for too
// long; empty: in nothing. It is told with an incident of watchdog's own.
func (e *Engine) Drifted(what string) {
	e.mu.Lock()
	began := what != "" && e.sky.drift == ""
	if began {
		e.sky.driftSince = e.o.Now()
	}
	e.sky.drift = what
	e.mu.Unlock()
	if began {
		e.Wake(Self)
	}
}
