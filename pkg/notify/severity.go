package notify

import (
	"cmp"

	"watchdog.io/watchdog/pkg/incident"
)

// Graver is the graver of two severities; one that is not known counts for nothing.
func Graver(a, b incident.Severity) incident.Severity {
	if a.Worse(b) {
		return a
	}
	return cmp.Or(b, a)
}

// Rings reports whether a receiver that was notified before must page again: the
// severity is higher than what it was notified of, so that the earlier answer is no
// answer to this. Receipts of older versions do not say how grave it was.
func Rings(i incident.Incident, prev incident.Receipt) bool {
	if prev.Severity == "" {
		return prev.State == "acknowledged" && i.Acked.At.IsZero()
	}
	return i.Phase != incident.Resolved && i.Severity.Worse(prev.Severity)
}
