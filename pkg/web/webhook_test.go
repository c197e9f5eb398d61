package web

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"watchdog.io/watchdog/pkg/httpclient"
	"watchdog.io/watchdog/pkg/ingest"
)

const oneAlert = `{"version":"4","groupKey":"g","receiver":"r","alerts":[{"status":"firing",` +
	`"labels":{"alertname":"A"},"startsAt":"2026-01-01T12:00:00Z"}]}`

// hook is a webhook with one sender, "am", whose token is "secret". What it
// accepts is in taken, unless refuse is set.
type hook struct {
	http.Handler
	mu     sync.Mutex
	taken  []ingest.Alert
	refuse error
	tokens string // file
	reg    *prometheus.Registry
}

func newHook(t testing.TB, change ...func(*AlertmanagerOptions)) *hook {
	t.Helper()
	h := &hook{tokens: filepath.Join(t.TempDir(), "token"), reg: prometheus.NewRegistry()}
	if err := os.WriteFile(h.tokens, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Date(2026, 1, 1, 13, 0, 0, 0, time.UTC) }
	o := AlertmanagerOptions{Logger: slog.New(slog.DiscardHandler), Registerer: h.reg, Now: now,
		Senders: func() []Sender { return []Sender{{Name: "am", TokenFile: h.tokens}} },
		Accept: func(ctx context.Context, all []ingest.Alert) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.refuse == nil {
				h.taken = append(h.taken, all...)
			}
			return errors.Join(h.refuse, ctx.Err())
		}}
	for _, c := range change {
		c(&o)
	}
	h.Handler = Handler(Options{Logger: o.Logger, Gatherer: h.reg, Alertmanager: Alertmanager(o)})
	return h
}

// post is a proper request, changed by each of change.
func post(body string, change ...func(*http.Request)) *http.Request {
	r := httptest.NewRequest("POST", AlertmanagerPath, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer secret")
	for _, c := range change {
		c(r)
	}
	return r
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func (h *hook) counted(t testing.TB, result string) float64 {
	t.Helper()
	all, err := h.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			if f.GetName() == "watchdog_webhook_requests_total" && m.GetLabel()[0].GetValue() == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("there is no result %q", result)
	return 0
}

func zipped(n int) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(make([]byte, n))
	_ = z.Close()
	return b.String()
}

func TestEachBadWebhookIsRefusedWithItsReasonAndCounted_F81(t *testing.T) {
	for _, tc := range []struct {
		name   string
		r      *http.Request
		status int
		text   string
		result string
	}{
		{"a proper one", post(oneAlert), 200, `"status":"success"`, "accepted"},
		{"a proper one with a charset", post(oneAlert, header("Content-Type", "application/json; charset=utf-8")), 200,
			"success", "accepted"},
		{"one of unknown length", post(oneAlert, func(r *http.Request) { r.ContentLength = -1 }), 200, "success",
			"accepted"},
		{"no credentials", post(oneAlert, header("Authorization", "")), 401, "invalid or missing credentials",
			"unauthenticated"},
		{"a wrong token", post(oneAlert, header("Authorization", "Bearer secre")), 401,
			"invalid or missing credentials", "unauthenticated"},
		{"an empty token", post(oneAlert, header("Authorization", "Bearer ")), 401, "invalid or missing credentials",
			"unauthenticated"},
		{"a user, though nobody compares passwords", post(oneAlert,
			func(r *http.Request) { r.SetBasicAuth("am", "secret") }), 401, "invalid or missing credentials",
			"unauthenticated"},
		{"malformed, of an unknown sender: the body is not looked at", post("{", header("Authorization", "Bearer x")),
			401, "invalid or missing", "unauthenticated"},
		{"malformed", post("{"), 400, "not an Alertmanager webhook", "malformed"},
		{"a wrong version", post(strings.Replace(oneAlert, `"4"`, `"<script>"`, 1)), 400,
			`unknown payload version \"\u003cscript\u003e\"`, "malformed"},
		{"deeply nested", post(strings.Repeat("[", 100_000)), 400, "nested more than 32", "malformed"},
		{"an empty body", post(""), 400, "not an Alertmanager webhook", "malformed"},
		{"shorter than it says", post(oneAlert, func(r *http.Request) { r.ContentLength = 1000 }), 400,
			"the body is incomplete", "malformed"},
		{"a form", post("a=b", header("Content-Type", "application/x-www-form-urlencoded")), 415,
			"must be application/json", "unsupported"},
		{"no type", post(oneAlert, func(r *http.Request) { r.Header.Del("Content-Type") }), 415,
			"must be application/json", "unsupported"},
		{"another method", post(oneAlert, func(r *http.Request) { r.Method = "PUT" }), 405, "send alerts with POST",
			"unsupported"},
		{"a bomb", post(zipped(1<<24), header("Content-Encoding", "gzip")), 415, "compressed bodies are not supported",
			"unsupported"},
		{"huge, and it says so", post("{}", func(r *http.Request) { r.ContentLength = maxBody + 1 }), 413,
			"larger than 16 MiB", "too_large"},
		{"huge, and it does not say so", post(strings.Repeat(" ", maxBody+1),
			func(r *http.Request) { r.ContentLength = -1 }), 413, "larger than 16 MiB", "too_large"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHook(t)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, tc.r)
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.text) {
				t.Errorf("%d %q, want %d with %q", w.Code, w.Body.String(), tc.status, tc.text)
			}
			var envelope struct{ Status, Error string }
			if err := json.Unmarshal(w.Body.Bytes(), &envelope); err != nil ||
				(envelope.Status == "success") != (tc.status == 200) || (envelope.Error == "") != (tc.status == 200) ||
				strings.Count(w.Body.String(), "\n") != 1 {
				t.Errorf("%q is not one line of the envelope (%v)", w.Body.String(), err)
			}
			if n := h.counted(t, tc.result); n != 1 {
				t.Errorf("%v requests are counted as %s", n, tc.result)
			}
			if len(h.taken) > 0 != (tc.status == 200) {
				t.Errorf("%d alerts were taken", len(h.taken))
			}
			if tc.status == 200 && h.taken[0].Sender != "am" {
				t.Errorf("the sender is %q", h.taken[0].Sender)
			}
		})
	}
}

func TestWhatMayPassIsToldToBeSentAgain(t *testing.T) {
	for _, tc := range []struct {
		name, text, result, after string
		err                       error
	}{
		{"no room", "no room for more firing alerts", "full", "60", fmt.Errorf("%w: with these 2", ingest.ErrFull)},
		{"a full disk, whose path is not shown", "cannot write alerts to disk", "unwritable", "5",
			fmt.Errorf("%w in /data/secret: no space left on device", ingest.ErrNotWritable)},
		{"the end of the process", "cannot write alerts to disk", "unwritable", "5", ingest.ErrClosed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHook(t)
			h.refuse = tc.err
			w := httptest.NewRecorder()
			h.ServeHTTP(w, post(oneAlert))
			if w.Code != 503 || w.Header().Get("Retry-After") != tc.after ||
				!strings.Contains(w.Body.String(), tc.text) || strings.Contains(w.Body.String(), "/data") {
				t.Errorf("%d, Retry-After %q, %q", w.Code, w.Header().Get("Retry-After"), w.Body.String())
			}
			if h.counted(t, tc.result) != 1 {
				t.Errorf("not counted as %s", tc.result)
			}
		})
	}
}

func TestATokenIsReadAtEveryUse(t *testing.T) {
	h := newHook(t, func(o *AlertmanagerOptions) {
		am := o.Senders()[0]
		o.Senders = func() []Sender { return []Sender{am, {Name: "grafana", TokenFile: am.TokenFile + "2"}} }
	})
	status := func(token string) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, post(oneAlert, header("Authorization", "bearer "+token)))
		return w.Code
	}
	put := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := status("secret"); got != 200 {
		t.Errorf("%d: the token of another sender cannot be read, and does not matter to this one", got)
	}
	if got := status("other"); got != 503 {
		t.Errorf("%d: nobody knows whether this is the token that cannot be read", got)
	}
	put(h.tokens+"2", "")
	if got := status(""); got != 503 {
		t.Errorf("%d: an empty file lets nobody in", got)
	}
	put(h.tokens+"2", "other")
	if got := status("other"); got != 200 || h.taken[len(h.taken)-1].Sender != "grafana" {
		t.Errorf("%d: a second sender", got)
	}
	put(h.tokens, "changed")
	if old, changed := status("secret"), status("changed"); old != 401 || changed != 200 {
		t.Errorf("after a change the old token gets %d, the new %d", old, changed)
	}
}

func TestTheServersOwnProofsCount(t *testing.T) {
	config := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(config, []byte("basic_auth_users: {prometheus: $2y$10$abc}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	shown := func(chains ...[]*x509.Certificate) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Del("Authorization")
			r.TLS = &tls.ConnectionState{VerifiedChains: chains,
				PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: "anyone"}}}}
		}
	}
	user := func(name string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(name, "compared by the server") }
	}
	for _, tc := range []struct {
		name   string
		config string
		as     func(*http.Request)
		sender string // empty: refused
	}{
		{"a certificate that was verified", "", shown([]*x509.Certificate{{Subject: pkix.Name{CommonName: "am-eu"}}}),
			"certificate am-eu"},
		{"a certificate that nobody verified", "", shown(), ""},
		{"a user of the web configuration", config, user("prometheus"), "user prometheus"},
		{"a user that is not in it, so that nobody compared the password", config, user("mallory"), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHook(t, func(o *AlertmanagerOptions) { o.WebConfig = tc.config })
			w := httptest.NewRecorder()
			h.ServeHTTP(w, post(oneAlert, tc.as))
			if tc.sender == "" {
				if w.Code != 401 || len(h.taken) != 0 {
					t.Errorf("%d", w.Code)
				}
				return
			}
			if w.Code != 200 || h.taken[0].Sender != tc.sender {
				t.Errorf("%d, %+v", w.Code, h.taken)
			}
		})
	}
}

// talk writes a request to h over a connection and returns the answer, and after
// what time it came.
func talk(t *testing.T, h http.Handler, text string) (*http.Response, time.Duration) {
	t.Helper()
	client, server := net.Pipe()
	srv := &http.Server{Handler: h, ReadTimeout: readTimeout}
	l := &oneConn{conn: server, closed: make(chan struct{})}
	go func() { _ = srv.Serve(l) }()
	began := time.Now()
	go func() { _, _ = client.Write([]byte(text)) }()
	resp, err := http.ReadResponse(bufio.NewReader(client), nil)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	_ = client.Close()
	_ = srv.Close()
	<-time.After(time.Second) // the server lingers before it closes a connection
	return resp, took
}

func TestASlowBodyIsGivenUpAndHoldsNobody_F82(t *testing.T) {
	const head = "POST " + AlertmanagerPath + " HTTP/1.1\r\nHost: x\r\n"
	for _, tc := range []struct {
		name, text string
		status     int
		within     time.Duration
		result     string
	}{
		{"of a known sender", head + "Authorization: Bearer secret\r\nContent-Type: " +
			"application/json\r\nContent-Length: 1000\r\n\r\n{", 408, bodyTime, "slow"},
		{"of a known sender, of unknown length", head +
			"Authorization: Bearer secret\r\nContent-Type: application/json\r\nTransfer-Encoding: " +
			"chunked\r\n\r\n1\r\n{\r\n", 408, bodyTime, "slow"},
		{"of nobody", head + "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{", 401, lateTime,
			"unauthenticated"},
		{"of nobody, huge", head + "Content-Type: application/json\r\nContent-Length: 1000000000000\r\n\r\n{", 401, 0,
			"unauthenticated"},
		{"of a wrong type", head + "Authorization: Bearer secret\r\nContent-Type: text/xml\r\nContent-Length: " +
			"1000\r\n\r\n{", 415, lateTime, "unsupported"},
		{"of a wrong method", strings.Replace(head, "POST", "PUT", 1) + "Content-Length: 1000\r\n\r\n{", 405, lateTime,
			"unsupported"},
		{"that would be too large", head +
			"Authorization: Bearer secret\r\nContent-Type: application/json\r\nContent-Length: 16777217\r\n\r\n{", 413,
			0, "too_large"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHook(t)
				resp, took := talk(t, h, tc.text)
				if resp.StatusCode != tc.status || took != tc.within || !resp.Close {
					t.Errorf("%d after %s, and the connection is closed: %v; want %d after %s", resp.StatusCode, took,
						resp.Close, tc.status, tc.within)
				}
				if h.counted(t, tc.result) != 1 {
					t.Errorf("it is not counted as %s", tc.result)
				}
			})
		})
	}
}

// oneConn is a listener for one connection.
type oneConn struct {
	once   sync.Once
	conn   net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (c net.Conn, err error) {
	err = net.ErrClosed
	l.once.Do(func() { c, err = l.conn, nil })
	if err != nil {
		<-l.closed
	}
	return c, err
}

func (l *oneConn) Close() error   { close(l.closed); return nil }
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }

func TestBodiesInFlightAreBounded_F80(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		h := newHook(t, func(o *AlertmanagerOptions) {
			o.Accept = func(context.Context, []ingest.Alert) error { <-hold; return nil }
		})
		var wg sync.WaitGroup
		codes := make([]int, maxBodies/minBody)
		for n := range codes {
			wg.Go(func() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, post(oneAlert))
				codes[n] = w.Code
			})
		}
		synctest.Wait()
		began := time.Now()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, post(oneAlert))
		if w.Code != 503 || w.Header().Get("Retry-After") != "1" || time.Since(began) != roomTime {
			t.Errorf("one too many: %d, Retry-After %q, after %s", w.Code, w.Header().Get("Retry-After"),
				time.Since(began))
		}
		close(hold)
		wg.Wait()
		for n, c := range codes {
			if c != 200 {
				t.Fatalf("request %d: %d", n, c)
			}
		}
		w = httptest.NewRecorder()
		h.ServeHTTP(w, post(oneAlert))
		if w.Code != 200 {
			t.Errorf("when there is room again: %d", w.Code)
		}
		if h.counted(t, "busy") != 1 {
			t.Error("it is not counted as busy")
		}
	})
}

// TestMembersInFlightAreBounded_F80: what costs memory is what a body is made of,
// more than how long it is.
func TestMembersInFlightAreBounded_F80(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		h := newHook(t, func(o *AlertmanagerOptions) {
			o.Accept = func(context.Context, []ingest.Alert) error { <-hold; return nil }
		})
		one := oneAlert[strings.Index(oneAlert, `{"status"`):strings.LastIndex(oneAlert, "]")]
		one = strings.TrimSuffix(one, "}") + `,"annotations":{"a":"` + strings.Repeat(":", 4000) + `"}}`
		dense := `{"version":"4","alerts":[` + strings.TrimSuffix(strings.Repeat(one+",", 150), ",") + "]}"
		var wg sync.WaitGroup
		codes := make([]int, 2)
		for n, body := range []string{dense, oneAlert} { // the small one finds room beside it
			wg.Go(func() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, post(body))
				codes[n] = w.Code
			})
			synctest.Wait()
		}
		began := time.Now()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, post(dense))
		if w.Code != 503 || w.Header().Get("Retry-After") != "1" || time.Since(began) != roomTime ||
			h.counted(t, "busy") != 1 {
			t.Errorf("a second one: %d, Retry-After %q, after %s", w.Code, w.Header().Get("Retry-After"),
				time.Since(began))
		}
		close(hold)
		wg.Wait()
		if codes[0] != 200 || codes[1] != 200 {
			t.Errorf("the first one and a small one: %v", codes)
		}
	})
}

// certified is a request that shows a certificate, and nothing else.
func certified(r *http.Request) {
	r.Header.Del("Authorization")
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: "am-eu"}}}}}
}

func TestAFollowerPassesOnToTheLeader_F87(t *testing.T) {
	leader := newHook(t)
	up := httptest.NewServer(leader)
	defer up.Close()
	away := httptest.NewServer(nil)
	away.Close()
	elsewhere := httptest.NewServer(http.RedirectHandler(up.URL, http.StatusFound))
	defer elsewhere.Close()
	old := httptest.NewServer(http.NotFoundHandler())
	defer old.Close()
	for _, tc := range []struct {
		name   string
		leader func() (string, bool)
		r      *http.Request
		status int
		text   string
		result string
	}{
		{"the leader accepts", func() (string, bool) { return up.URL + "/", false }, post(oneAlert), 200, "success",
			"forwarded"},
		{"the leader refuses, and its word is passed back", func() (string, bool) { return up.URL, false }, post("{"),
			400, "not an Alertmanager webhook", "forwarded"},
		{"the leader does not know the sender, whom this one knows by a certificate",
			func() (string, bool) { return up.URL, false }, post(oneAlert, certified), 503,
			"rejected the forwarded credentials", "no_leader"},
		{"what is refused without the body is not passed on", func() (string, bool) { return up.URL, false },
			post(oneAlert, header("Authorization", "")), 401, "invalid or missing", "unauthenticated"},
		{"this one leads", func() (string, bool) { return "", true }, post(oneAlert), 200, "success", "accepted"},
		{"this one leads, and another passed it on", func() (string, bool) { return "", true },
			post(oneAlert, header(forwardedHeader, "1")), 200, "success", "accepted"},
		{"nobody leads", func() (string, bool) { return "", false }, post(oneAlert), 503, "no known leader",
			"no_leader"},
		{"the leader is away", func() (string, bool) { return away.URL, false }, post(oneAlert), 503,
			"the leader did not respond", "no_leader"},
		{"another follower passed it on", func() (string, bool) { return up.URL, false },
			post(oneAlert, header(forwardedHeader, "1")), 503, "considers this one the leader", "no_leader"},
		{"a redirect is not followed, for it would take the token along",
			func() (string, bool) { return elsewhere.URL, false }, post(oneAlert), 503,
			"the leader responded with status 302", "no_leader"},
		{"the leader is of a version without a webhook", func() (string, bool) { return old.URL, false },
			post(oneAlert), 503, "the leader responded with status 404", "no_leader"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHook(t, func(o *AlertmanagerOptions) {
				o.Forward = &Forward{Leader: tc.leader, Client: httpclient.New(nil, forwardTimeout)}
			})
			before := len(leader.taken)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, tc.r)
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.text) {
				t.Errorf("%d %q, want %d with %q", w.Code, w.Body.String(), tc.status, tc.text)
			}
			if h.counted(t, tc.result) != 1 {
				t.Errorf("not counted as %s", tc.result)
			}
			if (tc.status == 503) != (w.Header().Get("Retry-After") != "") {
				t.Errorf("Retry-After is %q", w.Header().Get("Retry-After"))
			}
			here, there := len(h.taken), len(leader.taken)-before
			if accepted := tc.status == 200; accepted && here+there != 1 || !accepted && here+there != 0 {
				t.Errorf("taken %d times here, %d times there", here, there)
			}
		})
	}
}

func TestNobodyIsSentToAnotherPageOrMethod(t *testing.T) {
	h := newHook(t)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", AlertmanagerPath, nil))
	if w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
	w = httptest.NewRecorder()
	h.ServeHTTP(w, post(oneAlert, func(r *http.Request) { r.URL.Path += "/x" }))
	if w.Code != 404 {
		t.Errorf("a page below: %d", w.Code)
	}
	w = httptest.NewRecorder()
	Handler(Options{Logger: slog.New(slog.DiscardHandler), Gatherer: prometheus.NewRegistry()}).ServeHTTP(w,
		post(oneAlert))
	if w.Code != 404 {
		t.Errorf("without a webhook: %d", w.Code)
	}
}

func TestWebhookMetricsFollowTheConventions(t *testing.T) {
	h := newHook(t)
	h.ServeHTTP(httptest.NewRecorder(), post(strings.Replace(oneAlert, `"groupKey"`, `"truncatedAlerts":7,"groupKey"`,
		1)))
	all, err := h.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(all).Lint()
	if err != nil || len(problems) != 0 {
		t.Errorf("%v, %v", problems, err)
	}
	want := "# HELP watchdog_webhook_truncated_alerts_total Alerts that senders omitted from their webhooks " +
		"(max_alerts).\n# TYPE watchdog_webhook_truncated_alerts_total " +
		"counter\nwatchdog_webhook_truncated_alerts_total 7\n"
	if err := testutil.GatherAndCompare(h.reg, strings.NewReader(want),
		"watchdog_webhook_truncated_alerts_total"); err != nil {
		t.Error(err)
	}
}
