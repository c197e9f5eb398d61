package statuspage

import (
	"encoding/json"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

// TestEveryDriftIsFound_W15 goes through all combinations of what is measured, for
// how long, what the page says and what people said: an alarm in each that is
// drift, and in no other.
func TestEveryDriftIsFound_W15(t *testing.T) {
	now := notifytest.T0.Add(24 * time.Hour)
	meta := func(id string) json.RawMessage {
		b, _ := json.Marshal(metadata{ours{Incident: id, Component: "c1", Impact: "partial_outage"}})
		return b
	}
	measures := map[string]func(*incident.Incident){
		"down":           func(*incident.Incident) {},
		"being fixed":    func(i *incident.Incident) { i.Op = &incident.Op{AppliedAt: notifytest.T0} },
		"cannot be seen": func(i *incident.Incident) { i.Phase = incident.Frozen },
		"no data":        func(i *incident.Incident) { i.Alerts[0].Verdict = incident.NoData },
		"silenced":       func(i *incident.Incident) { i.Alerts[0].Silenced = "by 0d1a" },
		"of no severity": func(i *incident.Incident) { i.Severity = incident.P3 },
		"held":           func(i *incident.Incident) { i.Public.HoldUntil = now.Add(time.Hour) },
		"held before":    func(i *incident.Incident) { i.Public.HoldUntil = now.Add(-time.Hour) },
		"over":           func(i *incident.Incident) { i.Phase = incident.Resolved },
		"over and held": func(i *incident.Incident) {
			i.Phase, i.Public.HoldUntil = incident.Resolved,
				now.Add(time.Hour)
		},
		"watchdog's own":  func(i *incident.Incident) { i.Target.Name = incident.Self },
		"of another part": func(i *incident.Incident) { i.Target.Name = "cart" },
	}
	pages := map[string][]entry{
		"empty": nil,
		"ours":  {{ID: "sp1", Status: "investigating", RawMeta: meta("01inc")}},
		"somebody else's": {{ID: "sp2", Status: "investigating", RawMeta: json.RawMessage(`{"x":{"y":1}}`),
			Components: []component{{ID: "c1"}}}},
		"ours of the past": {{ID: "sp3", Status: "investigating", RawMeta: meta("gone")}},
		"a maintenance":    {{ID: "sp4", Status: "in_progress"}},
	}
	cases, alarms := 0, 0
	for _, parts := range []bool{true, false} {
		_, s, _ := aPage(t, func(c *config.Statuspage) {
			c.Publish = "ask"
			if !parts {
				c.ComponentID = ""
			} else {
				c.Components = []config.StatuspageComponent{{Target: "cart", ID: "c2"}}
			}
		})
		for measured, change := range measures {
			for pageName, there := range pages {
				for _, status := range []string{"operational", "partial_outage", underMaintenance} {
					for _, lasted := range []time.Duration{4 * time.Minute, 6 * time.Minute, 14 * time.Minute,
						16 * time.Minute} {
						i := notifytest.Trouble()
						i.OpenedAt, i.ResolvedAt = now.Add(-lasted), now.Add(-lasted)
						change(&i)
						all := []incident.Incident{i}
						s.mem = newMemory(time.Now())
						first := s.mem.lasting(s.differ(there, map[string]string{"c1": status, "c2": status}, all, now),
							now)
						got := first
						// What it cannot know the age of must be seen for as long.
						if pageName == "ours of the past" {
							later := now.Add(5*time.Minute + time.Second)
							got = s.mem.lasting(s.differ(there, map[string]string{"c1": status, "c2": status}, nil,
								later), later)
							if len(got) != 1 {
								t.Errorf("%s, page %s, %s: %v", measured, pageName, status, got)
							}
							got = first
						}
						down := map[string]bool{"down": true, "being fixed": true, "held before": true,
							"of another part": true}[measured] && lasted > 5*time.Minute
						quiet := status == "operational"
						if !parts {
							quiet = pageName == "empty" || pageName == "a maintenance"
						}
						// The page may be late by clear_after and spread, and then by five minutes.
						stays := measured == "over" && pageName == "ours" && lasted > 15*time.Minute
						want := down && quiet || stays
						if cases++; want {
							alarms++
						}
						if (len(got) > 0) != want {
							t.Errorf("%s for %s, page %s, component %s, parts %v: %v, want an alarm: %v", measured,
								lasted, pageName, status, parts, got, want)
						}
					}
				}
			}
		}
	}
	if alarms < 50 {
		t.Errorf("only %d alarms", alarms)
	}
	t.Logf("%d cases, %d of them drift: all found, no other", cases, alarms)
}

func TestADriftSaysWhatToDo(t *testing.T) {
	_, s, _ := aPage(t, onRequest)
	i := notifytest.Trouble()
	now := i.OpenedAt.Add(10 * time.Minute)
	d := s.mem.lasting(s.differ(nil, map[string]string{"c1": "operational"}, []incident.Incident{i}, now), now)
	if len(d) != 1 || d[0].Text != "the status page shows operational of component c1, but incident 01inc on shop "+
		"has been open since 12:00:00 UTC; not published: run `watchdog publish 01inc`" {
		t.Errorf("%v", d)
	}
}
