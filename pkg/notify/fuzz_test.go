package notify

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"watchdog.io/watchdog/pkg/incident"
)

// foreign puts text from elsewhere into every field that a receiver may show.
func foreign(text string, phase, severity byte) incident.Incident {
	i := trouble()
	i.Phase = []incident.Phase{incident.Open, incident.Acting, incident.Verifying, incident.Suppressed, incident.Frozen, incident.Escalated, incident.Resolved}[phase%7]
	i.Severity = []incident.Severity{incident.P0, incident.P1, incident.P2, incident.P3}[severity%4]
	i.ID, i.Lead, i.Paged, i.PageReason = text, text, phase%2 == 0, text
	i.Target.Name, i.Target.Namespace, i.Target.Workload = text, text, text
	i.Alerts[0].Rule, i.Alerts[0].Was, i.Alerts[0].Reason = text, text, text
	i.Answers = []incident.Answer{{Guard: text, Hold: incident.Wait, Reason: text}}
	i.Attempts = []incident.Attempt{{Summary: text, Verdict: incident.OpVerdict(text)}, {Summary: text, Verdict: incident.Helped}}
	for range 12 {
		i.Timeline = append(i.Timeline, incident.Entry{At: t0, Kind: incident.Kind(text), Text: text})
	}
	return i
}

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
		i := foreign(text, phase, severity)
		if severity&16 != 0 {
			i.Asked = &incident.Request{Op: text, Plan: incident.Plan{Summary: text, Hash: text, Field: text, Before: text, After: text, Object: incident.Object{Resource: text, Namespace: text, Name: text}}, Quorum: 2, Why: text}
		}
		for _, s := range slackShown(t, i) {
			if s == "" || strings.ContainsAny(s, "<>") || mention.MatchString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }) {
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

// FuzzPageText: an event for PagerDuty keeps within the limits of its Events API.
func FuzzPageText(f *testing.F) {
	f.Add("error rate 31% > 5%", byte(0), byte(0))
	f.Add(strings.Repeat("é\n", 3000), byte(5), byte(1))
	f.Fuzz(func(t *testing.T, text string, phase, severity byte) {
		p := payload(foreign(text, phase, severity), about{})
		if utf8.RuneCountInString(p.Summary) > maxSummary || strings.ContainsAny(p.Summary, "\r\n") || p.Summary == "" {
			t.Fatalf("summary %q", p.Summary)
		}
		if !slices.Contains([]string{"critical", "error", "warning", "info"}, p.Severity) {
			t.Fatalf("severity %q", p.Severity)
		}
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 512<<10 {
			t.Fatalf("an event of %d KiB", len(b)>>10)
		}
	})
}
