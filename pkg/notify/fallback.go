package notify

import (
	"watchdog.io/watchdog/pkg/incident"
)

// Fallback is a receiver that is told only of what another one could not be told.
type Fallback interface {
	Notifier
	// FallbackFor names the other receiver; "": it is told of everything.
	FallbackFor() string
}

// StandsInFor is the receiver that n is a fallback for; "": none.
func StandsInFor(n Notifier) string {
	if f, ok := n.(Fallback); ok {
		return f.FallbackFor()
	}
	return ""
}

// Told reports whether a receiver was told of the incident at all.
func Told(r incident.Receipt) bool { return r.Ref != "" || r.State != "" }
