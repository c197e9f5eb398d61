package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// fillIncidents stores n incidents, and returns their names in order.
func fillIncidents(a *api, n int) (names []string) {
	for i := range n {
		id := fmt.Sprintf("01%04d", i)
		a.put(theseIncidents+id, fmt.Sprintf(`{"apiVersion":"watchdog.io/v1alpha1","kind":"Incident","spec":{"target":`+
			`{"name":"cart"}},"status":{"id":%q,"format":1,"phase":"open","revision":3}}`, id))
		names = append(names, id)
	}
	return names
}

// lists are the list requests seen, by what they ask to continue.
func (a *api) lists() (all []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.requests {
		if r.method == http.MethodGet && strings.HasSuffix(r.path, "/incidents") && !strings.Contains(r.query, "watch=") {
			all = append(all, r.query)
		}
	}
	return all
}

func TestIncidentsAreListedInPages(t *testing.T) {
	for n, pages := range map[int]int{0: 1, 1: 1, pageSize: 2, pageSize + 1: 2, 3*pageSize - 1: 3} {
		a, c := newAPI(t)
		want := fillIncidents(a, n)
		var got []string
		err := NewStore(c, "watchdog").EachIncident(t.Context(), func(s incident.Stored) error {
			if s.Version != "3" || s.Incident.Phase != incident.Open {
				t.Errorf("%+v", s)
			}
			got = append(got, s.Incident.ID)
			return nil
		})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%d incidents: got %d, %v", n, len(got), err)
		}
		if asked := a.lists(); len(asked) != pages {
			t.Errorf("%d incidents: %d requests, want %d", n, len(asked), pages)
		}
	}
}

// A snapshot expires after some minutes: the list begins anew, and hands nothing over twice.
func TestAListWhoseSnapshotExpiredBeginsAnew(t *testing.T) {
	for name, tt := range map[string]struct {
		expired int // how often
		fails   bool
	}{"once": {1, false}, "as often as is tried": {maxRestarts, false}, "always": {maxRestarts + 1, true}} {
		a, c := newAPI(t)
		want := fillIncidents(a, 2*pageSize+10)
		left := tt.expired
		a.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("continue") != "" && left > 0 {
				left--
				a.put(theseIncidents+"01zzzz", `{"apiVersion":"watchdog.io/v1alpha1","kind":"Incident","spec":{"target":`+
					`{"name":"cart"}},"status":{"id":"01zzzz","format":1,"phase":"open","revision":1}}`)
				refuse(w, http.StatusGone, "Expired", "the provided continue parameter is too old")
				return true
			}
			return false
		}
		all, err := NewStore(c, "watchdog").Incidents(t.Context())
		if tt.fails {
			if err == nil || !strings.Contains(err.Error(), "too old") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var got []string
		for _, s := range all {
			got = append(got, s.Incident.ID)
		}
		if err != nil || !slices.Equal(got, append(want, "01zzzz")) {
			t.Errorf("%s: got %d incidents, want %d; %v", name, len(got), len(want)+1, err)
		}
	}
}

// Half a list is no list.
func TestAListThatBreaksOffIsAnError(t *testing.T) {
	a, c := newAPI(t)
	const item, incident01a1 = `{"items":[{"metadata":{"name":"01a1"},`, "read incident watchdog/01a1"
	for text, want := range map[string]string{
		`{"items":[{"metadata":{"name":"01a1"}},`: "unexpected EOF",
		`{"items":[`:   "unexpected EOF",
		`{"items":{}}`: "expected [",
		`[]`:           "expected {",
		item + `"spec":{},"status":{"id":"01b1","revision":1}}]}`:         incident01a1 + `: decode status: its id is "01b1"`,
		item + `"status":{"id":"01a1","revision":1}}]}`:                   incident01a1 + ": decode spec",
		item + `"spec":{},"status":{"phase":7,"revision":1}}]}`:           incident01a1 + ": decode status",
		item + `"spec":{"target":7},"status":{"id":"01a1"}}]}`:            incident01a1 + ": decode spec",
		item + `"spec":{},"status":{"id":"01a1","op":{},"revision":1}}]}`: "its op has no id",
	} {
		a.answer = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(text))
			return true
		}
		if all, err := NewStore(c, "watchdog").Incidents(t.Context()); err == nil || all != nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// What takes the incidents may stop, and its error is not dressed up as one of the API server.
func TestWhoTakesIncidentsMayStop(t *testing.T) {
	a, c := newAPI(t)
	fillIncidents(a, pageSize+1)
	enough, n := errors.New("enough"), 0
	err := NewStore(c, "watchdog").EachIncident(t.Context(), func(incident.Stored) error { n++; return enough })
	if !errors.Is(err, enough) || err.Error() != "enough" || n != 1 || len(a.lists()) != 1 {
		t.Errorf("%v after %d incidents and %d requests", err, n, len(a.lists()))
	}
}

// Of an incident that a newer watchdog stored nothing is guessed, whatever it holds.
func TestAnIncidentOfANewerVersionInAListIsAStub_INV49(t *testing.T) {
	a, c := newAPI(t)
	a.put(theseIncidents+"01a1", `{"apiVersion":"watchdog.io/v1alpha1","kind":"Incident","spec":{"target":{"name":"cart"}},
		"status":{"id":"01a1","format":2,"phase":{"is":"new"},"revision":9}}`)
	a.put(theseIncidents+"01a2", `{"apiVersion":"watchdog.io/v1alpha1","kind":"Incident","spec":{"target":{"name":"cart"}},
		"status":{"id":"01a2","format":2,"phase":"open","revision":9}}`)
	all, err := NewStore(c, "watchdog").Incidents(t.Context())
	if err != nil || len(all) != 2 || !all[0].Newer || !all[1].Newer || all[1].Incident.Phase != "" ||
		all[0].Incident.Target.Name != "cart" {
		t.Errorf("%+v, %v", all, err)
	}
}

// While the incidents are watched, the watch says which were never stored: no list a minute.
func TestASweepListsNothingThatIsWatched(t *testing.T) {
	a, c := newAPI(t)
	s := NewStore(c, "watchdog")
	fillIncidents(a, 3)
	for id, made := range map[string]time.Time{"01x1": wordsAt, "01x2": wordsAt.Add(time.Minute)} {
		a.put(theseIncidents+id,
			fmt.Sprintf(`{"apiVersion":"watchdog.io/v1alpha1","kind":"Incident","metadata":{"creationTimestamp":%q},`+
				`"spec":{"notes":{"n":{"reason":"x"}}}}`, made.Format(time.RFC3339)))
	}
	a.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("watch") == "" {
			return false
		}
		<-r.Context().Done()
		return true
	}
	ctx, cancel := context.WithCancel(t.Context())
	heard, done := make(chan bool, 100), make(chan struct{})
	go func() {
		s.Follow(ctx, func() { heard <- true }, func(err error) { t.Error(err) })
		close(done)
	}()
	for range 2 {
		<-heard // the notes
	}
	listed := len(a.lists())
	if err := s.Sweep(t.Context(), wordsAt.Add(time.Minute)); err != nil || a.get(theseIncidents+"01x1") != nil ||
		a.get(theseIncidents+"01x2") == nil || a.get(theseIncidents+"010000") == nil {
		t.Errorf("%v", err)
	}
	if n := len(a.lists()) - listed; n != 0 {
		t.Errorf("%d lists", n)
	}
	cancel()
	<-done
}

// Who takes incidents may take longer than a request may, such as a person who reads a list: a page is
// read whole before it is handed over.
func TestAPageIsReadBeforeItIsHandedOver(t *testing.T) {
	a, c := newAPI(t)
	const all = 3
	a.answer = func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		var items []string
		for n := range all {
			items = append(items, fmt.Sprintf(`{"metadata":{"name":"01a%d"},"spec":{"target":{"name":"cart"}},"status":{"id":"01a%d",`+
				`"format":1,"phase":"open","revision":1,"lead":"%s"}}`, n, n, strings.Repeat("x", 1<<20)))
		}
		fmt.Fprintf(w, `{"items":[%s]}`, strings.Join(items, ","))
		return true
	}
	ctx, cancel := context.WithCancel(t.Context())
	taken := 0
	err := NewStore(c, "watchdog").EachIncident(ctx, func(incident.Stored) error {
		cancel()
		taken++
		return nil
	})
	if taken != all || err != nil {
		t.Errorf("%d incidents are handed over, want %d; %v", taken, all, err)
	}
}
