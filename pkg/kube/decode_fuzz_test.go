package kube

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzWorkload: what the API server says of a workload is read or refused, the
// numbers that decide over pods stay sensible, and what is shown to people of a
// pod template holds no value of a variable.
func FuzzWorkload(f *testing.F) {
	f.Add("deployment", `{"metadata":{"uid":"u1","resourceVersion":"7","managedFields":[{"manager":"kubectl",`+
		`"operation":"Update","fieldsV1":{"f:spec":{"f:replicas":{}}}}]},"spec":{"replicas":4,`+
		`"strategy":{"rollingUpdate":{"maxUnavailable":"50%","maxSurge":0}},`+
		`"template":{"spec":{"containers":[{"name":"a","image":"i","env":[{"name":"A","value":"SECRETVALUE"}]}]}}}}`)
	f.Add("statefulset", `{"spec":{"replicas":0,"template":{"metadata":{"annotations":{"a":"SECRETVALUE"}}}}}`)
	f.Add("daemonset", `{"status":{"numberReady":3},"spec":{"template":{"metadata":{"labels":{"pod-template-hash":"x"}}}}}`)
	f.Fuzz(func(t *testing.T, kind, raw string) {
		w, _, err := decodeWorkload(kind, []byte(raw))
		if err != nil {
			return
		}
		if !json.Valid(w.Template) {
			t.Fatalf("template %s", w.Template)
		}
		// A count below zero is no answer of an API server.
		if kind == "deployment" && w.Desired >= 0 && w.Desired < 1<<20 && !strings.Contains(raw, "-") &&
			(w.MaxUnavailable < 0 || w.MaxSurge < 0 || !w.Recreate && w.MaxUnavailable == 0 && w.MaxSurge == 0 &&
				w.Desired > 0) {
			t.Fatalf("%d unavailable and %d surge of %d", w.MaxUnavailable, w.MaxSurge, w.Desired)
		}
		if _, err := decodeRevisions([]json.RawMessage{json.RawMessage(raw)}, w.Target.UID); err != nil &&
			!strings.Contains(err.Error(), "replicaset") {
			t.Fatal(err)
		}
		checkRedacted(t, w.Template)
	})
}

func checkRedacted(t *testing.T, template json.RawMessage) {
	t.Helper()
	shown := redactTemplate(template)
	if shown == nil {
		return
	}
	var got struct {
		Metadata struct {
			Annotations map[string]string
		}
		Spec struct {
			InitContainers, Containers, EphemeralContainers []struct {
				Env []struct{ Value string }
			}
		}
	}
	if err := json.Unmarshal(shown, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Metadata.Annotations) > 0 {
		t.Fatalf("annotations are shown: %s", shown)
	}
	for _, all := range [][]struct {
		Env []struct{ Value string }
	}{got.Spec.InitContainers, got.Spec.Containers, got.Spec.EphemeralContainers} {
		for _, c := range all {
			for _, e := range c.Env {
				if e.Value != "" && e.Value != redacted {
					t.Fatalf("the value %q of a variable is shown", e.Value)
				}
			}
		}
	}
}
