package pagerduty

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/PagerDuty/go-pagerduty"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/pkg/notify"
)

// FuzzPageText: an event for PagerDuty keeps within the limits of its Events API.
func FuzzPageText(f *testing.F) {
	f.Add("error rate 31% > 5%", byte(0), byte(0))
	f.Add(strings.Repeat("é\n", 3000), byte(5), byte(1))
	f.Add(strings.Repeat("\x00", 28<<10), byte(2), byte(0)) // six bytes each in JSON, in a dozen places
	f.Fuzz(func(t *testing.T, text string, phase, severity byte) {
		i := notifytest.Foreign(text, phase, severity)
		p := payload(i, notify.QuickReference{})
		if utf8.RuneCountInString(p.Summary) > maxSummary || strings.ContainsAny(p.Summary, "\r\n") || p.Summary == "" {
			t.Fatalf("summary %q", p.Summary)
		}
		if !slices.Contains([]string{"critical", "error", "warning", "info"}, p.Severity) {
			t.Fatalf("severity %q", p.Severity)
		}
		e := &pagerduty.V2Event{Payload: p}
		fit(i, e)
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > maxEvent {
			t.Fatalf("an event of %d KiB", len(b)>>10)
		}
	})
}
