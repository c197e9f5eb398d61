package remediate

import (
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// X103: a hold may have an end; what cannot be read as one is none.
func TestAHoldEndsByItself_X103(t *testing.T) {
	now := time.Date(2026, 3, 6, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name        string
		annotations map[string]string
		held        bool
	}{
		{"none", nil, false},
		{"without an end, as by kubectl annotate", map[string]string{HoldAnnotation: "why"}, true},
		{"empty is a hold, too", map[string]string{HoldAnnotation: ""}, true},
		{"before its end", map[string]string{HoldAnnotation: "why", HoldUntilAnnotation: "2026-03-06T12:00:01Z"}, true},
		{"after its end", map[string]string{HoldAnnotation: "why", HoldUntilAnnotation: "2026-03-06T12:00:00Z"}, false},
		{"an end in another zone", map[string]string{HoldAnnotation: "why",
			HoldUntilAnnotation: "2026-03-06T13:30:00+01:00"}, true},
		{"an end that is none", map[string]string{HoldAnnotation: "why", HoldUntilAnnotation: "tomorrow"}, true},
		{"an end of nothing", map[string]string{HoldUntilAnnotation: "2027-01-01T00:00:00Z"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, held := HoldOf(tt.annotations, now); held != tt.held {
				t.Errorf("held: %v", held)
			}
			var f Facts
			f.Now, f.Workload.Annotations = now, tt.annotations
			if a := noHold(f, incident.Plan{}); (a.Hold != "") != tt.held {
				t.Errorf("%+v", a)
			}
		})
	}
}
