package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/responder"
)

const theseIncidents = "/apis/watchdog.io/v1alpha1/namespaces/watchdog/incidents/"

var wordsAt = time.Date(2026, 3, 6, 1, 20, 0, 0, time.UTC)

// X40: of an earlier acknowledgement nothing stays beside the one that follows it.
func TestAWordReplacesTheOneBeforeIt_X40(t *testing.T) {
	b, err := json.Marshal(spec(responder.Patch{
		Acked: incident.Attribution{By: "bob", At: wordsAt, Severity: incident.P0},
		Graded: incident.Grade{Attribution: incident.Attribution{By: "bob", Reason: "checkout", At: wordsAt},
			To: incident.P0},
		Public: incident.PublicAction{Attribution: incident.Attribution{By: "bob", At: wordsAt}},
	}))
	want := `{"acknowledged":{"at":"2026-03-06T01:20:00Z","by":"bob","reason":null,"severity":"P0","source":null},` +
		`"public":{"at":"2026-03-06T01:20:00Z","by":"bob","holdUntil":null,"publish":false,"reason":null,"source":null},` +
		`"severity":{"at":"2026-03-06T01:20:00Z","by":"bob","reason":"checkout","source":null,"to":"P0"}}`
	if err != nil || string(b) != want {
		t.Errorf("%s, %v\nwant %s", b, err, want)
	}
}

// stored is an incident that watchdog has stored, and its version for the leader.
func storedIncident(t *testing.T, s *Store, id string) (incident.Incident, string) {
	t.Helper()
	i := incident.New(id, shopCart, wordsAt)
	version, err := s.SaveIncident(t.Context(), i, "")
	if err != nil {
		t.Fatal(err)
	}
	return i, version
}

// Two people acknowledge at once: the second has to read again. The leader's write in
// between does so, too, and no word of theirs makes the leader lose one.
func TestAPersonAndTheLeaderDoNotLoseEachOthersWrites_SEC09(t *testing.T) {
	_, c := newAPI(t)
	s := NewStore(c, "watchdog")
	i, led := storedIncident(t, s, "01a1")
	_, words, version, err := s.Incident(t.Context(), "01a1")
	if err != nil || !words.Acked.At.IsZero() {
		t.Fatalf("%+v, %v", words, err)
	}
	ack := func(by, version string) error {
		return s.Patch(t.Context(), "01a1",
			responder.Patch{Acked: incident.Attribution{By: by, At: wordsAt, Source: "slack"}}, version)
	}
	if err := ack("alice", version); err != nil {
		t.Fatal(err)
	}
	if err := ack("bob", version); !errors.Is(err, responder.ErrChanged) {
		t.Errorf("the second: %v", err)
	}
	_, _, version, _ = s.Incident(t.Context(), "01a1")
	for range 3 {
		i.Phase = incident.Acting
		if led, err = s.SaveIncident(t.Context(), i, led); err != nil {
			t.Fatalf("the leader lost its write to a person: %v", err)
		}
	}
	if err := ack("bob", version); !errors.Is(err, responder.ErrChanged) {
		t.Errorf("the leader wrote meanwhile: %v", err)
	}
	got, words, _, err := s.Incident(t.Context(), "01a1")
	if err != nil || words.Acked.By != "alice" || words.Acked.Source != "slack" || got.Phase != incident.Acting {
		t.Errorf("%+v, %s, %v", words, got.Phase, err)
	}
	if err := s.Patch(t.Context(), "01zz", responder.Patch{Acked: incident.Attribution{By: "eve", At: wordsAt}},
		"1"); !errors.Is(err, responder.ErrNoIncident) {
		t.Errorf("what is not there: %v", err)
	}
}

// A status patch that meets a person's write inside the API server is sent again.
func TestAConflictWithAPersonIsNoneForTheLeader(t *testing.T) {
	a, c := newAPI(t)
	s := NewStore(c, "watchdog")
	i, version := storedIncident(t, s, "01a1")
	left := 3
	a.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch || left == 0 {
			return false
		}
		left--
		refuse(w, http.StatusConflict, "Conflict", "the object has been modified")
		return true
	}
	if _, err := s.SaveIncident(t.Context(), i, version); err != nil || left != 0 {
		t.Errorf("%v", err)
	}
	left = swapAttempts
	if _, err := s.SaveIncident(t.Context(), i, version); err == nil || errors.Is(err, incident.ErrConflict) {
		t.Errorf("people who never stop are no other leader: %v", err)
	}
}

func TestPeopleWriteNoStatus(t *testing.T) {
	a, c := newAPI(t)
	s := NewStore(c, "watchdog")
	storedIncident(t, s, "01a1")
	if err := s.write(t.Context(), "incidents", "01a1",
		[]byte(`{"status":{"phase":"resolved"},"spec":{"notes":{"n":{"reason":"x"}}}}`)); err != nil {
		t.Fatal(err)
	}
	if got := a.get(theseIncidents + "01a1"); got["status"].(map[string]any)["phase"] != "open" {
		t.Errorf("%v", got["status"])
	}
}

// An object without a status was made and never stored. Who made it goes on with it; to
// everybody else it is not there, and the next leader deletes it.
func TestAnIncidentWithoutAStatusWasNeverStored(t *testing.T) {
	a, c := newAPI(t)
	s := NewStore(c, "watchdog")
	i := incident.New("01a1", shopCart, wordsAt)
	broken := true
	a.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if !broken || !strings.HasSuffix(r.URL.Path, "/status") {
			return false
		}
		refuse(w, http.StatusInternalServerError, "InternalError", "etcd is away")
		return true
	}
	if _, err := s.SaveIncident(t.Context(), i, ""); err == nil || errors.Is(err, incident.ErrConflict) ||
		a.get(theseIncidents+"01a1") == nil {
		t.Fatalf("%v", err)
	}
	if all, err := s.Incidents(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	if _, _, _, err := s.Incident(t.Context(), "01a1"); !errors.Is(err, responder.ErrNoIncident) {
		t.Errorf("%v", err)
	}
	broken = false
	if _, err := s.SaveIncident(t.Context(), i, ""); err != nil {
		t.Errorf("its maker does not go on with it: %v", err)
	}
	a.put(theseIncidents+"01a2",
		`{"apiVersion":"watchdog.io/v1alpha1","kind":"Incident","spec":{"target":{"name":"x"}}}`)
	if err := s.Prepare(t.Context()); err != nil || a.get(theseIncidents+"01a2") != nil ||
		a.get(theseIncidents+"01a1") == nil {
		t.Errorf("%v", err)
	}
}

// Sweep lists, the status of an earlier leader comes, Sweep deletes: what is stored stays.
func TestWhatIsStoredWhileASweepIsUnderWayStays(t *testing.T) {
	a, c := newAPI(t)
	s, earlier := NewStore(c, "watchdog"), NewStore(c, "watchdog")
	i := incident.New("01a1", shopCart, wordsAt)
	if _, err := earlier.open(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	a.put(theseIncidents+"01a2",
		`{"apiVersion":"watchdog.io/v1alpha1","kind":"Incident","spec":{"target":{"name":"x"}}}`)
	var once sync.Once
	a.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			once.Do(func() {
				if _, err := earlier.SaveIncident(t.Context(), i, ""); err != nil {
					t.Error(err)
				}
			})
		}
		return false
	}
	if err := s.Sweep(t.Context(), time.Time{}); err != nil || a.get(theseIncidents+"01a1") == nil ||
		a.get(theseIncidents+"01a2") != nil {
		t.Errorf("%v", err)
	}
}

// A leader sweeps while it opens incidents: what was made a moment ago is not left over.
func TestASweepLeavesWhatWasMadeAMomentAgo(t *testing.T) {
	a, c := newAPI(t)
	s := NewStore(c, "watchdog")
	for id, made := range map[string]time.Time{"01a1": wordsAt, "01a2": wordsAt.Add(time.Minute)} {
		a.put(theseIncidents+id,
			fmt.Sprintf(`{"apiVersion":"watchdog.io/v1alpha1","kind":"Incident","metadata":{"creationTimestamp":%q},`+
				`"spec":{"target":{"name":"x"}}}`, made.Format(time.RFC3339)))
	}
	if err := s.Sweep(t.Context(), wordsAt.Add(time.Minute)); err != nil || a.get(theseIncidents+"01a1") != nil ||
		a.get(theseIncidents+"01a2") == nil {
		t.Errorf("%v", err)
	}
}

// Objects of an earlier version have no revision: the first write is under the object's version.
func TestAnIncidentOfAnEarlierVersionIsReplacedOnce(t *testing.T) {
	a, c := newAPI(t)
	s := NewStore(c, "watchdog")
	a.put(theseIncidents+"01a1",
		`{"apiVersion":"watchdog.io/v1alpha1","kind":"Incident","spec":{"target":{"name":"cart"}},"status":{"id":"01a1","phase":"open"}}`)
	all, err := s.Incidents(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	first, err := s.SaveIncident(t.Context(), all[0].Incident, all[0].Version)
	if err != nil || first == all[0].Version {
		t.Fatal(first, err)
	}
	if _, err := s.SaveIncident(t.Context(), all[0].Incident, all[0].Version); !errors.Is(err, incident.ErrConflict) {
		t.Errorf("replaced twice: %v", err)
	}
	if _, err := s.SaveIncident(t.Context(), all[0].Incident, first); err != nil {
		t.Error(err)
	}
}

// What people said in the ledger of an earlier version is honoured once: on the incidents
// that are open. A no stays, a yes has to be given again.
func TestWordsInALedgerOfAnEarlierVersionAreMovedOnce(t *testing.T) {
	a, c := newAPI(t)
	s := NewStore(c, "watchdog")
	i, version := storedIncident(t, s, "01a1")
	i.Asked, i.Noted = &incident.Request{Op: "op1"}, []string{"n1"}
	if _, err := s.SaveIncident(t.Context(), i, version); err != nil {
		t.Fatal(err)
	}
	over, version := storedIncident(t, s, "01b1")
	over.Phase = incident.Resolved
	if _, err := s.SaveIncident(t.Context(), over, version); err != nil {
		t.Fatal(err)
	}
	a.put(thisLedger, `{"apiVersion":"watchdog.io/v1alpha1","kind":"Ledger","status":{"spent":[]},"spec":{"hold":{"reason":"move"},
		"acked":{"01a1":{"by":"alice","at":"2026-03-06T01:20:00Z","via":"slack"},
			"01b1":{"by":"bob","at":"2026-03-06T01:20:00Z"},"01zz":{"by":"bob","at":"2026-03-06T01:20:00Z"}},
		"notes":{"01a1":{"n1":{"reason":"old"},"n2":{"reason":"new","at":"2026-03-06T01:20:00Z"}}},
		"approved":{"op1":{"alice":{"plan":"x","at":"2026-03-06T01:20:00Z"},
			"bob":{"plan":"x","denied":true,"at":"2026-03-06T01:20:00Z"}},"op2":{"eve":{"plan":"y"}}}}}`)
	for range 2 {
		if err := s.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w, err := s.ResponderActions(t.Context(), "01a1")
	if err != nil || w.Acked.By != "alice" || len(w.Notes) != 1 || w.Notes["n2"].Reason != "new" ||
		len(w.Approved["op1"]) != 1 || !w.Approved["op1"]["bob"].Denied {
		t.Errorf("%+v, %v", w, err)
	}
	if w, err := s.ResponderActions(t.Context(), "01b1"); err != nil || !w.Acked.At.IsZero() {
		t.Errorf("on what is over: %+v, %v", w, err)
	}
	want := map[string]any{"hold": map[string]any{"reason": "move"}}
	if d := cmp.Diff(want, a.get(thisLedger)["spec"]); d != "" {
		t.Error(d)
	}
}

// Only a hold that began through watchdog ends through it.
func TestAHoldEndsTheWayItBegan(t *testing.T) {
	a, c := newAPI(t)
	r := NewResponder(c, NewStore(c, "watchdog"))
	o := responder.Object{Namespace: "shop", Kind: "deployment", Name: "cart"}
	a.put("/apis/apps/v1/namespaces/shop/deployments/cart",
		`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"namespace":"shop"}}`)
	own, through := incident.Attribution{By: "ada", Reason: "migration"}, incident.Attribution{By: "bob", Reason: "why",
		Source: "slack"}
	no := (*responder.Refused)(nil)
	if err := r.Hold(t.Context(), o, own); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Resume(t.Context(), o, through); !errors.As(err, &no) {
		t.Errorf("a person's own hold ended through watchdog: %v", err)
	}
	if err := r.Hold(t.Context(), o, through); !errors.As(err, &no) {
		t.Errorf("a person's own hold became watchdog's: %v", err)
	}
	if was, err := r.Resume(t.Context(), o, own); err != nil || !was {
		t.Fatal(was, err)
	}
	if err := r.Hold(t.Context(), o, through); err != nil {
		t.Fatal(err)
	}
	if was, err := r.Resume(t.Context(), o, through); err != nil || !was {
		t.Errorf("%v, %v", was, err)
	}
	if was, err := r.Resume(t.Context(), o, through); err != nil || was {
		t.Errorf("%v, %v", was, err)
	}
	if err := r.Hold(t.Context(), responder.Object{Namespace: "shop", Kind: "deployment", Name: "gone"},
		own); !errors.As(err, &no) || !strings.Contains(no.Reason, "no deployment gone in namespace shop") {
		t.Errorf("%v", err)
	}
}

// What an earlier version called via is called source: in the ledger's words and in a status.
func TestAWordOfAnEarlierVersionKeepsItsSource(t *testing.T) {
	a, c := newAPI(t)
	s := NewStore(c, "watchdog")
	storedIncident(t, s, "01a1")
	a.put(thisLedger, `{"apiVersion":"watchdog.io/v1alpha1","kind":"Ledger",
		"spec":{"acked":{"01a1":{"by":"alice","at":"2026-03-06T01:20:00Z","via":"pagerduty"}}}}`)
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w, err := s.ResponderActions(t.Context(), "01a1"); err != nil || w.Acked.Source != "pagerduty" {
		t.Errorf("in the ledger: %+v, %v", w.Acked, err)
	}
	a.put(theseIncidents+"01b1", `{"apiVersion":"watchdog.io/v1alpha1","kind":"Incident","spec":{"target":{"name":"cart"}},
		"status":{"id":"01b1","phase":"open","acked":{"by":"bob","at":"2026-03-06T01:20:00Z","via":"slack"},
		"alerts":[{"labels":{"via":"lan"}}]}}`)
	i, _, _, err := s.Incident(t.Context(), "01b1")
	if err != nil || i.Acked.Source != "slack" || i.Alerts[0].Labels["via"] != "lan" {
		t.Errorf("in a status: %+v, %+v, %v", i.Acked, i.Alerts, err)
	}
}

// A watch that fails tells nothing old: what is read with the incidents counts then.
func TestAWatchThatFailsTellsNothingOld(t *testing.T) {
	a, c := newAPI(t)
	s := NewStore(c, "watchdog")
	storedIncident(t, s, "01a1")
	if err := s.Patch(t.Context(), "01a1", responder.Patch{Acked: incident.Attribution{By: "ada", At: wordsAt}},
		a.get(theseIncidents + "01a1")["metadata"].(map[string]any)["resourceVersion"].(string)); err != nil {
		t.Fatal(err)
	}
	s.follower.all = map[string]incident.ResponderActions{"01zz": {}} // of an earlier time as the leader
	listed := make(chan struct{})
	a.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("watch") == "" {
			return false
		}
		<-listed // else the watch may fail before what was listed is told
		refuse(w, http.StatusForbidden, "Forbidden", "no right to watch")
		return true
	}
	ctx, cancel := context.WithCancel(t.Context())
	heard, failed, done := make(chan bool, 100), make(chan error, 100), make(chan struct{})
	go func() {
		s.Follow(ctx, func() {
			_, earlier := s.ChangedResponderActions(ctx)["01zz"]
			heard <- earlier
		}, func(err error) { failed <- err })
		close(done)
	}()
	if <-heard {
		t.Error("what an earlier watch told is told")
	}
	close(listed)
	<-failed
	if all := s.ChangedResponderActions(t.Context()); len(all) != 0 {
		t.Errorf("told from before: %+v", all)
	}
	cancel()
	<-done
}
