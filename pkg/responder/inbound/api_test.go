package inbound

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/responder"
)

// post sends a word by HTTP and returns the status and what was said.
func (s *stage) post(t *testing.T, what, token, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.server.URL+"/api/v1/incidents/"+what,
		strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	var said struct {
		Error string
		Data  struct{ Text string }
	}
	if err := json.Unmarshal(b, &said); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return resp.StatusCode, said.Error + said.Data.Text
}

func TestWordsByHTTP_SEC03(t *testing.T) {
	const alice, carol = "token-of-alice", "token-of-carol"
	for _, tt := range []struct {
		name, what, token, body string
		down                    error
		want                    int
		says                    string
		wrote                   int
	}{
		{"ack", "01a1/ack", alice, `{"reason":"on it"}`, nil, 200, "yours", 1},
		{"ack without a body", "shop/ack", alice, ``, nil, 200, "yours", 1},
		{"approve", "01a1/approve", alice, `{"plan":"3f9a1c77d0e2"}`, nil, 200, "approved by alice@example.com", 1},
		{"approve without the plan", "01a1/approve", alice, `{}`, nil, 409, "name the plan", 0},
		{"approve another plan", "01a1/approve", alice, `{"plan":"aaaaaaaa"}`, nil, 409, "the current plan is 3f9a1c77d0e2", 0},
		{"approve another request", "01a1/approve", alice, `{"plan":"3f9a1c77d0e2","op":"op0"}`, nil, 409,
			"the request has changed", 0},
		{"approve without the right", "01a1/approve", carol, `{"plan":"3f9a1c77d0e2"}`, nil, 403,
			"may not update incidents/approval", 0},
		{"deny", "01a1/deny", alice, `{"reason":"no"}`, nil, 200, "denied by alice@example.com", 1},
		{"severity", "01a1/severity", alice, `{"to":"p2","reason":"staging"}`, nil, 200, "from P1 to P2", 1},
		{"severity without a reason", "01a1/severity", alice, `{"to":"P2"}`, nil, 409, "a reason is required", 0},
		{"note", "01a1/notes", alice, `{"text":"an index","as":"hypothesis","id":"n1"}`, nil, 200, "noted", 1},
		{"hold", "01a1/hold", alice, `{"reason":"mine"}`, nil, 200, "shop/web: on hold", 0},
		{"no such incident", "zz/ack", alice, `{}`, nil, 409, `no incident "zz"`, 0},
		{"no token", "01a1/ack", "", `{}`, nil, 401, "Bearer", 0},
		{"nobody's token", "01a1/ack", "stolen", `{}`, nil, 401, "nobody's", 0},
		{"a token without end", "01a1/ack", strings.Repeat("x", maxToken+1), `{}`, nil, 401, "Bearer", 0},
		{"the API server is away", "01a1/ack", alice, `{}`, errors.New("away"), 503, "did not respond", 0},
		{"a member that is none", "01a1/ack", alice, `{"by":"bob"}`, nil, 400,
			`"by" is not a field of this body; expected one of: reason`, 0},
		{"a member of another word", "01a1/ack", alice, `{"plan":"3f9a1c77d0e2"}`, nil, 400, "not a field", 0},
		{"a member in other letters", "01a1/ack", alice, `{"Reason":"x"}`, nil, 400, "not a field", 0},
		{"a number", "01a1/ack", alice, `{"reason":1}`, nil, 400, "must be a string", 0},
		{"two bodies", "01a1/ack", alice, `{}{}`, nil, 400, "more than one", 0},
		{"a list", "01a1/ack", alice, `[]`, nil, 400, "not a JSON object", 0},
		{"half a body", "01a1/ack", alice, `{"reason":"x`, nil, 400, "not a JSON object", 0},
		{"a body without end", "01a1/ack", alice, `{"reason":"` + strings.Repeat("x", maxBody) + `"}`, nil, 413,
			"too large", 0},
		{"a text without end", "01a1/ack", alice, `{"reason":"` + strings.Repeat("x", 2000) + `"}`, nil, 409,
			"longer than 1024", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			s.down = tt.down
			got, says := s.post(t, tt.what, tt.token, tt.body)
			if got != tt.want || !strings.Contains(says, tt.says) || s.writes != tt.wrote {
				t.Errorf("%d %q, %d writes; want %d %q", got, says, s.writes, tt.want, tt.says)
			}
		})
	}
}

func TestANoteHasItsWritersName(t *testing.T) {
	s := newStage(t)
	s.post(t, "01a1/notes", "token-of-alice", `{"text":"one","id":"n"}`)
	s.post(t, "01a1/notes", "token-of-bob", `{"text":"two","id":"n"}`)
	if n := s.words["01a1"].Notes; len(n) != 2 || n["api-alice@example.com-n"].Reason != "one" ||
		n["api-bob@example.com-n"].By != "bob@example.com" {
		t.Errorf("%+v", n)
	}
	if got, _ := s.post(t, "01a1/ack", "token-of-alice", ``); got != 200 || s.words["01a1"].Acked.Source != SourceAPI {
		t.Errorf("%d, %+v", got, s.words)
	}
}

func TestAnotherContentTypeIsRefused(t *testing.T) {
	s := newStage(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.server.URL+"/api/v1/incidents/01a1/ack",
		strings.NewReader("reason=x"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer token-of-alice")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if got := send(t, req); got != 415 || s.writes != 0 {
		t.Errorf("%d", got)
	}
}

// A change of any part of what was approved voids the word (SEC-07).
func TestAnyChangeOfTheRequestVoidsTheButton_SEC07(t *testing.T) {
	for name, change := range map[string]func(*incident.Request){
		"the plan's hash": func(r *incident.Request) { r.Plan.Hash = strings.Repeat("0", 32) },
		"its last letter": func(r *incident.Request) { r.Plan.Hash = hash[:31] + "b" },
		"the op":          func(r *incident.Request) { r.Op = "op2" },
	} {
		s := newStage(t)
		change(s.all[0].Asked)
		s.click(t, press("U0ALICE", responder.Approve, "1"))
		s.click(t, press("U0BOB", responder.Deny, "1"))
		if s.writes != 0 {
			t.Errorf("%s changed, and the word counts: %+v", name, s.words)
		}
	}
}
