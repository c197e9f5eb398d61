package kube

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

func TestIncidentsSurviveAndAreReplacedOnlyUnderTheirVersion(t *testing.T) {
	a, c := newAPI(t)
	s := NewStore(c, "watchdog")
	at := time.Date(2026, 1, 1, 12, 0, 0, 123e6, time.UTC)
	inc := incident.New("01k3", shopCart, at)
	inc.Format = format
	inc.Alerts = []incident.Alert{{Rule: "error_rate", Value: 0.25,
		Ladder: []incident.Rung{{Action: "scale", Settle: time.Minute}}}}
	inc.Op = &incident.Op{ID: "op1", Plan: incident.Plan{Patch: []byte(`{"spec":{"replicas":4}}`)}}
	v1, err := s.SaveIncident(t.Context(), inc, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.SaveIncident(t.Context(), inc, ""); !errors.Is(err, incident.ErrConflict) {
		t.Errorf("created twice: %v", err)
	}
	inc.Phase = incident.Acting
	v2, err := s.SaveIncident(t.Context(), inc, v1)
	if err != nil || v2 == v1 {
		t.Fatalf("got %s, %v", v2, err)
	}
	if _, err := s.SaveIncident(t.Context(), inc, v1); !errors.Is(err, incident.ErrConflict) {
		t.Errorf("an old version was replaced: %v", err)
	}
	all, err := s.Incidents(t.Context())
	if err != nil || len(all) != 1 || all[0].Version != v2 {
		t.Fatalf("got %+v, %v", all, err)
	}
	if d := cmp.Diff(inc, all[0].Incident); d != "" {
		t.Error(d)
	}
	stored := a.get("/apis/watchdog.io/v1alpha1/namespaces/watchdog/incidents/01k3")
	if d := cmp.Diff(map[string]any{"target": map[string]any{"name": "cart", "namespace": "shop", "kind": "deployment",
		"workload": "cart"}, "openedAt": "2026-01-01T12:00:00Z"}, stored["spec"]); d != "" {
		t.Error(d)
	}
	for range 2 {
		if err := s.DeleteIncident(t.Context(), "01k3"); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.SaveIncident(t.Context(), inc, v2); !errors.Is(err, incident.ErrConflict) {
		t.Errorf("what was deleted was replaced: %v", err)
	}
}

func TestAnObjectThatIsTooLargeIsRefused(t *testing.T) {
	a, c := newAPI(t)
	inc := incident.New("01k3", shopCart, time.Now())
	inc.PageReason = strings.Repeat("x", maxObject)
	if _, err := NewStore(c, "watchdog").SaveIncident(t.Context(), inc, ""); err == nil || len(a.mutations()) != 0 {
		t.Errorf("got %v", err)
	}
}

func TestAHoldAndAReservationCannotMissEachOther(t *testing.T) { // INV-25
	_, c := newAPI(t)
	s := NewStore(c, "watchdog")
	l, version, err := s.Ledger(t.Context())
	if err != nil || version == "" {
		t.Fatalf("a missing ledger is made: %q, %v", version, err)
	}
	if err := s.HoldAll(t.Context(), incident.Attribution{Reason: "datacentre move", By: "ada",
		At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	l.Ops = append(l.Ops, incident.Op{ID: "op1"})
	if _, err := s.SwapLedger(t.Context(), l, version); !errors.Is(err, incident.ErrConflict) {
		t.Fatalf("reserved under a hold: %v", err)
	}
	held, version, err := s.Ledger(t.Context())
	if err != nil || held.Hold == nil || held.Hold.Reason != "datacentre move" || held.Hold.By != "ada" ||
		held.Hold.At.IsZero() {
		t.Fatalf("got %+v, %v", held.Hold, err)
	}
	// The daemon writes its part and leaves the person's alone.
	if version, err = s.SwapLedger(t.Context(), l, version); err != nil {
		t.Fatal(err)
	}
	if l, _, _ := s.Ledger(t.Context()); l.Hold == nil || len(l.Ops) != 1 {
		t.Errorf("got %+v", l)
	}
	if err := s.ResumeAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l, v, _ := s.Ledger(t.Context()); l.Hold != nil || len(l.Ops) != 1 || v == version {
		t.Errorf("got %+v", l)
	}
}

func TestAnythingWrittenAsAHoldIsAHold(t *testing.T) {
	for spec, want := range map[string]bool{`{}`: false, `{"hold":null}`: false, `{"hold":{}}`: true,
		`{"hold":{"reason":"why"}}`: true, `{"hold":"why"}`: true, `{"hold":{"at":"yesterday"}}`: true} {
		l, err := decodeLedger(object{Spec: []byte(spec)})
		if err != nil || (l.Hold != nil) != want {
			t.Errorf("%s: hold %+v, %v", spec, l.Hold, err)
		}
	}
}

func TestAHoldWorksBeforeTheDaemonHasEverRun(t *testing.T) {
	_, c := newAPI(t)
	s := NewStore(c, "watchdog")
	if err := s.HoldAll(t.Context(), incident.Attribution{Reason: "why"}); err != nil {
		t.Fatal(err)
	}
	if l, _, err := s.Ledger(t.Context()); err != nil || l.Hold == nil {
		t.Errorf("got %+v, %v", l, err)
	}
}

func TestRevisionRecordsAreKeptPerNamespace(t *testing.T) {
	_, c := newAPI(t)
	s := NewStore(c, "watchdog")
	all, version, err := s.Records(t.Context(), "shop")
	if err != nil || version != "" || all == nil {
		t.Fatalf("got %v, %q, %v", all, version, err)
	}
	all["shop/deployment/cart"] = []remediate.Record{{UID: "rs1", Number: 3,
		SeenAt: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}}
	if version, err = s.SwapRecords(t.Context(), "shop", all, ""); err != nil {
		t.Fatal(err)
	}
	got, v, err := s.Records(t.Context(), "shop")
	if d := cmp.Diff(all, got); d != "" || v != version || err != nil {
		t.Error(d, err)
	}
	if _, err := s.SwapRecords(t.Context(), "shop", all, "1"); !errors.Is(err, incident.ErrConflict) {
		t.Errorf("got %v", err)
	}
}

func TestAMissingDefinitionIsNamed(t *testing.T) {
	a, c := newAPI(t)
	a.answer = func(w http.ResponseWriter, _ *http.Request) bool {
		refuse(w, 404, "NotFound", "the server could not find the requested resource")
		return true
	}
	_, err := NewStore(c, "watchdog").Incidents(t.Context())
	if err == nil || !strings.Contains(err.Error(), "install the chart's custom resource definitions") {
		t.Errorf("got %v", err)
	}
	_, _, err = NewStore(c, "watchdog").Ledger(t.Context())
	if err == nil || !strings.Contains(err.Error(), "install the chart's custom resource definitions") {
		t.Errorf("got %v", err)
	}
}

func TestTargetsAreHeldByOneAnnotationAndNothingElse(t *testing.T) {
	a, c := newAPI(t)
	cart(a)
	a.put("/api/v1/namespaces/shop", `{"metadata":{"name":"shop"}}`)
	annotations := func(path string) map[string]any {
		m, _ := a.get(path)["metadata"].(map[string]any)["annotations"].(map[string]any)
		return m
	}
	if err := errors.Join(c.HoldTarget(t.Context(),
		"shop", "deployment", "cart", incident.Attribution{Reason: "migration", By: "ada"}),
		c.HoldTarget(t.Context(), "shop", "", "", incident.Attribution{Reason: "freeze"})); err != nil {
		t.Fatal(err)
	}
	got := maps.Clone(annotations(cartPath))
	if since, err := time.Parse(time.RFC3339, fmt.Sprint(got["watchdog.io/hold-since"])); err != nil ||
		time.Since(since).Abs() > time.Minute {
		t.Errorf("since %v", got["watchdog.io/hold-since"])
	}
	delete(got, "watchdog.io/hold-since")
	if d := cmp.Diff(map[string]any{"keep": "me", "watchdog.io/hold": "migration (ada)"}, got); d != "" {
		t.Error(d)
	}
	if got := annotations("/api/v1/namespaces/shop")["watchdog.io/hold"]; got != "freeze" {
		t.Errorf("namespace: %v", got)
	}
	for _, held := range []bool{true, false} {
		if was, err := c.ResumeTarget(t.Context(), "shop", "deployment", "cart"); err != nil || was != held {
			t.Fatalf("was on hold: %t, %v", was, err)
		}
	}
	if d := cmp.Diff(map[string]any{"keep": "me"}, annotations(cartPath)); d != "" {
		t.Error(d)
	}
	if err := c.HoldTarget(t.Context(), "shop", "deployment", "gone", incident.Attribution{Reason: "x"}); err == nil ||
		!strings.Contains(err.Error(), "not found") {
		t.Errorf("got %v", err)
	}
}

func TestOpeningAnIncidentIsTwoRequests(t *testing.T) {
	a, c := newAPI(t)
	s := NewStore(c, "watchdog")
	i := incident.New("01a1", shopCart, wordsAt)
	version, err := s.SaveIncident(t.Context(), i, "")
	if err != nil || version != "1" || len(a.requests) != 2 || a.requests[1].method != http.MethodPatch {
		t.Errorf("version %q, %v, %d requests", version, err, len(a.requests))
	}
	if _, err := s.SaveIncident(t.Context(), i, ""); !errors.Is(err, incident.ErrConflict) {
		t.Errorf("it was opened twice: %v", err)
	}
	// A person writes the spec between the two: the status is tried again, on what is there then.
	between := true
	a.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch && between {
			between = false
			a.put(theseIncidents+"01a2", `{"apiVersion":"watchdog.io/v1alpha1","kind":"Incident","spec":{"target":{"name":"x"}}}`)
		}
		return false
	}
	if v, err := s.SaveIncident(t.Context(), incident.New("01a2", shopCart, wordsAt), ""); err != nil || v != "1" {
		t.Errorf("version %q, %v", v, err)
	}
}
