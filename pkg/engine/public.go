package engine

// Drifted says in what the public page has not told what is measured for too
// long; empty: in nothing. It is told with an incident of watchdog's own.
func (e *Engine) Drifted(what string) {
	e.mu.Lock()
	began := what != "" && e.global.drift == ""
	if began {
		e.global.driftSince = e.o.Now()
	}
	e.global.drift = what
	e.mu.Unlock()
	if began {
		e.Wake(Self)
	}
}
