// Command slackview writes, as HTML, how a Slack channel looks in which watchdog asks
// for an approval, and how one looks when an incident is over. The picture in
// docs/slack.png is a screenshot of it.
package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/internal/slackview"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify/receivers"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// at is the night of the runbook's example.
func at(clock string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05", "2026-03-06 "+clock)
	if err != nil {
		return time.Time{}
	}
	return t
}

func run(ctx context.Context) error {
	rec := recorders.New(recorders.Options{})
	srv := httptest.NewServer(rec)
	defer srv.Close()
	dir, err := os.MkdirTemp("", "slackview")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("xoxb-1"), 0o600); err != nil {
		return err
	}
	all, err := receivers.FromConfig(&config.Config{
		Contacts: []config.Contact{{Name: "DevOps lead", Phone: "+49 30 1234567"}},
		Links:    []config.Link{{Name: "dashboard", URL: "https://grafana.example.com/d/shop"}},
		Runbook:  &config.Runbook{URL: "https://wiki.example.com/runbook"},
		Receivers: config.Receivers{Slack: &config.Slack{
			URL: srv.URL + "/slack/api/", TokenFile: token, Channel: "#incidents",
			Severities: []incident.Severity{incident.P1, incident.P2}, Interaction: &config.SlackInteraction{},
		}},
	}, time.Now)
	if err != nil {
		return err
	}
	for _, story := range [][]incident.Incident{over(), asking()} {
		r := incident.Receipt{}
		for _, i := range story {
			// The thread waits a second between its messages.
			for try := range 3 {
				next, err := all[0].Notify(ctx, i, r)
				if r = next; err == nil {
					break
				}
				if try == 2 {
					return err
				}
				time.Sleep(time.Second)
			}
		}
	}
	shot := rec.Snapshot()
	for k, clock := range []string{"00:41:10", "00:41:59", "00:41:59", "00:48:41", "00:48:41", "01:14:05", "01:14:20",
		"01:14:53"} {
		if k < len(shot.Requests) {
			shot.Requests[k].At = at(clock) // the stories' time, not the one of the drawing
		}
	}
	return slackview.HTML(os.Stdout, "incidents", shot)
}

func fresh(id, target, rule, was string, s incident.Severity, opened time.Time) incident.Incident {
	i := incident.New(id, incident.Target{Name: target, Namespace: target, Kind: "deployment", Workload: target},
		opened)
	i.Severity, i.Lead, i.Phase = s, rule, incident.Open
	i.Alerts = []incident.Alert{{Rule: rule, Severity: s, Firing: true, Verdict: incident.Breach, Was: was,
		Reason: was}}
	i.Timeline = []incident.Entry{{At: opened, Kind: incident.KindFiring, Text: rule + ": " + was}}
	return i
}

func note(i incident.Incident, clock string, kind incident.Kind, text string) incident.Incident {
	i.Timeline = append(i.Timeline[:len(i.Timeline):len(i.Timeline)],
		incident.Entry{At: at(clock), Kind: kind, Text: text})
	return i
}

// over is an incident that watchdog ended by adding replicas.
func over() []incident.Incident {
	first := fresh("01m7xk2v", "cart", "response_time", "p95 812ms > 500ms for 5m", incident.P2, at("00:41:10"))
	acted := note(first, "00:41:25", "planned", "scale cart/deployment/cart from 4 to 5 replicas")
	acted = note(acted, "00:41:26", "acted", "scale cart/deployment/cart from 4 to 5 replicas")
	acted = note(acted, "00:41:58", "rolled out", "complete 32s after the write; 5 replicas ready")
	acted.Phase, acted.Op = incident.Verifying, &incident.Op{AppliedAt: at("00:41:26"),
		Plan: incident.Plan{Summary: "scale cart/deployment/cart from 4 to 5 replicas"}}
	done := note(acted, "00:46:30", "verdict", "scale: helped (p95 340ms, below 400ms for 2m)")
	done = note(done, "00:48:40", "resolved", "no rule is firing, 7m30s after the incident opened")
	done.Phase, done.ResolvedAt, done.Op = incident.Resolved, at("00:48:40"), nil
	done.Attempts = []incident.Attempt{{Action: "scale", Summary: "scale cart/deployment/cart from 4 to 5 replicas",
		Verdict: incident.Helped}}
	return []incident.Incident{first, acted, done}
}

// asking is an incident whose release watchdog would roll back.
func asking() []incident.Incident {
	first := fresh("01m869s2", "shop", "error_rate", "31% > 5% for 1m", incident.P1, at("01:14:05"))
	first.AckBy = at("02:14:20")
	i := note(first, "01:14:20", "paged", "approval required until 2026-03-06 01:44:20 UTC: roll back "+
		"shop/deployment/shop to revision 41 (plan 3f9a1c77d0e2)")
	i = note(i, "01:14:52", "note", "by bob@example.com (api): checkout only, search is fine")
	i.Paged, i.PageReason = true, "approval is needed"
	i.Asked = &incident.Request{
		Op: "op1", Rule: "error_rate", At: at("01:14:20"), Until: at("01:44:20"), Quorum: 1,
		Why: "nobody has answered yet",
		Plan: incident.Plan{Action: "rollback",
			Summary: "roll back shop/deployment/shop to revision 41 (image shop:2.13.4)", Hash: "3f9a1c77d0e2" +
				strings.Repeat("a", 20), Price: 3,
			Object: incident.Object{Group: "apps", Version: "v1", Resource: "deployments", Namespace: "shop",
				Name: "shop"}, Field: "image of container shop", Before: "shop:2.14.0", After: "shop:2.13.4",
			Inverse: []byte("{}")},
	}
	return []incident.Incident{first, i}
}
