package kube

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// FuzzStoredObjects: anybody with the right to may write what they like into
// watchdog's own objects. Whatever stands there is refused, or is worked without
// a panic, and no op out of it leads to a write without id, uid and version.
func FuzzStoredObjects(f *testing.F) {
	f.Add(`{"hold":{"reason":"migration"}}`,
		`{"ops":[{"id":"op1","plan":{"action":"scale","object":{"group":"apps","version":"v1",`+
			`"resource":"deployments","namespace":"shop","name":"cart","uid":"u1","resourceVersion":"7"},`+
			`"patch":"eyJzcGVjIjp7InJlcGxpY2FzIjozfX0="}}]}`)
	f.Add(`{"hold":"stop it"}`,
		`{"id":"01k3","phase":"open","lead":"errors","alerts":[{"rule":"errors","severity":"P1","firing":true,`+
			`"verdict":"BREACH","ladder":[{"action":"restart","class":3}],"next":0}]}`)
	f.Add(`{}`, `{"id":"01k3","phase":"acting","op":{"id":"op1","phase":"sent","sends":1,"plan":{"class":3}},"receipts":{"slack":{}}}`)
	s := &sender{}
	c, err := connect(&rest.Config{Host: "http://127.0.0.1:1", Transport: s, QPS: -1})
	if err != nil {
		f.Fatal(err)
	}
	w := NewWriter(c, "one")
	f.Fuzz(func(t *testing.T, spec, status string) {
		o := object{Metadata: metav1.ObjectMeta{Name: "01k3"}, Spec: json.RawMessage(spec),
			Status: json.RawMessage(status)}
		if l, err := decodeLedger(o); err == nil {
			if l.Hold == nil && wantsHold(spec) {
				t.Fatalf("%s: a hold is not seen (INV-25)", spec)
			}
			for _, op := range l.Ops {
				s.try(t, w, op)
			}
		}
		st, err := decodeIncident(o)
		if err != nil {
			return
		}
		if st.Incident.Op != nil {
			s.try(t, w, *st.Incident.Op)
		}
		stepThrough(t, st.Incident)
	})
}

// wantsHold reports whether somebody wrote anything at all as the hold.
func wantsHold(spec string) bool {
	var doc map[string]json.RawMessage
	if json.Unmarshal([]byte(spec), &doc) != nil {
		return false
	}
	for key := range doc {
		if key != "hold" && strings.EqualFold(key, "hold") {
			return false // the schema knows no such field
		}
	}
	return len(doc["hold"]) > 0 && string(doc["hold"]) != "null"
}

// stepThrough works a stored incident as a new leader would.
func stepThrough(t *testing.T, i incident.Incident) {
	t.Helper()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	a := incident.Alert{Rule: "errors", Severity: incident.P1, Firing: true, Verdict: incident.Breach,
		Ladder: []incident.Rung{{Action: "scale", Class: incident.C2}}}
	for _, e := range []incident.Event{
		incident.Tick{At: at, Alerts: i.Alerts}, incident.Considered{At: at,
			OpID: "op2"}, incident.Tick{At: at.Add(time.Hour), Alerts: []incident.Alert{a}},
		incident.Found{At: at.Add(time.Hour),
			Known: true}, incident.Released{At: at.Add(2 * time.Hour)}, incident.Tick{At: at.Add(3 * time.Hour)},
	} {
		i, _ = incident.Step(i, e, incident.DefaultPolicy())
	}
	_, _ = i.Title(), i.Target.String()
	if _, err := encodeStatus(i, 1<<30); err != nil {
		t.Fatalf("what was read cannot be stored again: %v", err)
	}
}

// sender notes what would have been sent.
type sender struct{ requests []*http.Request }

func (s *sender) RoundTrip(r *http.Request) (*http.Response, error) {
	s.requests = append(s.requests, r)
	return nil, errors.New("cut")
}

func (s *sender) try(t *testing.T, w *Writer, op incident.Op) {
	t.Helper()
	s.requests = nil
	if found, err := w.Find(t.Context(), "", op.Plan); found || err == nil || len(s.requests) > 0 {
		t.Fatalf("an op without an id is found: %v, %v", found, err)
	}
	s.requests = nil
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, _ = w.Write(ctx, op.ID, op.Plan)
	if len(s.requests) > 1 {
		t.Fatalf("%d requests for one op", len(s.requests))
	}
	for _, r := range s.requests {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		checkSent(t, r, body, op)
	}
}

func checkSent(t *testing.T, r *http.Request, body []byte, op incident.Op) {
	t.Helper()
	var doc struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatalf("sent %q: %v", body, err)
	}
	m, o := doc.Metadata, op.Plan.Object
	if op.ID == "" || !strings.Contains(r.URL.Path, "/namespaces/"+o.Namespace+"/"+o.Resource) {
		t.Fatalf("op %q: %s %s", op.ID, r.Method, r.URL.Path)
	}
	switch r.Method {
	case http.MethodPatch:
		if m.UID == "" || m.ResourceVersion == "" || m.Annotations[remediate.OpAnnotation] != op.ID ||
			!strings.HasSuffix(r.URL.Path, "/"+o.Name) {
			t.Fatalf("patched without a precondition (INV-03): %s %s", r.URL.Path, body)
		}
	case http.MethodPost:
		if o.Resource != "jobs" || m.Name == "" || m.Labels[remediate.OpLabel] != op.ID {
			t.Fatalf("created what cannot be found again: %s %s", r.URL.Path, body)
		}
	default:
		t.Fatalf("a %s (INV-36)", r.Method)
	}
}
