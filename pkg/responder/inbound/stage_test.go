package inbound

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/responder"
)

const (
	hash   = "3f9a1c77d0e2aaaaaaaaaaaaaaaaaaaa"
	secret = "8f742231b10e8888abcd99yyyzzz85a5"
)

var t0 = time.Date(2026, 3, 6, 1, 20, 0, 0, time.UTC)

// stage is a service over incidents in memory whose words are written by compare-and-swap, the
// three ears before it, and Slack on the other side.
type stage struct {
	mu       sync.Mutex
	now      time.Time
	all      []incident.Incident
	ledger   incident.Ledger
	words    map[string]incident.ResponderActions // by incident
	version  int
	writes   int
	holds    []string
	down     error // what the API server says to everything
	mayNot   map[string][]string
	records  []responder.AuditEvent
	counts   map[string]int
	slack    *Slack
	set      *SlackSettings
	pd       *PagerDutySettings
	recorder *recorders.Recorder
	server   *httptest.Server // watchdog's
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{now: t0, version: 1, counts: map[string]int{}, words: map[string]incident.ResponderActions{},
		recorder: recorders.New(recorders.Options{}), mayNot: map[string][]string{
			"carol@example.com": {responder.RightAnswer, responder.RightHold},
		}}
	s.all = []incident.Incident{
		{ID: "01a1", Target: incident.Target{Name: "shop", Namespace: "shop", Kind: "deployment", Workload: "web"},
			Phase: incident.Open, Severity: incident.P1, Lead: "errors", OpenedAt: t0,
			Asked: &incident.Request{Op: "op1", Plan: incident.Plan{Summary: "roll back shop", Hash: hash},
				Until: t0.Add(time.Hour), Quorum: 1}, Answers: []incident.Answer{{Guard: "budget", Reason: "0 of 3"},
				{Guard: "approval", Hold: incident.Ask, Reason: "nobody has answered"}}},
		{ID: "01b2", Target: incident.Target{Name: "cart"}, Phase: incident.Resolved, Severity: incident.P2,
			OpenedAt: t0},
	}
	there := httptest.NewServer(s.recorder)
	t.Cleanup(there.Close)
	file := func(text string) func() ([]string, error) {
		f := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(f, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return Secrets(f)
	}
	s.set = &SlackSettings{URL: there.URL + "/slack/api/", Token: file("xoxb-1"), SigningSecret: file(secret),
		Users: map[string]responder.Person{
			"U0ALICE": {Name: "alice@example.com"}, "U0BOB": {Name: "bob@example.com"},
			"U0CAROL": {Name: "carol@example.com"},
		}}
	s.pd = &PagerDutySettings{Secrets: func() ([]string, error) { return []string{"old", "new"}, nil },
		Users: map[string]responder.Person{"PALICE": {Name: "alice@example.com"}}}
	service := responder.New(responder.Options{Cluster: s, May: s.may, Record: s.record, Count: s.count, Now: s.clock})
	logger := slog.New(slog.DiscardHandler)
	s.slack = NewSlack(SlackOptions{Logger: logger, Service: service, Now: s.clock,
		Settings: func() *SlackSettings { return s.set }, Connected: func(bool) {}})
	mux := http.NewServeMux()
	mux.Handle("POST "+SlackPath, s.slack)
	mux.Handle("POST "+PagerDutyPath, PagerDuty(PagerDutyOptions{Logger: logger, Service: service, Now: s.clock,
		Settings: func() *PagerDutySettings { return s.pd }}))
	for pattern, h := range API(APIOptions{Logger: logger, Service: service, On: func() bool { return true },
		Who: s.who, Unknown: func(err error) bool { return errors.Is(err, errNobody) }}) {
		mux.Handle(pattern, h)
	}
	s.server = httptest.NewServer(mux)
	t.Cleanup(s.server.Close)
	return s
}

func (s *stage) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// locked is one look or change at a time.
func (s *stage) locked(f func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return s.down
	}
	f()
	return nil
}

// Incidents and the rest of responder.Cluster: incidents whose words are written by
// compare-and-swap.
func (s *stage) Incidents(context.Context) (all []incident.Incident, err error) {
	err = s.locked(func() { all = slices.Clone(s.all) })
	return all, err
}

func (s *stage) Incident(_ context.Context,
	id string) (i incident.Incident, w incident.ResponderActions, version string, err error) {
	err = s.locked(func() {
		i = s.all[slices.IndexFunc(s.all, func(i incident.Incident) bool { return i.ID == id })]
		w, version = s.words[id], strconv.Itoa(s.version)
	})
	return i, w, version, err
}

func (s *stage) Patch(_ context.Context, id string, p responder.Patch, version string) (err error) {
	if e := s.locked(func() {
		if version != strconv.Itoa(s.version) {
			err = responder.ErrChanged
			return
		}
		s.version++
		s.writes++
		s.words[id] = s.words[id].With(p)
	}); e != nil {
		return e
	}
	return err
}

func (s *stage) Ledger(context.Context) (l incident.Ledger, err error) {
	err = s.locked(func() { l = s.ledger })
	return l, err
}

func (s *stage) other(format string, args ...any) error {
	return s.locked(func() { s.holds = append(s.holds, fmt.Sprintf(format, args...)) })
}

func (s *stage) Undo(_ context.Context, op string, by incident.Attribution) error {
	return s.other("undo %s by %s: %s", op, by.By, by.Reason)
}
func (s *stage) Lift(_ context.Context, target, op string) error {
	return s.other("lift %s %s", target, op)
}
func (s *stage) Hold(_ context.Context, o responder.Object, by incident.Attribution) error {
	return s.other("%s/%s/%s by %s: %s", o.Namespace, o.Kind, o.Name, by.By, by.Reason)
}
func (s *stage) Resume(_ context.Context, o responder.Object, by incident.Attribution) (bool, error) {
	return true, s.other("resume %s by %s", o, by.By)
}
func (s *stage) HoldAll(context.Context, incident.Attribution) error { return s.other("hold all") }
func (s *stage) ResumeAll(context.Context) error                     { return s.other("resume all") }

func (s *stage) may(_ context.Context, p responder.Person, right string) (err error) {
	if e := s.locked(func() {
		if slices.Contains(s.mayNot[p.Name], right) {
			err = &responder.Refused{Reason: p.Name + " may not update incidents/" + right, Forbidden: true}
		}
	}); e != nil {
		return e
	}
	return err
}

func (s *stage) record(h responder.AuditEvent) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, h)
	return nil
}

func (s *stage) count(via string, verb responder.Action, outcome string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[via+" "+string(verb)+" "+outcome]++
}

var errNobody = errors.New("nobody's token")

func (s *stage) who(_ context.Context, token string) (p responder.Person, err error) {
	if e := s.locked(func() {
		name, ok := strings.CutPrefix(token, "token-of-")
		if p.Name = name + "@example.com"; !ok {
			err = errNobody
		}
	}); e != nil {
		return p, e
	}
	return p, err
}

// press is a click of somebody on a button as notify makes them.
func press(user string, verb responder.Action, id string) recorders.Click {
	b := responder.Button{Action: verb, Incident: "01a1", Op: "op1", Plan: hash}
	return recorders.Click{User: user, Action: b.ActionID(), Value: b.Value(), Channel: "C01234567",
		Message: "1.000001", ID: id}
}

// click posts it, signed, and returns the status.
func (s *stage) click(t *testing.T, c recorders.Click) int {
	t.Helper()
	req, err := c.Request(t.Context(), s.server.URL+SlackPath, secret, s.clock())
	if err != nil {
		t.Fatal(err)
	}
	return send(t, req)
}

func send(t *testing.T, req *http.Request) int {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// told is what a user was told, in order, each by its beginning.
func (s *stage) told(user string) []string {
	var all []string
	for _, q := range s.recorder.Snapshot().Of(recorders.Slack) {
		if q.Action == "ephemeral" && q.Key == user {
			all = append(all, q.Summary)
		}
	}
	return all
}
