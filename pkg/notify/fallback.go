package notify

import (
	"watchdog.io/watchdog/pkg/incident"
)

// Fallback is a receiver that is notified only of what another one does not accept.
type Fallback interface {
	Notifier
	// FallbackFor names the other receiver; "": it is notified of everything.
	FallbackFor() string
}

// StandsInFor is the receiver that n is a fallback for; "": none.
func StandsInFor(n Notifier) string {
	if f, ok := n.(Fallback); ok {
		return f.FallbackFor()
	}
	return ""
}

// Notified reports whether a receiver was notified of the incident at all.
func Notified(r incident.Receipt) bool { return r.Ref != "" || r.State != "" }
