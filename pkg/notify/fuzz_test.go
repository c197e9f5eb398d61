package notify

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
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
	i.Attempts = []incident.Attempt{{Summary: text, Verdict: text}, {Summary: text, Verdict: incident.Helped}}
	for range 12 {
		i.Timeline = append(i.Timeline, incident.Entry{At: t0, What: text, Text: text})
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

// posted keeps what would have been sent, and says that it was taken.
type posted struct{ bodies []string }

func (p *posted) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	p.bodies = append(p.bodies, string(b))
	return &http.Response{StatusCode: http.StatusCreated, Body: io.NopCloser(strings.NewReader(`{"id":"sp1"}`)), Request: r}, err
}

// FuzzStatusPageText: the public reads the texts of this package and not one
// word of an incident, and never that a problem went back a state (INV-44).
func FuzzStatusPageText(f *testing.F) {
	f.Add("internal-db-7.corp", []byte{0, 1, 2, 6})
	f.Add("checkout", []byte{4, 5, 0, 2, 1, 6, 0})
	file := filepath.Join(f.TempDir(), "token")
	if err := os.WriteFile(file, []byte("sp"), 0o600); err != nil {
		f.Fatal(err)
	}
	token, err := NewSecret(file)
	if err != nil {
		f.Fatal(err)
	}
	body := regexp.MustCompile(`^\{"incident":\{"body":"([A-Za-z.' ]+)",("component_ids":\["c1"\],"components":\{"c1":"(operational|major_outage|partial_outage|degraded_performance)"\},)?("name":"Degraded service",)?"status":"(investigating|identified|monitoring|resolved)"\}\}$`)
	f.Fuzz(func(t *testing.T, text string, phases []byte) {
		out := &posted{}
		s := &statusPage{client: &http.Client{Transport: out}, url: "http://status.test", page: "p1", component: "c1", token: token, publish: true,
			takes: []incident.Severity{incident.P0, incident.P1}, holdDown: time.Second, now: func() time.Time { return t0.Add(time.Hour) }}
		receipt := incident.Receipt{}
		for _, phase := range phases[:min(len(phases), 40)] {
			i := foreign(text, phase, phase>>4)
			if phase&8 != 0 {
				i.Op = &incident.Op{AppliedAt: t0}
			}
			r, err := s.Notify(t.Context(), i, receipt)
			if held := (*Failure)(nil); err != nil && !errors.As(err, &held) {
				t.Fatal(err)
			}
			if i.Phase == incident.Frozen && r.State != receipt.State {
				t.Fatalf("published %q while it cannot be seen", r.State)
			}
			receipt = r
		}
		last := -1
		for _, b := range out.bodies {
			m := body.FindStringSubmatch(b)
			if m == nil {
				t.Fatalf("published %s", b)
			}
			state := m[len(m)-1]
			if m[1] != publicText(state) || slices.Index(publicStates, state) <= last {
				t.Fatalf("published %s after %d others", b, len(out.bodies))
			}
			last = slices.Index(publicStates, state)
		}
	})
}
