package snapshot

import (
	"os"
	"path/filepath"
	"testing"

	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/redact"
	"watchdog.io/watchdog/pkg/remediate"
)

func TestWhatTheEngineSeesHoldsNoSecret_SEC21(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("no-shape-at-all-47"), 0o600); err != nil {
		t.Fatal(err)
	}
	known := &redact.Known{}
	known.Read(file)
	given := map[string]string{"summary": "refused: no-shape-at-all-47", "other": "well"}
	v := engine.Snapshot{
		Alerts: []incident.Alert{{Rule: "front", Reason: "HTTP 400: no-shape-at-all-47", Annotations: given,
			Labels: map[string]string{"job": "shop"}}},
		Signals: []remediate.Signal{{Detail: "front: HTTP 400: no-shape-at-all-47"}},
	}
	clean(&v, known.Text)
	if x := v.Alerts[0]; x.Reason != "HTTP 400: [redacted]" || x.Annotations["summary"] != "refused: [redacted]" ||
		x.Annotations["other"] != "well" || x.Labels["job"] != "shop" ||
		v.Signals[0].Detail != "front: HTTP 400: [redacted]" {
		t.Errorf("%+v", v)
	}
	if given["summary"] != "refused: no-shape-at-all-47" {
		t.Error("the rule's own annotations were changed")
	}
	if n := testing.AllocsPerRun(100, func() { clean(&engine.Snapshot{}, known.Text) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
