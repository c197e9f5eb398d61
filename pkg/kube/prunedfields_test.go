package kube

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/responder"
)

const thisLedger = "/apis/watchdog.io/v1alpha1/namespaces/watchdog/ledgers/watchdog"

// X54: an old definition drops what it does not know, and the answer is yes.
func TestAWordThatAnOldDefinitionDropsIsNotSaid_X54(t *testing.T) {
	word := responder.Patch{Acked: incident.Attribution{By: "alice", At: time.Now(), Severity: incident.P1},
		Notes: map[string]incident.Note{"n": {As: "decision"}}}
	by := incident.Attribution{Reason: "why", By: "ada", At: time.Now(), Until: time.Now().Add(time.Hour)}
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"strict validation refuses it": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPatch || r.URL.Query().Get("fieldValidation") != "Strict" {
				return false
			}
			refuse(w, http.StatusBadRequest,
				"BadRequest", `strict decoding error: unknown field "spec.acknowledged.severity"`)
			return true
		},
		"the field is dropped without a word": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPatch {
				reply(w, http.StatusOK, map[string]any{"apiVersion": "watchdog.io/v1alpha1", "kind": "Ledger",
					"metadata": map[string]any{"name": "watchdog"},
					"spec": map[string]any{"acknowledged": map[string]any{"by": "alice",
						"at": "2026-01-01T00:00:00Z"}}})
			}
			return r.Method == http.MethodPatch
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, c := newAPI(t)
			a.put(thisLedger, `{"apiVersion":"watchdog.io/v1alpha1","kind":"Ledger","spec":{}}`)
			a.answer = answer
			s := NewStore(c, "watchdog")
			for what, err := range map[string]error{"say": s.Patch(t.Context(), "a", word, "101"),
				"hold": s.HoldAll(t.Context(), by)} {
				if !errors.Is(err, ErrOldDefinition) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if strings.HasPrefix(name, "strict") {
				if err := s.CheckDefinition(t.Context()); !errors.Is(err, ErrOldDefinition) {
					t.Errorf("at the start: %v", err)
				}
			}
		})
	}
	a, c := newAPI(t)
	a.put(thisLedger, `{"apiVersion":"watchdog.io/v1alpha1","kind":"Ledger","spec":{}}`)
	s := NewStore(c, "watchdog")
	storedIncident(t, s, "a")
	say := func(w responder.Patch) error {
		_, _, version, err := s.Incident(t.Context(), "a")
		return errors.Join(err, s.Patch(t.Context(), "a", w, version))
	}
	if err := errors.Join(s.CheckDefinition(t.Context()), say(word), s.HoldAll(t.Context(), by),
		s.ResumeAll(t.Context())); err != nil {
		t.Errorf("a definition that knows all: %v", err)
	}
	if _, err := a.get(theseIncidents + "definition-check")["spec"]; err {
		t.Error("the check wrote something")
	}
	a.oldDefinition = true
	if err := s.CheckDefinition(t.Context()); !errors.Is(err, ErrOldDefinition) ||
		!strings.Contains(err.Error(), "no status sub-resource") {
		t.Errorf("incidents of an old definition: %v", err)
	}
	if _, err := s.SaveIncident(t.Context(), incident.New("b", shopCart, time.Now()), ""); !errors.Is(err,
		ErrOldDefinition) {
		t.Errorf("%v", err)
	}
}

// A new leader asks first: under an old definition, or without the right to write a status, no
// write of it would be kept, and nobody would be told of anything.
func TestALeaderWhoseWritesWouldNotBeKeptDoesNotBegin_X54(t *testing.T) {
	for name, tt := range map[string]struct {
		old    bool
		answer func(w http.ResponseWriter, r *http.Request) bool
		want   string // "" is that it begins
	}{
		"all is well":       {},
		"an old definition": {old: true, want: "apply the chart's crds/"},
		"no right to patch incidents/status": {want: "incidents/status", answer: func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/status") {
				return false
			}
			refuse(w, http.StatusForbidden, "Forbidden", "no right")
			return true
		}},
		"a webhook that takes no dry run, and so nothing is known": {answer: func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("dryRun") == "" {
				return false
			}
			refuse(w, http.StatusBadRequest, "BadRequest", `admission webhook "labels.example.org" does not support dry run`)
			return true
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a, c := newAPI(t)
			a.put(thisLedger, `{"apiVersion":"watchdog.io/v1alpha1","kind":"Ledger","spec":{}}`)
			a.put(theseIncidents+"01a2", `{"apiVersion":"watchdog.io/v1alpha1","kind":"Incident","spec":{"target":{"name":"x"}}}`)
			a.oldDefinition, a.answer = tt.old, tt.answer
			err := NewStore(c, "watchdog").Prepare(t.Context())
			if (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if swept := a.get(theseIncidents+"01a2") == nil; swept != (tt.want == "") {
				t.Errorf("swept: %v", swept)
			}
			if a.get(thisLedger)["spec"].(map[string]any)["hold"] != nil {
				t.Error("the check wrote something")
			}
		})
	}
}

// What CheckDefinition asks for is what the shipped definition has.
func TestTheShippedDefinitionKnowsEveryWord_X54(t *testing.T) {
	for _, tt := range []struct {
		file, asks string
		fields     []string
	}{
		{"ledgers", everyWord, []string{"hold:", "until:", "lifted:", "undo:", "source:"}},
		{"incidents", everyPart, []string{"acknowledged:",
			"severity:", "public:", "holdUntil:", "publish:", "to:", "notes:", "as:", "approvals:", "plan:", "denied:",
			"source:", "status:"}},
	} {
		b, err := os.ReadFile("../../deploy/helm/watchdog/crds/" + tt.file + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range tt.fields {
			if !strings.Contains(string(b), "  "+field) {
				t.Errorf("the shipped definition has no %s", field)
			}
			if !strings.Contains(tt.asks, `"`+strings.TrimSuffix(field, ":")+`"`) {
				t.Errorf("the check does not ask for %s", field)
			}
		}
	}
}

// X103: the kill switch may have an end, and nothing of the last one stays in the next.
func TestTheKillSwitchEndsByItself_X103(t *testing.T) {
	_, c := newAPI(t)
	s := NewStore(c, "watchdog")
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	if err := s.HoldAll(t.Context(), incident.Attribution{Reason: "why", By: "ada", At: time.Now(),
		Until: until}); err != nil {
		t.Fatal(err)
	}
	l, _, err := s.Ledger(t.Context())
	if err != nil || l.Held(until.Add(-time.Second)) == nil || l.Held(until) != nil {
		t.Fatalf("%+v, %v", l.Hold, err)
	}
	op := incident.Op{ID: "o", Plan: incident.Plan{Target: incident.Target{Name: "shop"}}}
	for at, want := range map[time.Time]incident.Hold{until.Add(-time.Second): incident.Suppress, until: ""} {
		if a := l.Check(op, at, incident.Limits{})[0]; a.Guard != "kill switch" || a.Hold != want {
			t.Errorf("%+v", a)
		}
	}
	if err := s.HoldAll(t.Context(), incident.Attribution{Reason: "why", By: "ada", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if l, _, err = s.Ledger(t.Context()); err != nil || !l.Hold.Until.IsZero() {
		t.Errorf("%+v, %v", l.Hold, err)
	}
}

// A3, X103: what is on hold is found, with its age and end.
func TestHoldsAreFound_A3(t *testing.T) {
	a, c := newAPI(t)
	a.answer = func(w http.ResponseWriter, r *http.Request) bool {
		list := map[string]string{"/api/v1/namespaces": `{"metadata":{"name":"billing",` +
			`"annotations":{"watchdog.io/hold":"freeze"}}},{"metadata":{"name":"shop"}}`,
			"/apis/apps/v1/deployments": `{"metadata":{"namespace":"shop","name":"cart",` +
				`"annotations":{"watchdog.io/hold":"why (ada)","watchdog.io/hold-since":"2026-03-06T10:00:00Z",` +
				`"watchdog.io/hold-until":"2026-03-06T13:00:00Z"}}},{"metadata":{"namespace":"shop","name":"old",` +
				`"annotations":{"watchdog.io/hold":"why","watchdog.io/hold-until":"2026-03-06T11:00:00Z"}}}`,
			"/apis/apps/v1/statefulsets": ``}[r.URL.Path]
		if r.URL.Path == "/apis/apps/v1/daemonsets" {
			refuse(w, http.StatusForbidden, "Forbidden", "no")
			return true
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"kind":"NamespaceList","apiVersion":"v1","metadata":{},"items":[` + list + `]}`))
		return true
	}
	all, err := c.Holds(t.Context(), time.Date(2026, 3, 6, 12, 0, 0, 0, time.UTC))
	if err == nil || !strings.Contains(err.Error(), "daemonsets") {
		t.Errorf("%v", err)
	}
	if len(all) != 2 || all[0].Namespace != "billing" || all[0].Kind != "" || all[1].Name != "cart" ||
		all[1].Since.Hour() != 10 || all[1].Until.Hour() != 13 {
		t.Errorf("%+v", all)
	}
}
