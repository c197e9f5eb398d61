package inbound

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/responder"
)

// untouched is a body that nobody may read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func (untouched) Close() error { return nil }

var strangers = []struct {
	name, path string
	header     http.Header
	length     int64
	want       int
}{
	{"Slack: no signature", SlackPath, http.Header{"X-Slack-Request-Timestamp": {now()}}, 100, 401},
	{"Slack: no time", SlackPath, http.Header{"X-Slack-Signature": {"v0=" + sum}}, 100, 401},
	{"Slack: an old time", SlackPath, http.Header{"X-Slack-Signature": {"v0=" + sum},
		"X-Slack-Request-Timestamp": {strconv.FormatInt(t0.Unix()-301, 10)}}, 100, 401},
	{"Slack: a time to come", SlackPath, http.Header{"X-Slack-Signature": {"v0=" + sum},
		"X-Slack-Request-Timestamp": {strconv.FormatInt(t0.Unix()+301, 10)}}, 100, 401},
	{"Slack: another version", SlackPath, http.Header{"X-Slack-Signature": {"v1=" + sum},
		"X-Slack-Request-Timestamp": {now()}}, 100, 401},
	{"Slack: half a signature", SlackPath, http.Header{"X-Slack-Signature": {"v0=" + sum[:32]},
		"X-Slack-Request-Timestamp": {now()}}, 100, 401},
	{"Slack: no hex", SlackPath, http.Header{"X-Slack-Signature": {"v0=" + strings.Repeat("z", 64)},
		"X-Slack-Request-Timestamp": {now()}}, 100, 401},
	{"Slack: too large", SlackPath, http.Header{"X-Slack-Signature": {"v0=" + sum},
		"X-Slack-Request-Timestamp": {now()}}, maxVendorBody + 1, 413},
	{"PagerDuty: no signature", PagerDutyPath, nil, 100, 401},
	{"PagerDuty: another version", PagerDutyPath, http.Header{"X-Pagerduty-Signature": {"v2=" + sum}}, 100, 401},
	{"PagerDuty: half a signature", PagerDutyPath, http.Header{"X-Pagerduty-Signature": {"v1=" + sum[:32] + ",v1="}},
		100, 401},
	{"PagerDuty: too large", PagerDutyPath, http.Header{"X-Pagerduty-Signature": {"v1=" + sum}}, maxVendorBody + 1,
		413},
	{"HTTP: no token", "/api/v1/incidents/01a1/ack", http.Header{"Content-Type": {"application/json"}}, 100, 401},
	{"HTTP: nobody's token", "/api/v1/incidents/01a1/ack", http.Header{"Content-Type": {"application/json"},
		"Authorization": {"Bearer stolen"}}, 100, 401},
	{"HTTP: another type", "/api/v1/incidents/01a1/ack", http.Header{"Content-Type": {"text/plain"},
		"Authorization": {"Bearer token-of-alice"}}, 100, 415},
	{"HTTP: too large", "/api/v1/incidents/01a1/ack", http.Header{"Content-Type": {"application/json"},
		"Authorization": {"Bearer token-of-alice"}}, maxBody + 1, 413},
}

// sum has the shape of a signature, and now is the time of the stage.
const sum = "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"

func now() string { return strconv.FormatInt(t0.Unix(), 10) }

func TestABodyIsReadOnlyAfterWhatTheHeadersTell_S11(t *testing.T) {
	for _, tt := range strangers {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, tt.path, untouched{t})
			r.Header, r.ContentLength = tt.header.Clone(), tt.length
			if r.Header == nil {
				r.Header = http.Header{}
			}
			w := httptest.NewRecorder()
			s.server.Config.Handler.ServeHTTP(w, r)
			if w.Code != tt.want || s.writes != 0 || len(s.records) != 0 {
				t.Errorf("%d %s, %d writes, %v; want %d", w.Code, w.Body, s.writes, s.records, tt.want)
			}
		})
	}
}

// Whoever announces a body and never sends it is answered all the same, and let go.
func TestWhoSendsNoBodyIsAnsweredAtOnce_S11(t *testing.T) {
	for _, tt := range strangers {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			c, err := net.Dial("tcp", s.server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			// Only a handler that waits for the body meets this.
			if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			var header strings.Builder
			if err := tt.header.Write(&header); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: watchdog\r\nContent-Length: %d\r\n%s\r\n", tt.path, tt.length,
				header.String())
			in := bufio.NewReader(c)
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("not answered: %v", err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			if _, err := in.ReadByte(); resp.StatusCode != tt.want || err == nil ||
				errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%d, and then %v", resp.StatusCode, err)
			}
		})
	}
}

// A word takes longer than its body may: the time for the body ends with the body.
func TestTheTimeForABodyDoesNotEndTheWord_S11(t *testing.T) {
	s := newStage(t)
	r, err := press("U0ALICE", responder.Ack, "1").Request(t.Context(), "http://watchdog"+SlackPath, secret, t0)
	if err != nil {
		t.Fatal(err)
	}
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	s.server.Config.Handler.ServeHTTP(w, r)
	if len(w.set) != 2 || w.set[0].IsZero() || !w.set[1].IsZero() || w.Code != http.StatusOK {
		t.Errorf("%d, deadlines %v", w.Code, w.set)
	}
}

// deadlines is an answer that knows by when the request had to be read.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error { d.set = append(d.set, t); return nil }
