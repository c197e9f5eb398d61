package remediate

import (
	"fmt"
	"time"
)

// Annotations beside HoldAnnotation. Without them, as by kubectl annotate, a hold has no
// end and nobody knows its age.
const (
	HoldSinceAnnotation = "watchdog.io/hold-since" // RFC 3339
	HoldUntilAnnotation = "watchdog.io/hold-until" // RFC 3339
)

// Hold is a person's hold on an object, as its annotations say.
type Hold struct {
	Reason string
	Since  time.Time // zero: not known
	Until  time.Time // zero: until somebody lifts it
}

// HoldOf returns the hold that an object's annotations say, if one is in force. An end
// that cannot be read is none.
func HoldOf(annotations map[string]string, now time.Time) (Hold, bool) {
	reason, ok := annotations[HoldAnnotation]
	if !ok {
		return Hold{}, false
	}
	h := Hold{Reason: reason}
	if at, err := time.Parse(time.RFC3339, annotations[HoldSinceAnnotation]); err == nil {
		h.Since = at
	}
	if at, err := time.Parse(time.RFC3339, annotations[HoldUntilAnnotation]); err == nil {
		h.Until = at
	}
	return h, h.Until.IsZero() || now.Before(h.Until)
}

// ends says when the hold ends, for a sentence.
func (h Hold) ends() string {
	if h.Until.IsZero() {
		return ""
	}
	return fmt.Sprintf(" until %s", h.Until.UTC().Format("2006-01-02 15:04 UTC"))
}
