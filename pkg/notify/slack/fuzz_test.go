package slack

import (
	"regexp"
	"strings"
	"testing"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/pkg/incident"
)

var (
	mention = regexp.MustCompile(`(?i)@(here|channel|everyone)`)
	entity  = regexp.MustCompile(`^&(amp|lt|gt);`)
)

// FuzzSlackText: no text from elsewhere mentions anybody, makes a link, adds a
// line, or is longer than Slack takes (SEC-20).
func FuzzSlackText(f *testing.F) {
	f.Add("error rate 31% > 5%", byte(0), byte(0))
	f.Add("<!channel> <https://evil.test|the runbook> @here &lt;!here&gt;", byte(5), byte(1))
	f.Fuzz(func(t *testing.T, text string, phase, severity byte) {
		i := notifytest.Foreign(text, phase, severity)
		if severity&16 != 0 {
			i.Asked = &incident.Request{Op: text, Plan: incident.Plan{Summary: text, Hash: text, Field: text,
				Before: text, After: text, Object: incident.Object{Resource: text, Namespace: text, Name: text}},
				Quorum: 2, Why: text}
		}
		for _, s := range slackShown(t, i) {
			if s == "" || strings.ContainsAny(s, "<>") || mention.MatchString(s) ||
				strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }) {
				t.Fatalf("markup from elsewhere: %q", s)
			}
			if n := strings.Count(s, "\n"); n > 20 {
				t.Fatalf("%d lines: %q", n, s)
			}
			for at := strings.IndexByte(s, '&'); at >= 0; at = strings.IndexByte(s, '&') {
				s = s[at:]
				if !entity.MatchString(s) && len(s) > len("&amp;…") {
					t.Fatalf("a bare & in %q", s)
				}
				s = s[1:]
			}
		}
	})
}
