package remediate

import (
	"fmt"
	"time"
)

// Annotations beside HoldAnnotation. Without them, as after kubectl annotate, a hold has no
// end and its age is unknown.
const (
	HoldSinceAnnotation = "watchdog.io/hold-since" // RFC 3339
	HoldUntilAnnotation = "watchdog.io/hold-until" // RFC 3339
)

// Hold is a hold on an object, from its annotations.
type Hold struct {
	Reason string
	Since  time.Time // zero: unknown
	Until  time.Time // zero: until it is lifted
}

// HoldOf returns the hold in an object's annotations, if one is in force. An unreadable end
// counts as none.
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

// ends describes when the hold ends, for use in a sentence.
func (h Hold) ends() string {
	if h.Until.IsZero() {
		return ""
	}
	return fmt.Sprintf(" until %s", h.Until.UTC().Format("2006-01-02 15:04 UTC"))
}
