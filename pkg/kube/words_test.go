package kube

import (
	"encoding/json"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// What goes and what comes is one patch; a note that comes takes no other note of its
// incident with it.
func TestOnePatchForWhatGoesAndWhatComes(t *testing.T) {
	b, err := json.Marshal(spec(incident.Saying{
		Notes: map[string]map[string]incident.Note{"a": {"n3": {As: "decision"}}},
		Gone: incident.Gone{Incidents: []string{"old"}, Ops: []string{"op"},
			Notes: map[string][]string{"a": {"n1", "n2"}, "b": {"n1"}}},
	}))
	want := `{"acked":{"old":null},"approved":{"op":null},"graded":{"old":null},"notes":{"a":{"n1":null,"n2":null,"n3":{"as":"decision"}},"b":{"n1":null},"old":null}}`
	if err != nil || string(b) != want {
		t.Errorf("%s, %v\nwant %s", b, err, want)
	}
}

// X40: of an earlier acknowledgement nothing stays beside the one that follows it.
func TestAWordReplacesTheOneBeforeIt_X40(t *testing.T) {
	at := time.Date(2026, 3, 6, 1, 20, 0, 0, time.UTC)
	b, err := json.Marshal(spec(incident.Saying{
		Acked: map[string]incident.Attribution{"a": {By: "bob", At: at, Severity: incident.P0}},
		Graded: map[string]incident.Grade{"a": {Attribution: incident.Attribution{By: "bob", Reason: "checkout",
			At: at}, To: incident.P0}},
	}))
	want := `{"acked":{"a":{"at":"2026-03-06T01:20:00Z","by":"bob","reason":null,"severity":"P0","via":null}},"graded":{"a":{"at":"2026-03-06T01:20:00Z","by":"bob","reason":"checkout","to":"P0","via":null}}}`
	if err != nil || string(b) != want {
		t.Errorf("%s, %v\nwant %s", b, err, want)
	}
}
