package inbound

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/responder"
)

// The example of Slack's documentation, "Verifying requests from Slack".
func TestSlacksOwnExampleOfASignature_SEC06(t *testing.T) {
	body := []byte(
		"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&" +
			"channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&" +
			"response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&" +
			"trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c")
	const stamp, signature = "1531420618", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
	at := time.Unix(1531420618, 0)
	secrets := []string{"8f742231b10e8888abcd99yyyzzz85a5"}
	altered := bytes.Replace(body, []byte("roadrunner"), []byte("roadrunneR"), 1)
	for _, tt := range []struct {
		name, signature, stamp string
		body                   []byte
		now                    time.Time
		want                   bool
	}{
		{"as documented", signature, stamp, body, at, true},
		{"five minutes later", signature, stamp, body, at.Add(5 * time.Minute), true},
		{"five minutes earlier", signature, stamp, body, at.Add(-5 * time.Minute), true},
		{"a second too late", signature, stamp, body, at.Add(5*time.Minute + time.Second), false},
		{"a second too early", signature, stamp, body, at.Add(-5*time.Minute - time.Second), false},
		{"one byte of the body", signature, stamp, altered, at, false},
		{"truncated", signature, stamp, body[:len(body)-1], at, false},
		{"another time", signature, "1531420619", body, at, false},
		{"the time written otherwise", signature, "+1531420618", body, at, false},
		{"no time", signature, "", body, at, false},
		{"no signature", "", stamp, body, at, false},
		{"a signature of another version", "v1" + signature[2:], stamp, body, at, false},
		{"half a signature", signature[:20], stamp, body, at, false},
		{"no hex", "v0=zz", stamp, body, at, false},
	} {
		if got := slackSigned(secrets, tt.signature, tt.stamp, tt.body, tt.now); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if slackSigned([]string{"another"}, signature, stamp, body, at) {
		t.Error("another secret")
	}
}

func TestWhatProvesNothingChangesNothing_SEC06(t *testing.T) {
	for _, tt := range []struct {
		name string
		bend func(*http.Request, []byte)
		want int
	}{
		{"forged", func(r *http.Request, _ []byte) {
			r.Header.Set("X-Slack-Signature", "v0="+strings.Repeat("0", 64))
		}, 401},
		{"unsigned", func(r *http.Request, _ []byte) { r.Header.Del("X-Slack-Signature") }, 401},
		{"altered", func(r *http.Request, b []byte) {
			r.Body = io.NopCloser(bytes.NewReader(bytes.Replace(b, []byte("U0ALICE"), []byte("U0BOBBY"), 1)))
		}, 401},
		{"truncated", func(r *http.Request, b []byte) {
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b[:len(b)-3])), int64(len(b)-3)
		}, 401},
		{"old", func(r *http.Request, _ []byte) { r.Header.Set("X-Slack-Request-Timestamp", "1531420618") }, 401},
		{"huge", func(r *http.Request, _ []byte) {
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(make([]byte, maxVendorBody+1))), maxVendorBody+1
		}, 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			req, err := press("U0ALICE", responder.Approve, "1").Request(t.Context(), s.server.URL+SlackPath, secret,
				t0)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(req.Body)
			req.Body = io.NopCloser(bytes.NewReader(b))
			tt.bend(req, b)
			if got := send(t, req); got != tt.want || s.writes != 0 || len(s.records) != 0 {
				t.Errorf("%d, %d writes, %v", got, s.writes, s.records)
			}
		})
	}
}

// F-99: one click is one action, whoever clicks how often and when.
func TestOneClickIsOneDecision_F99(t *testing.T) {
	later := func(d time.Duration) func(*stage) {
		return func(s *stage) { s.now = s.now.Add(d) }
	}
	for _, tt := range []struct {
		name   string
		before func(*stage)
		clicks []recorders.Click
		wrote  int               // times that the ledger was written
		yes    []string          // who approved
		no     []string          // who denied
		told   map[string]string // what the last answer to somebody says
	}{
		{"once", nil, []recorders.Click{press("U0ALICE", responder.Approve, "1")}, 1, []string{"alice@example.com"},
			nil, map[string]string{"U0ALICE": "approved by alice@example.com: roll back shop"}},
		{"twice", nil, []recorders.Click{press("U0ALICE", responder.Approve, "1"),
			press("U0ALICE", responder.Approve, "2")}, 1, []string{"alice@example.com"}, nil,
			map[string]string{"U0ALICE": "already approved this"}},
		{"the same press, sent again by Slack with another signature", nil,
			[]recorders.Click{press("U0ALICE", responder.Ack, "1"), press("U0ALICE", responder.Ack, "1")}, 1, nil, nil,
			map[string]string{"U0ALICE": "yours"}},
		{"no after yes, by another", nil, []recorders.Click{press("U0ALICE", responder.Approve, "1"),
			press("U0BOB", responder.Deny, "1")}, 2, []string{"alice@example.com"}, []string{"bob@example.com"},
			map[string]string{"U0BOB": "denied by bob@example.com"}},
		{"yes after no", nil, []recorders.Click{press("U0BOB", responder.Deny, "1"),
			press("U0ALICE", responder.Approve, "1")}, 1, nil, []string{"bob@example.com"},
			map[string]string{"U0ALICE": "denied by bob@example.com"}},
		{"two take it on", nil, []recorders.Click{press("U0ALICE", responder.Ack, "1"),
			press("U0BOB", responder.Ack, "1")}, 1, nil, nil,
			map[string]string{"U0ALICE": "yours", "U0BOB": "acknowledged by alice@example.com"}},
		{"after the request expired", later(time.Hour), []recorders.Click{press("U0ALICE", responder.Approve, "1")}, 0,
			nil, nil, map[string]string{"U0ALICE": "the request expired"}},
		{"after the incident", func(s *stage) { s.all[0].Phase, s.all[0].Asked = incident.Resolved, nil },
			[]recorders.Click{press("U0ALICE", responder.Approve, "1"), press("U0ALICE", responder.Ack, "2")}, 0, nil,
			nil, map[string]string{"U0ALICE": "resolved: there is nothing to acknowledge"}},
		{"the plan has changed", func(s *stage) { s.all[0].Asked.Plan.Hash = strings.Repeat("b", 32) },
			[]recorders.Click{press("U0ALICE", responder.Approve, "1")}, 0, nil, nil,
			map[string]string{"U0ALICE": "the current plan is bbbbbbbbbbbb"}},
		{"the same plan is asked again", func(s *stage) { s.all[0].Asked.Op = "op2" },
			[]recorders.Click{press("U0ALICE", responder.Approve, "1"), press("U0ALICE", responder.Deny, "2")}, 0, nil,
			nil, map[string]string{"U0ALICE": "the request has changed"}},
		{"by somebody who may not", nil, []recorders.Click{press("U0CAROL", responder.Approve, "1")}, 0, nil, nil,
			map[string]string{"U0CAROL": "carol@example.com may not"}},
		{"by somebody who asked for it", func(s *stage) { s.all[0].Asked.By = "alice@example.com" },
			[]recorders.Click{press("U0ALICE", responder.Approve, "1")}, 0, nil, nil,
			map[string]string{"U0ALICE": "another person must approve"}},
		{"by a stranger", nil, []recorders.Click{press("U0EVE", responder.Approve, "1")}, 0, nil, nil,
			map[string]string{"U0EVE": "not listed in receivers"}},
		{"when the API server is away", func(s *stage) { s.down = errors.New("refused") },
			[]recorders.Click{press("U0ALICE", responder.Approve, "1")}, 0, nil, nil,
			map[string]string{"U0ALICE": "was not applied"}},
		{"why, by somebody who may nothing else", nil, []recorders.Click{press("U0CAROL", responder.Why, "1")}, 0, nil,
			nil, map[string]string{"U0CAROL": "01a1 shop: errors"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			if tt.before != nil {
				tt.before(s)
			}
			for _, c := range tt.clicks {
				if got := s.click(t, c); got != 200 {
					// Two presses within one second of one clock are one signature.
					t.Fatalf("answered %d", got)
				}
				s.now = s.now.Add(time.Second)
			}
			var yes, no []string
			for who, a := range s.words["01a1"].Approved["op1"] {
				if a.By != who || a.Source != SourceSlack || a.Plan != hash {
					t.Errorf("written: %+v", a)
				}
				if a.Denied {
					no = append(no, who)
				} else {
					yes = append(yes, who)
				}
			}
			if s.writes != tt.wrote || !slices.Equal(yes, tt.yes) || !slices.Equal(no, tt.no) {
				t.Errorf("%d writes, yes %v, no %v", s.writes, yes, no)
			}
			for user, want := range tt.told {
				all := s.told(user)
				if len(all) == 0 || !strings.Contains(all[len(all)-1], want) {
					t.Errorf("%s was told %q, want %q", user, all, want)
				}
			}
			taken := 0
			for _, r := range s.records {
				if r.Result == responder.Applied {
					taken++
				}
			}
			if taken != tt.wrote {
				t.Errorf("on record: %+v", s.records)
			}
		})
	}
}

func TestAReplayedBodyIsRefused_F99(t *testing.T) {
	s := newStage(t)
	for k, want := range []int{200, 401, 401} {
		req, err := press("U0ALICE", responder.Approve, "1").Request(t.Context(), s.server.URL+SlackPath, secret, t0)
		if err != nil {
			t.Fatal(err)
		}
		if k == 2 {
			req.Header.Set("X-Slack-Signature", "v0="+strings.ToUpper(req.Header.Get("X-Slack-Signature")[3:]))
		}
		if got := send(t, req); got != want {
			t.Errorf("the %d. time: %d", k+1, got)
		}
	}
	if s.writes != 1 || len(s.records) != 1 {
		t.Errorf("%d writes, %v", s.writes, s.records)
	}
}

// Two people at two replicas at the same moment: the ledger's version decides.
func TestOfManyWhoTakeItOnAtOnceOneDoes_SEC09(t *testing.T) {
	s := newStage(t)
	s.set.Users["U0DAVE"] = responder.Person{Name: "dave@example.com"}
	var wg sync.WaitGroup
	for _, user := range []string{"U0ALICE", "U0BOB", "U0DAVE"} {
		// A replica of its own: what one remembers the others do not.
		service := responder.New(responder.Options{Cluster: s, May: s.may, Record: s.record, Count: s.count,
			Now: s.clock})
		wg.Go(func() {
			_, _ = service.Do(context.Background(), s.set.Users[user],
				responder.Request{Action: responder.Ack, Incident: "01a1"})
		})
	}
	wg.Wait()
	taken := 0
	for _, r := range s.records {
		if r.Result == responder.Applied && r.Request.By == s.words["01a1"].Acked.By {
			taken++
		}
	}
	if s.writes != 1 || s.counts[" ack applied"] != 1 || taken != 1 || s.counts[" ack refused"] != 2 {
		t.Errorf("%d writes, %v, %+v", s.writes, s.counts, s.records)
	}
}

func TestHoldGoesToTheWorkload(t *testing.T) {
	s := newStage(t)
	s.click(t, press("U0CAROL", responder.Hold, "1"))
	s.click(t, press("U0ALICE", responder.Hold, "1"))
	if len(s.holds) != 1 || s.holds[0] != "shop/deployment/web by alice@example.com: requested in incident 01a1" {
		t.Errorf("%q", s.holds)
	}
	if told := s.told("U0CAROL"); len(told) != 1 || !strings.Contains(told[0], "may not update incidents/hold") {
		t.Errorf("%q", told)
	}
}

func TestASecretThatCannotBeReadIsANo(t *testing.T) {
	s := newStage(t)
	s.set.SigningSecret = Secrets("/nowhere")
	if got := s.click(t, press("U0ALICE", responder.Ack, "1")); got != 503 || s.writes != 0 {
		t.Errorf("%d, %d writes", got, s.writes)
	}
	s.set = nil
	if got := s.click(t, press("U0ALICE", responder.Ack, "2")); got != 404 {
		t.Errorf("%d without buttons", got)
	}
}

// By Socket Mode, through a connection that breaks: what is heard is the same.
func TestClicksComeBySocket(t *testing.T) {
	s := newStage(t)
	file := t.TempDir() + "/app"
	if err := os.WriteFile(file, []byte("xapp-1"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.set.AppToken = Secrets(file)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	ended := make(chan error, 1)
	go func() { ended <- s.slack.Run(ctx) }()
	for k, c := range []recorders.Click{press("U0ALICE", responder.Ack, "1"), press("U0BOB", responder.Approve, "2")} {
		if err := s.recorder.ClickBySocket(ctx, c); err != nil {
			t.Fatal(err)
		}
		if err := s.recorder.WaitFor(ctx,
			func(recorders.Snapshot) bool { return len(s.told(c.User)) == 1 }); err != nil {
			t.Fatal(err)
		}
		if k == 0 {
			s.recorder.CutSockets()
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if s.words["01a1"].Acked.By != "alice@example.com" ||
		s.words["01a1"].Approved["op1"]["bob@example.com"].Plan != hash {
		t.Errorf("%+v", s.words)
	}
}
