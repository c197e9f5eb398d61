package kube

import (
	"encoding/json"
	"testing"

	"watchdog.io/watchdog/pkg/incident"
)

// What goes and what comes is one patch; a note that comes takes no other note of its
// incident with it.
func TestOnePatchForWhatGoesAndWhatComes(t *testing.T) {
	b, err := json.Marshal(spec(incident.Saying{
		Notes: map[string]map[string]incident.Note{"a": {"n3": {As: "decision"}}},
		Gone:  incident.Gone{Incidents: []string{"old"}, Ops: []string{"op"}, Notes: map[string][]string{"a": {"n1", "n2"}, "b": {"n1"}}},
	}))
	want := `{"acked":{"old":null},"approved":{"op":null},"graded":{"old":null},"notes":{"a":{"n1":null,"n2":null,"n3":{"as":"decision"}},"b":{"n1":null},"old":null}}`
	if err != nil || string(b) != want {
		t.Errorf("%s, %v\nwant %s", b, err, want)
	}
}
