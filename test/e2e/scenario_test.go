//go:build integration

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/demo"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/incident"
)

// TestDemoScenarios plays every story of the demo and asks the witnesses.
func TestDemoScenarios(t *testing.T) {
	want := map[string]struct {
		effects   int // accepted writes to the application
		pages     int // incidents ever triggered at PagerDuty
		published bool
		check     func(t *testing.T, p demo.Played)
	}{
		"release":    {effects: 1, pages: 1, published: true, check: verdicts("rollback", "helped")},
		"crash":      {effects: 1, pages: 1, published: true, check: verdicts("rollback", "helped")},
		"slow":       {effects: 1, check: verdicts("rollback", "helped")}, // more of a bad release is no remedy
		"overload":   {effects: 2, check: verdicts("scale", "helped")},    // the second gives the lease back
		"agents":     {effects: 1, pages: 1, published: true, check: verdicts("restart", "helped")},
		"dependency": {effects: 0, pages: 1, published: true, check: says("checks.database")},
		"hold":       {effects: 0, pages: 1, published: true, check: says("migration in progress")},
	}
	for _, sc := range demo.Scenarios() {
		t.Run(sc.Name, func(t *testing.T) {
			s := stage(t, sc.Name)
			p, err := demo.Play(t.Context(), s, sc, func(f string, a ...any) { t.Logf(f, a...) })
			if err != nil {
				t.Fatal(err)
			}
			w := want[sc.Name]
			w.check(t, p)
			wantEffects(t, s, w.effects)
			told(t, s, w.pages, w.published)
			if sc.Name == "release" {
				if took := p.EndedAt.Sub(p.BrokenAt); took > time.Minute {
					t.Errorf("from the release to the verified rollback: %s, want at most a minute", took)
				}
			}
			t.Logf("%s: %s after the break", p.Incident.Phase, p.EndedAt.Sub(p.BrokenAt).Round(100*time.Millisecond))
		})
	}
}

// told asks each receiver what it has, once it has had the time to hear of it.
func told(t *testing.T, s *demo.Scene, pages int, published bool) {
	t.Helper()
	posts := 0
	if published {
		posts = 1
	}
	err := s.Receivers.WaitFor(within(t, 15*time.Second), func(recorders.Snapshot) bool {
		return len(s.Receivers.PagerDutyIncidents()) == pages && len(s.Receivers.SlackMessages()) == 1 &&
			len(s.Receivers.StatuspageIncidents()) == posts
	})
	if err != nil {
		t.Errorf("%d incidents at PagerDuty, want %d; %d Slack messages, want one that is edited; %d incidents on "+
			"the status page, want %d. What came:\n%s",
			len(s.Receivers.PagerDutyIncidents()), pages, len(s.Receivers.SlackMessages()),
			len(s.Receivers.StatuspageIncidents()), posts, strings.Join(came(s), "\n"))
	}
}

// came is everything that the scene's receivers got, a line each.
func came(s *demo.Scene) []string {
	var all []string
	for _, q := range s.Receivers.Snapshot().Requests {
		all = append(all, q.String())
	}
	return all
}

// verdicts asks that exactly the given actions were tried, with the given verdicts.
func verdicts(pairs ...string) func(*testing.T, demo.Played) {
	return func(t *testing.T, p demo.Played) {
		t.Helper()
		var got []string
		for _, a := range p.Incident.Attempts {
			if a.Verdict != incident.Aborted {
				got = append(got, string(a.Action), string(a.Verdict))
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(pairs) {
			t.Errorf("attempts %q, want %q: %+v", got, pairs, p.Incident.Attempts)
		}
	}
}

// says asks that the incident explains why nothing was done.
func says(text string) func(*testing.T, demo.Played) {
	return func(t *testing.T, p demo.Played) {
		t.Helper()
		for _, e := range p.Incident.Timeline {
			if strings.Contains(e.Text, text) {
				return
			}
		}
		t.Errorf("the timeline does not say %q: %+v", text, p.Incident.Timeline)
	}
}
