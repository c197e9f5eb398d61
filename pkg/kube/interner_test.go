package kube

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"watchdog.io/watchdog/pkg/incident"
)

// An incident that is made slim is the same, without room for more.
func TestASlimIncidentIsTheSame(t *testing.T) {
	inc := incident.New("01a1", shopCart, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	for _, rule := range []string{"error_rate", "response_time", "error_rate"} {
		inc.Alerts = append(inc.Alerts, incident.Alert{Rule: rule, Severity: incident.P1, Verdict: incident.OK, Unit: "ratio",
			Recent: []float64{1, 2, 3, 4, 5}, Ladder: []incident.Rung{{Action: "scale"}}, Keys: []string{"k"}})
		inc.Timeline = append(inc.Timeline, incident.Entry{Kind: incident.KindFiring, Rule: rule, Text: "x",
			By: incident.Attribution{By: "ada"}})
		inc.Answers = append(inc.Answers, incident.Answer{Guard: "silence"})
	}
	b, err := json.Marshal(inc)
	var got, want incident.Incident
	if err == nil {
		err = json.Unmarshal(b, &got)
	}
	if err == nil {
		err = json.Unmarshal(b, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	interner{}.slim(&got)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for name, room := range map[string]int{"alerts": cap(got.Alerts) - len(got.Alerts),
		"timeline": cap(got.Timeline) - len(got.Timeline), "answers": cap(got.Answers) - len(got.Answers),
		"values": cap(got.Alerts[0].Recent) - len(got.Alerts[0].Recent)} {
		if room > 1 { // the allocator rounds up
			t.Errorf("%s: room for %d more", name, room)
		}
	}
}
