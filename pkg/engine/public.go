package engine

// Drifted takes in what the status page has differed from what is measured for too long;
// empty: in nothing. It is part of watchdog's own incident.
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
