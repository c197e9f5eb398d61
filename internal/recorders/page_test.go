package recorders_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"watchdog.io/watchdog/internal/recorders"
)

// read asks the page for a list and returns the ids and states in it.
func read(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "OAuth token")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var some []recorders.PageEntry
	if json.Unmarshal(b, &some) != nil {
		return resp.StatusCode, string(b)
	}
	text := ""
	for _, e := range some {
		text += fmt.Sprintf("%s %s %s;", e.ID, e.Status, e.Metadata)
	}
	return resp.StatusCode, text
}

func TestThePageCanBeReadBack(t *testing.T) {
	r, url := testRecorder(t, recorders.Options{})
	page := url + "/statuspage/v1/pages/abc"
	h := []string{"Authorization", "OAuth token", "Content-Type", "application/json"}
	for _, body := range []string{
		`{"incident":{"name":"a","status":"investigating","component_ids":["web"],` +
			`"components":{"web":"major_outage"},"metadata":{"watchdog":{"incident":"01a"}}}}`,
		`{"incident":{"name":"b","status":"investigating"}}`,
		`{"incident":{"name":"c","status":"scheduled","scheduled_for":"2026-01-01T00:00:00Z","scheduled_until":"2026-01-01T01:00:00Z"}}`,
	} {
		if status, answer := send(t, "POST", page+"/incidents", body, h...); status != http.StatusCreated {
			t.Fatal(status, answer)
		}
	}
	for list, want := range map[string]string{
		"unresolved":                   `sp2 investigating ;sp1 investigating {"watchdog":{"incident":"01a"}};`,
		"unresolved?page=2&per_page=1": `sp1 investigating {"watchdog":{"incident":"01a"}};`,
		"unresolved?page=3&per_page=1": ``,
		"scheduled":                    `sp3 scheduled ;`,
		"active_maintenance":           ``,
	} {
		if status, got := read(t, page+"/incidents/"+list); status != http.StatusOK || got != want {
			t.Errorf("%s: %d %s", list, status, got)
		}
	}
	if status, got := read(t, page+"/components/web"); status != http.StatusOK ||
		got != "{\"id\":\"web\",\"status\":\"major_outage\"}\n" {
		t.Errorf("%d %s", status, got)
	}
	// What an entry touched is operational with its end.
	if status, answer := send(t, "PATCH", page+"/incidents/sp1", `{"incident":{"status":"resolved"}}`,
		h...); status != http.StatusOK {
		t.Fatal(status, answer)
	}
	if diff := cmp.Diff(map[string]string{"web": "operational"}, r.StatuspageComponents()); diff != "" {
		t.Error(diff)
	}
	for mode, want := range map[recorders.Mode]int{recorders.Calm: 420, recorders.Broken: 500,
		recorders.Applied500: 200, recorders.Reset: 0} {
		r.Set(recorders.Statuspage, mode)
		if status, got := read(t, page+"/incidents/unresolved"); status != want {
			t.Errorf("%s: %d %s", mode, status, got)
		}
	}
}

func TestThePageRefusesAPlanWithoutTimesAndMetadataWithoutObjects(t *testing.T) {
	r, url := testRecorder(t, recorders.Options{})
	h := []string{"Authorization", "OAuth token", "Content-Type", "application/json"}
	for _, body := range []string{`{"incident":{"name":"a","status":"scheduled"}}`,
		`{"incident":{"name":"a","metadata":{"watchdog":"01a"}}}`} {
		if status, answer := send(t, "POST", url+"/statuspage/v1/pages/abc/incidents", body,
			h...); status != http.StatusUnprocessableEntity {
			t.Error(status, answer)
		}
	}
	if len(r.Page()) != 0 {
		t.Error(r.Page())
	}
}
